//! The agent against the emulator and against scripted brokers. One program, because linking one
//! for each file costs more time than the tests.

mod borrowed;
mod faults;
mod hub;
mod jobs;
#[path = "../program/mod.rs"]
mod program;
mod restarts;
mod storms;
#[path = "../support/mod.rs"]
mod support;
mod trouble;
#[path = "../world/mod.rs"]
mod world;
