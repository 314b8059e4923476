//! Every state of small worlds: no promise is broken on any way, and nothing is ever stuck.

use jobs_testkit::{
    Script, Step,
    explore::{Explored, explore},
    model_world::{Budget, ModelWorld, Setup},
};

/// More states than any space here has: a mistake in the key would make it endless.
const STATES_MAX: usize = 600_000;

fn all_of<const JOBS: usize>(setup: &Setup) -> Explored {
    let started = std::time::Instant::now();
    match explore(&ModelWorld::<JOBS>::new(setup), STATES_MAX) {
        Ok(explored) => {
            println!(
                "{}, {JOBS} slots: {explored:?} {:?}",
                setup.name,
                started.elapsed()
            );
            explored
        }
        Err(counterexample) => panic!("{} with {JOBS} slots: {counterexample}", setup.name),
    }
}

fn two_pieces() -> Script {
    Script::new([Step::Report(10), Step::Checkpoint, Step::Succeed])
}

#[test]
fn one_job() {
    for n in 0..3 {
        let setup = Setup::new("one job")
            .script("two", two_pieces())
            .job("a", "two")
            .budget(Budget::any(n));
        all_of::<1>(&setup);
    }
}
