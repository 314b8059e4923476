//! The driver over a link that a test plays, in virtual time.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use jobs_agent_core::{Boot, BootId, Checkpoint, Config};
use jobs_proto::ThingName;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::link::{Qos, SendError};
use crate::store::MemoryStore;
use crate::typed::{Handlers, Job};

/// A link to a service that has one job and answers every request at once.
#[derive(Default)]
struct Played {
    events: VecDeque<LinkEvent>,
    ids: u64,
    /// How many of the next sends are not taken.
    busy: u32,
    /// How many of the next subscribes are answered for too few filters.
    short: u32,
    told: Arc<Told>,
}

/// What the agent did, for the test to see.
#[derive(Default)]
struct Told {
    subscribes: AtomicU32,
    statuses: Mutex<Vec<String>>,
    over: Notify,
}

impl Played {
    fn id(&mut self) -> Result<SendId, SendError> {
        if self.busy > 0 {
            self.busy -= 1;
            return Err(SendError::Busy { outstanding: 1 });
        }
        self.ids += 1;
        Ok(SendId(self.ids))
    }

    fn answer(&mut self, topic: &str, request: &Value) {
        let begun = !self.told.statuses.lock().unwrap().is_empty();
        let execution = json!({
            "jobId": "j", "status": if begun { "IN_PROGRESS" } else { "QUEUED" }, "queuedAt": 1, "lastUpdatedAt": 1,
            "versionNumber": 1, "executionNumber": 1, "jobDocument": {"operation": "update"},
        });
        let mut reply = json!({"timestamp": 1, "clientToken": request["clientToken"]});
        if let Some(status) = request["status"].as_str() {
            self.told.statuses.lock().unwrap().push(status.to_owned());
            if status != "IN_PROGRESS" {
                self.told.over.notify_one();
            }
        } else if !begun || !topic.ends_with("$next/get") {
            // Asked whether it is still on, the service says so.
            reply["execution"] = execution;
        }
        self.events.push_back(LinkEvent::Message {
            topic: format!("{topic}/accepted"),
            payload: reply.to_string().into_bytes().into(),
        });
    }
}

impl Link for Played {
    async fn next(&mut self) -> LinkEvent {
        match self.events.pop_front() {
            Some(event) => event,
            // Only the driver's own sends add events.
            None => std::future::pending().await,
        }
    }

    fn publish(&mut self, topic: &str, payload: &[u8], _: Qos) -> Result<SendId, SendError> {
        let id = self.id()?;
        self.events.push_back(LinkEvent::Acked(id));
        self.answer(topic, &serde_json::from_slice(payload).unwrap());
        Ok(id)
    }

    fn subscribe(&mut self, filters: &[&str]) -> Result<SendId, SendError> {
        let id = self.id()?;
        self.told.subscribes.fetch_add(1, Ordering::Relaxed);
        let mut granted = vec![true; filters.len()];
        if self.short > 0 {
            self.short -= 1;
            granted.pop();
        }
        self.events.push_back(LinkEvent::SubAck { id, granted });
        Ok(id)
    }

    async fn close(&mut self) {}
}

/// A machine that takes every reset and stays up.
#[derive(Default)]
struct Stubborn(Arc<Mutex<Vec<Instant>>>);

impl Reboot for Stubborn {
    fn reboot(&self) -> Result<(), RebootError> {
        self.0.lock().unwrap().push(Instant::now());
        Ok(())
    }
}

/// Runs until the job is over; returns what the service was told.
async fn play(mut link: Played, handlers: Handlers, reboot: impl Reboot) -> (Vec<String>, u32) {
    link.events.push_back(LinkEvent::Connected {
        session_present: false,
    });
    let told = Arc::clone(&link.told);
    let config = Config::new(ThingName::new("pump-17").unwrap());
    let boot = Boot {
        id: BootId([1; 16]),
        entropy: 1,
    };
    let store = AsyncStore::new(MemoryStore::default()).unwrap();
    let around = Surroundings {
        reboot: Arc::new(reboot),
        metrics: Arc::default(),
        stop_grace_ms: 1_000,
        observer: None,
    };
    let over = told.over.notified();
    let core = machine::make::<1>(&config, boot);
    drive(core, link, store, handlers, around, over)
        .await
        .unwrap();
    let statuses = told.statuses.lock().unwrap().clone();
    (statuses, told.subscribes.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_never_goes_down_is_asked_a_few_times_and_then_the_job_fails() {
    let handlers = Handlers::new().on("update", |_: Value, _: Job| async {
        Outcome::Reboot(Checkpoint::new(b"v2").unwrap())
    });
    let machine = Stubborn::default();
    let asked = Arc::clone(&machine.0);
    let (statuses, _) = play(Played::default(), handlers, machine).await;
    assert_eq!(statuses, ["IN_PROGRESS", "FAILED"]);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3);
    for pair in asked.windows(2) {
        let waited = pair[1].duration_since(pair[0]).as_millis();
        assert!(waited >= u128::from(reset::REBOOT_WAIT_MS), "{waited} ms");
    }
}

fn simple() -> Handlers {
    // Long enough for every repetition before it.
    Handlers::new().on("update", |_: Value, _: Job| async {
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
        Outcome::succeeded()
    })
}

#[tokio::test(start_paused = true)]
async fn what_the_link_does_not_take_is_sent_again() {
    let link = Played {
        busy: 3,
        ..Played::default()
    };
    let (statuses, subscribes) = play(link, simple(), Stubborn::default()).await;
    assert_eq!(statuses, ["IN_PROGRESS", "SUCCEEDED"]);
    assert_eq!(subscribes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_suback_for_too_few_filters_grants_nothing() {
    let link = Played {
        short: 2,
        ..Played::default()
    };
    let (statuses, subscribes) = play(link, simple(), Stubborn::default()).await;
    assert_eq!(statuses, ["IN_PROGRESS", "SUCCEEDED"]);
    assert_eq!(subscribes, 3);
}
