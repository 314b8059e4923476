//! Seeded simulation: one number makes a whole random story, with many jobs, faults of every
//! kind and hours of virtual time; every promise is checked on the way, and when the faults stop
//! everything must come to its end.
//!
//! The same seed makes the same story for as long as this file is the same; a seed that once
//! failed is kept with the tests.

mod draw;
mod make;

use std::fmt::Write as _;

pub use make::{Story, story};

use crate::{observer::Report, scenario::Action, world::World};

/// What a simulated story came to.
#[derive(Debug)]
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// Everything that is wrong; empty in a good run.
    pub faults: Vec<String>,
}

/// Plays the story of a seed.
#[must_use]
pub fn play(seed: u64) -> Outcome {
    let story = story(seed);
    let (report, _) = run(&story, None);
    judge(&story, report)
}

/// The story of a seed and everything that happens in it, to be read by a person.
///
/// # Panics
/// Never: a `String` takes everything.
#[must_use]
pub fn trace(seed: u64) -> String {
    let story = story(seed);
    let (report, log) = run(&story, Some(Vec::new()));
    let mut text = format!("seed {seed}: {} slots\n", story.slots);
    for (name, script) in &story.scenario.scripts {
        writeln!(text, "script {name}: {script:?}").expect("a String takes everything");
    }
    for crash in &story.crashes {
        writeln!(text, "{crash:?}").expect("a String takes everything");
    }
    for line in log {
        writeln!(text, "{line}").expect("a String takes everything");
    }
    let outcome = judge(&story, report);
    write!(text, "{:#?}", outcome.faults).expect("a String takes everything");
    text
}

fn run(story: &Story, log: Option<Vec<String>>) -> (Report, Vec<String>) {
    let (scenario, crashes) = (&story.scenario, &story.crashes[..]);
    match story.slots {
        1 => World::<1>::play_through(scenario, crashes, log),
        2 => World::<2>::play_through(scenario, crashes, log),
        3 => World::<3>::play_through(scenario, crashes, log),
        4 => World::<4>::play_through(scenario, crashes, log),
        5 => World::<5>::play_through(scenario, crashes, log),
        6 => World::<6>::play_through(scenario, crashes, log),
        7 => World::<7>::play_through(scenario, crashes, log),
        _ => World::<8>::play_through(scenario, crashes, log),
    }
}

fn judge(story: &Story, report: Report) -> Outcome {
    let mut faults = report.violations().to_vec();
    if !report.settled {
        faults.push(format!("stuck: {:?}", report.statuses));
    }
    for (_, action) in &story.scenario.actions {
        if let Action::CreateJob { id, .. } = action
            && story.must_succeed.contains(id)
            && report.status(id) != Some("SUCCEEDED")
        {
            faults.push(format!("{id} ended {:?}", report.status(id)));
        }
    }
    Outcome { report, faults }
}
