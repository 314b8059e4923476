//! The agent, told directly what the service and the device would tell it.

mod answers;
mod begin;
mod effects;
mod large;
mod support;
