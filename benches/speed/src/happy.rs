//! A whole job through the core, with nothing around it: messages in, effects out.
//!
//! The replies of the service are worked out once ([`Happy::new`]): the core is deterministic, so
//! its tokens are the same in every run, and a run ([`Happy::run`]) is the core's work alone.

use std::hint::black_box;

use jobs_agent_core::{
    Agent, Boot, BootId, Completion, Config, Handled, Millis, OperationTag, Outcome, Output,
    RunPolicy, Scratch,
};
use jobs_proto::ThingName;
use serde_json::{Value, json};

use crate::messages::THING;

/// Requests after which something is wrong.
const ASKED_MAX: usize = 16;

/// When everything happens: replies come at once.
const NOW: Millis = Millis(0);

/// A message of the service.
#[derive(Clone, Debug)]
struct Letter {
    topic: String,
    payload: Vec<u8>,
}

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Publishes of the device.
    pub published: usize,
    /// Records written.
    pub written: usize,
    /// Records erased.
    pub erased: usize,
    /// Handlers started.
    pub started: usize,
    /// Bytes of the payloads published.
    pub bytes: usize,
}

/// An agent that is connected and has an empty queue, and what the service is going to say.
#[derive(Debug)]
pub struct Happy {
    ready: Agent<'static, 1>,
    offer: Letter,
    replies: Vec<Letter>,
}

impl Default for Happy {
    fn default() -> Self {
        Self::new()
    }
}

impl Happy {
    /// Brings an agent to rest and learns the replies to everything it will ask.
    ///
    /// # Panics
    /// If the core asks without end.
    #[must_use]
    pub fn new() -> Self {
        let thing = ThingName::new(THING).expect("a legal name");
        // One for the whole process.
        let config: &'static Config<'static> = Box::leak(Box::new(Config::new(thing)));
        let boot = Boot {
            id: BootId([7; 16]),
            entropy: 0x5EED,
        };
        let mut ready = Agent::new(config, boot);
        ready.handle_connected(NOW);
        let replies = learn(&ready, None);
        let settled = play(&mut ready, None, &replies);
        assert!(settled.is_ok(), "every reply was learnt");
        let offer = Letter {
            topic: format!("$aws/things/{THING}/jobs/notify-next"),
            payload: queued(),
        };
        let replies = learn(&ready, Some(&offer));
        Self {
            ready,
            offer,
            replies,
        }
    }

    /// The time at which everything happens: replies come at once.
    #[must_use]
    pub fn now() -> Millis {
        NOW
    }

    /// An agent at rest; one for each run.
    #[must_use]
    pub fn agent(&self) -> Agent<'static, 1> {
        self.ready.clone()
    }

    /// From the notification to the erased record.
    ///
    /// # Panics
    /// If the core asks for something it did not ask for before.
    pub fn run(&self, agent: &mut Agent<'static, 1>) -> Seen {
        match play(agent, Some(&self.offer), &self.replies) {
            Ok(seen) => seen,
            Err(_) => panic!("the core asked for something new"),
        }
    }
}

/// Plays again and again, each time with one more reply, until nothing is asked any more.
fn learn(ready: &Agent<'static, 1>, offer: Option<&Letter>) -> Vec<Letter> {
    let mut replies = Vec::new();
    for _ in 0..ASKED_MAX {
        match play(&mut ready.clone(), offer, &replies) {
            Ok(_) => return replies,
            Err(request) => replies.push(reply(&request)),
        }
    }
    panic!("the core asks without end");
}

/// Drives the core until it waits; stops at the first request that has no reply.
fn play(
    agent: &mut Agent<'static, 1>,
    offer: Option<&Letter>,
    replies: &[Letter],
) -> Result<Seen, Letter> {
    let mut scratch = Scratch::new();
    let mut seen = Seen::default();
    let mut replies = replies.iter();
    if let Some(offer) = offer {
        receive(agent, offer);
    }
    loop {
        match agent.poll(NOW, &mut scratch) {
            Output::Transmit {
                receipt,
                topic,
                payload,
                ..
            } => {
                seen.published += 1;
                seen.bytes += payload.len();
                let Some(reply) = replies.next() else {
                    return Err(Letter {
                        topic: topic.into(),
                        payload: payload.into(),
                    });
                };
                agent.handle_done(NOW, receipt, Completion::Done);
                receive(agent, reply);
            }
            Output::Persist {
                receipt, record, ..
            } => {
                black_box(record);
                seen.written += 1;
                agent.handle_done(NOW, receipt, Completion::Done);
            }
            Output::Erase { receipt, .. } => {
                seen.erased += 1;
                agent.handle_done(NOW, receipt, Completion::Done);
            }
            Output::Subscribe { receipt, .. } => {
                agent.handle_done(NOW, receipt, Completion::Done);
            }
            Output::Run(permit) => {
                seen.started += 1;
                let (slot, run) = (permit.slot(), permit.run());
                agent.handle_outcome(NOW, slot, run, &Outcome::succeeded());
            }
            Output::Reboot(permit) => {
                agent.handle_done(NOW, permit.into_receipt(), Completion::Failed);
            }
            Output::Saved { .. } | Output::Stop { .. } | Output::Ended { .. } => {}
            Output::Wait(_) => return Ok(seen),
        }
    }
}

fn receive(agent: &mut Agent<'static, 1>, letter: &Letter) {
    match agent.handle_publish(NOW, &letter.topic, &letter.payload) {
        Handled::Offer(ticket, offer) => {
            black_box(&offer);
            let verdict = Ok((OperationTag::of("blink"), RunPolicy::DEFAULT));
            agent.handle_plan(NOW, ticket, verdict);
        }
        Handled::Taken | Handled::Ignored(_) => {}
    }
}

/// The job as it is first heard of: queued, no details, not started.
fn queued() -> Vec<u8> {
    concat!(
        r#"{"timestamp":1719940994,"execution":{"jobId":"fw-2-1","status":"QUEUED","#,
        r#""queuedAt":1719940990,"lastUpdatedAt":1719940990,"versionNumber":1,"executionNumber":1,"#,
        r#""jobDocument":{"operation":"blink","times":3,"fast":true}}}"#
    )
    .into()
}

/// What the service answers: nothing is pending, and every update is accepted.
fn reply(request: &Letter) -> Letter {
    let asked: Value = serde_json::from_slice(&request.payload).unwrap_or_default();
    let mut answer = json!({"clientToken": asked["clientToken"], "timestamp": 1_719_940_995});
    if asked["includeJobExecutionState"] == true {
        answer["executionState"] = json!({"status": asked["status"], "versionNumber": 2});
    }
    Letter {
        topic: format!("{}/accepted", request.topic),
        payload: answer.to_string().into_bytes(),
    }
}
