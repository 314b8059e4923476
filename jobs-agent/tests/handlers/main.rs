//! The handlers of operations, each against its own world.

mod logs;
mod push;
#[path = "../support/mod.rs"]
mod support;
mod update;
