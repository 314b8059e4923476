//! What an exploration sees of an agent: its states are told apart by this.

use jobs_agent_core::{Agent, JOBS_MAX, Millis, RunPolicy};

use crate::support::{BOOT, OneJob, Publish, claim, config, connect, perform, tell, work};

fn token(request: &Publish) -> &str {
    let (_, token) = request.payload.split_once("\"clientToken\":\"").unwrap();
    token.split('"').next().unwrap()
}

#[test]
fn a_token_belongs_to_the_queue_to_a_slot_or_to_nobody() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let question = connect(&mut agent, now);
    assert_eq!(agent.awaits(token(&question)), Some(JOBS_MAX));
    assert_eq!(agent.awaits("another"), None);

    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    assert_eq!(agent.awaits(token(&start)), Some(0));
    assert_eq!(agent.awaits("another"), None);
    work(&mut agent, now, &start);
    assert_eq!(agent.awaits(token(&start)), None, "it was answered");
}

#[test]
fn a_slot_holds_the_run_that_began_last() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
    let start = claim(&mut agent, now, RunPolicy::DEFAULT);
    let (slot, run) = work(&mut agent, now, &start);
    assert!(agent.holds_run(slot, run));
    assert!(!agent.holds_run(slot + 1, run));
    let mut fresh: OneJob<'_> = Agent::new(&config, BOOT);
    assert!(!fresh.holds_run(slot, run));
    assert!(perform(&mut fresh, now).run.is_none());
}

#[test]
fn agents_that_differ_in_names_alone_are_one_state() {
    let config = config();
    let now = Millis(1_000);
    let state = |questions: usize| {
        let mut agent: OneJob<'_> = Agent::new(&config, BOOT);
        agent.calm_jitter();
        let start = claim(&mut agent, now, RunPolicy::DEFAULT);
        work(&mut agent, now, &start);
        for _ in 0..questions {
            // Each question has a number of its own.
            tell(&mut agent, now, "");
            let question = perform(&mut agent, now).publish();
            let on = r#""execution":{"jobId":"a","status":"IN_PROGRESS","queuedAt":1},"#;
            crate::support::accept(&mut agent, now, &question, on);
        }
        agent
    };
    let (once, twice) = (state(1), state(2));
    assert_ne!(once, twice);
    assert_eq!(once.canonical(now), twice.canonical(now));
}
