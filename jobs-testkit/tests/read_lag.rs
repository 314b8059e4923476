//! A read at the service can lag behind its notification: "no such execution" may be said of one that
//! was just begun. It must not make the agent drop its record: it asks four times before it believes.

use jobs_agent_core::RunPolicy;
use jobs_emulator::model::Fault;
use jobs_testkit::{Action, LinkFault, Scenario, Script, Step, World};

/// Work that must not be begun twice.
fn once(steps: impl IntoIterator<Item = Step>) -> Script {
    Script::new(steps).policy(RunPolicy {
        rerun: false,
        ..RunPolicy::DEFAULT
    })
}

#[test]
fn work_cut_off_is_taken_up_again_though_the_first_reads_do_not_show_it() {
    for reads in 0..=3 {
        let story = Scenario::new("recovers under read lag")
            .script(
                "work",
                once([
                    Step::Effect("before"),
                    Step::CheckpointWithDocument,
                    Step::Stumble,
                    Step::Effect("after"),
                    Step::Succeed,
                ]),
            )
            .at(50, Action::Service(Fault::ReadLag { reads }))
            .job(100, "a", "work");
        let report = World::<1>::play(&story, None);
        report.assert_kept(&format!("{reads} reads lag"));
        assert_eq!(report.status("a"), Some("SUCCEEDED"), "{reads} reads lag");
        assert_eq!(report.effects("a", "before"), 1, "{reads} reads lag");
        assert_eq!(report.effects("a", "after"), 1, "{reads} reads lag");
    }
}

#[test]
fn work_under_way_is_not_stopped_by_a_read_that_lags() {
    for reads in 0..=3 {
        let story = Scenario::new("verifies under read lag")
            .script(
                "work",
                once([Step::Sleep(60_000), Step::Effect("done"), Step::Succeed]),
            )
            .at(50, Action::Service(Fault::ReadLag { reads }))
            .job(100, "a", "work")
            .at(300, Action::Link(LinkFault::Cut(1_000)));
        let report = World::<1>::play(&story, None);
        report.assert_kept(&format!("{reads} reads lag"));
        assert_eq!(report.status("a"), Some("SUCCEEDED"), "{reads} reads lag");
        assert_eq!(report.runs("a"), 1, "{reads} reads lag");
    }
}
