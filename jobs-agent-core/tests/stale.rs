//! What is said too late, twice, or about nothing changes nothing at all: an agent that was told so
//! equals one that was not.

use jobs_agent_core::{
    Agent, Boot, BootId, Completion, Config, Handled, Millis, OperationTag, Outcome, Output,
    Receipt, Refusal, RunPolicy, Scratch,
};
use jobs_proto::ThingName;

const BOOT: Boot = Boot {
    id: BootId([7; 16]),
    entropy: 1,
};

const OFFER: &[u8] = br#"{"execution":{"jobId":"a","status":"QUEUED","queuedAt":1,"executionNumber":1,"jobDocument":{}}}"#;
const NOTIFY_NEXT: &str = "$aws/things/pump/jobs/notify-next";

fn config() -> Config<'static> {
    Config::new(ThingName::new("pump").unwrap())
}

/// Performs everything until the agent waits; returns the receipts, and the text of the last token.
fn drain(agent: &mut Agent<'_, 1>, now: Millis) -> (Vec<Receipt>, String) {
    let (mut receipts, mut token) = (Vec::new(), String::new());
    let mut scratch = Scratch::new();
    loop {
        let receipt = match agent.poll(now, &mut scratch) {
            Output::Wait(_) => return (receipts, token),
            Output::Persist { receipt, .. }
            | Output::Erase { receipt, .. }
            | Output::Subscribe { receipt, .. } => receipt,
            Output::Transmit {
                receipt, payload, ..
            } => {
                let text = core::str::from_utf8(payload).unwrap();
                let start = text.find("\"clientToken\":\"").unwrap() + 15;
                token = text[start..].split('"').next().unwrap().into();
                receipt
            }
            _ => continue,
        };
        agent.handle_done(now, receipt, Completion::Done);
        receipts.push(receipt);
    }
}

/// An agent with a job at work, every receipt that it got so far, and when.
fn at_work<'c>(config: &'c Config<'c>) -> (Agent<'c, 1>, Vec<Receipt>, Millis) {
    let now = Millis(1_000);
    let mut agent = Agent::new(config, BOOT);
    agent.handle_connected(now);
    let (mut receipts, _) = drain(&mut agent, now);
    let Handled::Offer(ticket, _) = agent.handle_publish(now, NOTIFY_NEXT, OFFER) else {
        panic!("no offer");
    };
    agent.handle_plan(now, ticket, Ok((OperationTag(1), RunPolicy::DEFAULT)));
    let (more, token) = drain(&mut agent, now);
    receipts.extend(more);
    let reply = format!("{{\"clientToken\":\"{token}\"}}");
    let topic = "$aws/things/pump/jobs/a/update/accepted";
    let _ = agent.handle_publish(now, topic, reply.as_bytes());
    let (more, _) = drain(&mut agent, now);
    receipts.extend(more);
    // SUBSCRIBE, the question, the claim, and the record.
    assert!(receipts.len() >= 4, "{receipts:?}");
    (agent, receipts, now)
}

#[test]
fn a_receipt_that_comes_twice_changes_nothing() {
    let config = config();
    let (mut agent, receipts, now) = at_work(&config);
    let before = agent.clone();
    for receipt in receipts {
        agent.handle_done(now, receipt, Completion::Done);
        assert_eq!(agent, before, "{receipt:?}");
    }
    // Failure of a request that is still out would be news; offline none is.
    agent.handle_disconnected(now);
    let before = agent.clone();
    let (_, receipts, _) = at_work(&config);
    for receipt in receipts {
        agent.handle_done(now, receipt, Completion::Failed);
        assert_eq!(agent, before, "{receipt:?}");
    }
}

#[test]
fn a_decision_that_comes_twice_changes_nothing() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: Agent<'_, 1> = Agent::new(&config, BOOT);
    let Handled::Offer(ticket, _) = agent.handle_publish(now, NOTIFY_NEXT, OFFER) else {
        panic!("no offer");
    };
    agent.handle_plan(now, ticket, Err(Refusal::Later { retry_ms: 5 }));
    let before = agent.clone();
    for verdict in [
        Ok((OperationTag(1), RunPolicy::DEFAULT)),
        Err(Refusal::Unknown),
        Err(Refusal::NotMine),
    ] {
        agent.handle_plan(now, ticket, verdict);
        assert_eq!(agent, before);
    }
}

#[test]
fn a_word_of_a_handler_that_has_ended_changes_nothing() {
    let config = config();
    let now = Millis(1_000);
    let mut agent: Agent<'_, 1> = Agent::new(&config, BOOT);
    agent.handle_connected(now);
    // An instantaneous job runs on what comes after the first answer about the queue.
    let (_, token) = drain(&mut agent, now);
    let reply = format!("{{\"clientToken\":\"{token}\"}}");
    let topic = "$aws/things/pump/jobs/$next/get/accepted";
    let _ = agent.handle_publish(now, topic, reply.as_bytes());
    let Handled::Offer(ticket, _) = agent.handle_publish(now, NOTIFY_NEXT, OFFER) else {
        panic!("no offer");
    };
    let instant = RunPolicy {
        instant: true,
        ..RunPolicy::DEFAULT
    };
    agent.handle_plan(now, ticket, Ok((OperationTag(1), instant)));
    let mut scratch = Scratch::new();
    let Output::Run(permit) = agent.poll(now, &mut scratch) else {
        panic!("no run");
    };
    let (slot, run) = (permit.slot(), permit.run());
    agent.handle_outcome(now, slot, run, &Outcome::succeeded());
    let before = agent.clone();
    agent.handle_outcome(now, slot, run, &Outcome::failed("late"));
    agent.handle_aborted(now, slot, run, "late");
    assert_eq!(agent, before);
}
