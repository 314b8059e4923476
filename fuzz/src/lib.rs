//! What is fuzzed, as plain functions: each takes any bytes and panics if a promise is broken.
//!
//! Two drivers call them: libFuzzer (`cargo xtask fuzz`, nightly), and `tests/replay.rs`, which on a
//! stable compiler replays all corpora and then their mutations from a fixed seed.

mod agent;
mod emulator;
mod encode;
mod hostile;
mod inbound;
mod input;
mod oracle;
mod record;
pub mod seeds;
mod topic;
mod tree;
mod wire;

pub mod mutate;

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, also of its corpus folder.
    pub name: &'static str,
    /// Takes any bytes; panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Longest input worth trying, bytes.
    pub len_max: usize,
    /// Mutations per corpus entry in a brief run, sized to a few seconds in release.
    pub mutations: u32,
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    Target {
        name: "topic",
        run: topic::run,
        len_max: 300,
        mutations: 10_000,
    },
    Target {
        name: "inbound",
        run: inbound::run,
        len_max: 1_500,
        mutations: 3_000,
    },
    Target {
        name: "encode",
        run: encode::run,
        len_max: 1_500,
        mutations: 5_000,
    },
    Target {
        name: "record",
        run: record::run,
        len_max: 600,
        mutations: 5_000,
    },
    Target {
        name: "hostile",
        run: hostile::run,
        len_max: 1_500,
        mutations: 5_000,
    },
    Target {
        name: "agent",
        run: agent::run,
        len_max: 200,
        mutations: 1_000,
    },
    Target {
        name: "emulator",
        run: emulator::run,
        len_max: 1_500,
        mutations: 1_500,
    },
    Target {
        name: "wire",
        run: wire::run,
        len_max: 2_000,
        mutations: 60,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
