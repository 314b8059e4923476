//! The HTTPS data plane as a transport: jobs over the emulator, and the link against a service that
//! does what a test tells it.

#[path = "../world/mod.rs"]
mod world;

mod documents;
mod jobs;
mod link;
mod service;
mod trust;
