//! The pending list of a thing, and the notifications that its changes cause.

use std::collections::{BTreeMap, BTreeSet};

use super::ops::{Audience, Message};
use super::service::Service;
use super::settings::LIST_LIMIT_MAX;
use super::state::{Execution, ExecutionStatus};
use super::wire::{Detail, Form, Object, Summary, seconds, summaries_json};

/// Identity of an execution on its thing. The status is not part of it: a head that moves from
/// QUEUED to IN_PROGRESS is the same head, and nothing is published.
pub(crate) type ExecutionId = (String, u64);

/// What notifications are decided by: who is pending, and who is first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Snapshot {
    pending: BTreeSet<ExecutionId>,
    head: Option<ExecutionId>,
}

/// Collects what one transaction touches, so that its notifications can be told at the end.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    before: BTreeMap<String, Snapshot>,
    /// Things that get a `notify` although their list is the same.
    started: BTreeSet<String>,
    /// Lifecycle events, sent after the notifications.
    pub(crate) events: Vec<Message>,
}

impl Changes {
    /// Call before the first change to an execution of `thing`.
    pub(crate) fn touch(&mut self, service: &Service, thing: &str) {
        if !self.before.contains_key(thing) {
            self.before
                .insert(thing.to_owned(), service.snapshot(thing));
        }
    }

    pub(crate) fn started(&mut self, thing: &str) {
        self.started.insert(thing.to_owned());
    }

    /// The notifications of everything touched: per thing `notify`, then `notify-next`.
    pub(crate) fn finish(self, service: &mut Service, now_ms: u64) -> Vec<Message> {
        let mut messages = Vec::new();
        for (thing, before) in &self.before {
            let after = service.snapshot(thing);
            let forced = service.settings.notify_on_start && self.started.contains(thing);
            if after.pending != before.pending || forced {
                messages.push(service.notify_message(now_ms, thing));
            }
            if after.head != before.head {
                messages.push(service.notify_next_message(now_ms, thing));
            }
        }
        messages.extend(self.events);
        messages
    }
}

impl Service {
    /// Every execution that waits or runs, in the order of the queue: IN_PROGRESS before QUEUED,
    /// then by the time of queueing. The first is what `$next` and `start-next` mean.
    ///
    /// Source: AWS IoT developer guide, jobs-comm-notifications.
    pub(crate) fn pending(&self, thing: &str) -> Vec<(ExecutionId, &Execution)> {
        let mut pending: Vec<(ExecutionId, &Execution)> = self
            .executions
            .get(thing)
            .into_iter()
            .flatten()
            .flat_map(|(job, numbers)| numbers.iter().map(move |(number, e)| (job, number, e)))
            .filter(|(_, _, execution)| !execution.status.is_terminal())
            .map(|(job, number, execution)| ((job.clone(), *number), execution))
            .collect();
        pending.sort_by_key(|(_, execution)| {
            (
                execution.status != ExecutionStatus::InProgress,
                execution.queued_at_ms,
                execution.serial,
            )
        });
        pending
    }

    fn snapshot(&self, thing: &str) -> Snapshot {
        let pending = self.pending(thing);
        Snapshot {
            head: pending.first().map(|(id, _)| id.clone()),
            pending: pending.into_iter().map(|(id, _)| id).collect(),
        }
    }

    /// The two lists a device sees, together at most the list limit; `reads` leaves out what a
    /// lagging read does not see yet.
    pub(crate) fn lists(&self, thing: &str, reads: bool) -> (Vec<Summary>, Vec<Summary>) {
        let limit = self.settings.list_limit.min(LIST_LIMIT_MAX);
        self.pending(thing)
            .into_iter()
            .filter(|(_, execution)| !reads || execution.hidden_reads == 0)
            .take(limit)
            .map(|((job_id, number), execution)| Summary {
                job_id,
                number,
                execution: execution.clone(),
            })
            .partition(|summary| summary.execution.status == ExecutionStatus::InProgress)
    }

    fn notify_message(&self, now_ms: u64, thing: &str) -> Message {
        let (in_progress, queued) = self.lists(thing, false);
        let mut jobs = Object::new();
        for (status, list) in [
            (ExecutionStatus::InProgress, in_progress),
            (ExecutionStatus::Queued, queued),
        ] {
            // Captures leave empty lists out; an empty queue is `"jobs":{}`.
            if !list.is_empty() {
                jobs = jobs.json(status.as_str(), &summaries_json(&list));
            }
        }
        let payload = Object::new()
            .number("timestamp", seconds(now_ms))
            .json("jobs", &jobs.finish());
        broadcast(format!("$aws/things/{thing}/jobs/notify"), payload)
    }

    fn notify_next_message(&mut self, now_ms: u64, thing: &str) -> Message {
        let head = self.pending(thing).into_iter().next().map(|(id, _)| id);
        let detail = head.and_then(|(job, number)| self.detail(now_ms, thing, &job, number, true));
        let execution = detail.map(|mut detail| {
            if !self.settings.thing_name_over_mqtt {
                detail.thing = None;
            }
            detail.json(Form::Mqtt)
        });
        let payload = Object::new()
            .number("timestamp", seconds(now_ms))
            .json_if("execution", execution.as_deref());
        broadcast(format!("$aws/things/{thing}/jobs/notify-next"), payload)
    }

    /// One execution as a device sees it; the document gets fresh URLs.
    pub(crate) fn detail(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        number: u64,
        with_document: bool,
    ) -> Option<Detail> {
        let execution = self.find(thing, job_id, Some(number))?.1.clone();
        let document = if with_document {
            self.resolved_document(thing, job_id, number)
        } else {
            None
        };
        Some(Detail {
            job_id: job_id.to_owned(),
            thing: Some(thing.to_owned()),
            number,
            remaining_ms: execution.deadline_ms().map(|at| at.saturating_sub(now_ms)),
            execution,
            document,
        })
    }
}

/// A message for everyone who is subscribed.
pub(crate) fn broadcast(topic: String, payload: Object) -> Message {
    Message {
        audience: Audience::Subscribers,
        topic,
        payload: payload.finish().into_bytes(),
    }
}
