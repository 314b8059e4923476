//! What protocol and core cost in instructions and time, beside other crates at the same work.
//!
//! `cargo xtask bench` counts the instructions of every case ([`cases`]) under callgrind and
//! compares them with `benches/budget.json`. `cargo bench` here measures time, for people.

pub mod cases;
pub mod happy;
pub mod messages;
pub mod peers;
