//! The agent, told directly what the service and the device would tell it.

mod answers;
mod begin;
mod effects;
#[cfg(feature = "_explore")]
mod exploration;
mod large;
mod questions;
mod side_by_side;
mod support;
