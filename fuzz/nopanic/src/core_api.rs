//! Every public function of `jobs-agent-core` that is not async.

use core::hint::black_box as seen;

use jobs_agent_core::{
    Agent, Boot, BootId, Checkpoint, Completion, Config, Details, Handled, JobHandler, JobPort,
    Millis, NoRoute, Offer, OperationTag, Outcome, Output, Progress, Reason, Receipt, Record,
    Refusal, RunId, RunPermit, RunPolicy, Scratch, Ticket,
};
use jobs_proto::ThingName;

/// A handler that takes what has a number in it.
struct Any;

impl JobHandler for Any {
    type Plan = u64;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, u64), Refusal> {
        let number = offer.document.u64_field("number").ok_or(Refusal::Unknown)?;
        Ok((OperationTag(0), number))
    }

    async fn run<P: JobPort>(&self, _: u64, _: &mut P) -> Outcome {
        Outcome::succeeded()
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        _: &Checkpoint,
        _: Option<u64>,
        _: &mut P,
    ) -> Outcome {
        Outcome::succeeded()
    }
}

pub(crate) fn all(input: &[u8], text: &str) {
    values(input, text);
    records(input);
    let Ok(thing) = ThingName::new(text) else {
        return;
    };
    let mut config = Config::new(thing);
    let boot = Boot {
        id: seen(BootId([0; 16])),
        entropy: seen(1),
    };
    let config = {
        config.subscribe_replies = seen(true);
        config
    };
    let config = seen(&config);
    drive(&mut seen(Agent::<'_, 1>::new(config, boot)), input, text);
    drive(&mut seen(Agent::<'_, 4>::new(config, boot)), input, text);
}

fn values(input: &[u8], text: &str) {
    let mut progress = seen(Progress::percent(seen(42)).with(text, text));
    seen(progress.push(text, text)).ok();
    seen((progress.is_empty(), progress.iter().count()));
    let details = seen(Details::new().with(text, text));
    seen((
        details.is_empty(),
        details.iter().count(),
        Details::reason(text),
    ));
    seen(Reason::new(text).as_str());
    seen((
        Outcome::succeeded(),
        Outcome::failed(text),
        Outcome::rejected(text),
    ));
    if let Ok(checkpoint) = seen(Checkpoint::new(input)) {
        let checkpoint = seen(checkpoint.with_document());
        seen((checkpoint.bytes(), checkpoint.needs_document()));
    }
    seen(Millis(seen(5)).plus(seen(6)).until(seen(Millis(7))));
    seen(OperationTag::of(text));
}

fn records(input: &[u8]) {
    if let Ok(record) = seen(Record::decode(input)) {
        let mut out = [0; 100];
        seen(record.encode(seen(&mut out)));
    }
}

fn drive<const JOBS: usize>(agent: &mut Agent<'_, JOBS>, input: &[u8], text: &str) {
    let mut scratch = Scratch::new();
    let now = seen(Millis(1));
    seen(agent.restore(seen(0), input)).ok();
    agent.handle_connected(now);
    match seen(agent.handle_publish(now, text, input)) {
        Handled::Offer(ticket, offer) => decide(agent, now, ticket, &offer),
        Handled::Taken => {}
        Handled::Ignored(why) => {
            seen(why);
        }
    }
    for _ in 0..seen(3) {
        perform(agent, now, &mut scratch, input, text);
    }
    agent.handle_disconnected(now);
    seen((agent.phase(seen(0)), agent.is_idle()));
    seen(agent == &seen(agent.clone()));
}

fn decide<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    ticket: Ticket,
    offer: &Offer<'_>,
) {
    seen(ticket.slot());
    let routes = NoRoute.on(seen("one"), Any).on(seen("two"), Any);
    let routes = seen(&routes);
    let verdict = routes.plan(offer).map(|(tag, plan)| {
        let policy = routes.policy(tag, &plan);
        seen(plan);
        (tag, policy)
    });
    agent.handle_plan(now, ticket, seen(verdict));
    agent.handle_plan(now, ticket, seen(Ok((OperationTag(1), RunPolicy::DEFAULT))));
}

fn perform<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    scratch: &mut Scratch,
    input: &[u8],
    text: &str,
) {
    let receipt: Option<Receipt> = match seen(agent.poll(now, scratch)) {
        Output::Persist {
            receipt,
            slot,
            record,
        } => {
            seen((slot, record));
            Some(receipt)
        }
        Output::Erase { receipt, slot } => {
            seen(slot);
            Some(receipt)
        }
        Output::Transmit {
            receipt,
            topic,
            payload,
            at_least_once,
        } => {
            seen((topic, payload, at_least_once));
            Some(receipt)
        }
        Output::Subscribe { receipt, filters } => {
            for filter in filters.iter() {
                seen(filter);
            }
            Some(receipt)
        }
        Output::Run(permit) => {
            let (slot, run) = begun(permit);
            work(agent, now, slot, run, input, text);
            None
        }
        Output::Reboot(permit) => {
            seen(permit.slot());
            Some(permit.into_receipt())
        }
        Output::Saved { slot, run } => {
            seen((slot, run));
            None
        }
        Output::Stop { slot, run, reason } => {
            seen((slot, run, reason));
            None
        }
        Output::Ended {
            slot,
            job_id,
            ending,
        } => {
            seen((slot, job_id, ending));
            None
        }
        Output::Wait(until) => {
            seen(until);
            None
        }
    };
    if let Some(receipt) = receipt {
        agent.handle_done(now, receipt, seen(Completion::Done));
    }
}

fn begun(permit: RunPermit<'_>) -> (u8, RunId) {
    seen((permit.job_id(), permit.execution_number(), permit.tag()));
    seen((permit.attempt(), permit.deadline()));
    let run = (permit.slot(), permit.run());
    seen(permit.into_start());
    run
}

fn work<const JOBS: usize>(
    agent: &mut Agent<'_, JOBS>,
    now: Millis,
    slot: u8,
    run: RunId,
    input: &[u8],
    text: &str,
) {
    if let Ok(checkpoint) = Checkpoint::new(input) {
        seen(agent.handle_checkpoint(now, slot, run, &checkpoint)).ok();
        agent.handle_outcome(now, slot, run, seen(&Outcome::Reboot(checkpoint)));
    }
    agent.handle_progress(slot, run, seen(&Progress::percent(seen(3))));
    agent.handle_outcome(now, slot, run, seen(&Outcome::failed(text)));
    agent.handle_aborted(now, slot, run, text);
}
