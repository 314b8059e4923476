//! The link against a scripted broker.

mod borrowed;
mod connects;
#[path = "../program/mod.rs"]
mod program;
mod sends;
#[path = "../support/mod.rs"]
mod support;
mod tls;
