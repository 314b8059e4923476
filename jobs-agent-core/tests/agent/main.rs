//! The agent, told directly what the service and the device would tell it.

mod answers;
mod begin;
mod effects;
mod large;
mod questions;
mod side_by_side;
mod support;
