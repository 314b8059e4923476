//! Seeded simulation: a short run with fresh seeds, and every seed that once failed.

use jobs_testkit::{Places, sim};

/// Seeds of the short run. `cargo xtask sim` plays as many as one likes.
const SEEDS: u64 = 300;

/// Enough seeds to meet also what is rare.
const PLACES_SEEDS: u64 = 800;

fn assert_kept(seed: u64) {
    let outcome = sim::play(seed);
    assert!(
        outcome.faults.is_empty(),
        "seed {seed}: {:#?}\nread it with: cargo xtask sim --trace {seed}",
        outcome.faults
    );
}

#[test]
fn random_stories_keep_every_promise_and_settle() {
    (0..SEEDS).for_each(assert_kept);
}

/// What is never met is not tested.
#[test]
fn random_stories_come_to_every_interesting_place() {
    let mut places = Places::default();
    for seed in 0..PLACES_SEEDS {
        places.visit(&sim::play(seed).report);
    }
    println!("places: {PLACES_SEEDS} random stories: {places}");
    let missed: Vec<_> = places.missed().collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
}

#[test]
fn seeds_that_once_failed_hold_now() {
    let seeds = include_str!("sim_regressions.txt").lines();
    for line in seeds.filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let seed = line.split_whitespace().next().and_then(|s| s.parse().ok());
        assert_kept(seed.unwrap_or_else(|| panic!("no seed in {line:?}")));
    }
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    assert_eq!(sim::trace(7), sim::trace(7));
    assert_ne!(sim::trace(7), sim::trace(8));
}
