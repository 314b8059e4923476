//! The outside observer: counts effects, and checks the promises at every output.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
};

use jobs_agent_core::{BootId, Ending, RecordKind, RunPermit, Status, StopReason};
use jobs_emulator::model::{ExecutionStatus, Service};
use serde_json::Value;

use crate::{board::Found, store::Store};

/// What was seen, and every promise that was broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Observer {
    effects: BTreeMap<(String, String), usize>,
    runs: BTreeMap<String, usize>,
    stops: BTreeMap<String, StopReason>,
    endings: Vec<(String, Ending)>,
    /// The terminal status that was reported first, per job and execution.
    reported: BTreeMap<(String, i64), String>,
    reports: usize,
    reboots_wanted: BTreeMap<String, BootId>,
    stumbled: BTreeSet<(String, usize)>,
    store_broke: bool,
    /// What restarts found, and why messages changed nothing: places that a story came to.
    found: Vec<Found>,
    ignored: BTreeSet<&'static str>,
    /// Sentences about broken promises; empty in a good run.
    pub violations: Vec<String>,
}

impl Observer {
    pub(crate) fn effect(&mut self, job: &str, name: &str) {
        *self.effects.entry((job.into(), name.into())).or_default() += 1;
    }

    /// Whether this is the first time that the job comes to this step.
    pub(crate) fn stumbles(&mut self, job: &str, step: usize) -> bool {
        self.stumbled.insert((job.into(), step))
    }

    pub(crate) fn stopped(&mut self, job: &str, reason: StopReason) {
        self.stops.insert(job.into(), reason);
    }

    pub(crate) fn wants_reboot(&mut self, job: &str, boot: BootId) {
        self.reboots_wanted.insert(job.into(), boot);
    }

    pub(crate) fn ended(&mut self, job: &str, ending: Ending) {
        self.endings.push((job.into(), ending));
    }

    pub(crate) fn violation(&mut self, text: String) {
        self.violations.push(text);
    }

    /// Forgets what was only counted: what it remembers is what a later check needs.
    pub(crate) fn forget_counts(&mut self) {
        self.effects.clear();
        self.runs.clear();
        self.stops.clear();
        self.endings.clear();
        self.found.clear();
        self.ignored.clear();
        self.reports = 0;
    }

    /// What a later check may depend on; a boot counts by whether it is the present one.
    pub(crate) fn hash_memory(&self, boot: BootId, into: &mut impl Hasher) {
        self.reported.hash(into);
        for (job, wanted) in &self.reboots_wanted {
            (job, *wanted == boot).hash(into);
        }
        self.stumbled.hash(into);
    }

    pub(crate) fn restored(&mut self, found: &[Found]) {
        self.found.extend_from_slice(found);
    }

    pub(crate) fn ignored_message(&mut self, why: &'static str) {
        self.ignored.insert(why);
    }

    pub(crate) fn found(&self) -> impl Iterator<Item = Found> + '_ {
        self.found.iter().copied()
    }

    pub(crate) fn ignored(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.ignored.iter().copied()
    }

    pub(crate) fn all_endings(&self) -> impl Iterator<Item = (&str, Ending)> {
        self.endings
            .iter()
            .map(|(job, ending)| (job.as_str(), *ending))
    }

    /// The store broke its promise: what was reported may be forgotten, and done again.
    pub(crate) fn store_broke(&mut self) {
        self.store_broke = true;
    }

    /// P1: a start is durable here and confirmed there.
    pub(crate) fn check_run(
        &mut self,
        permit: &RunPermit<'_>,
        instant: bool,
        store: &Store,
        service: &Service,
        thing: &str,
        running: &[&str],
    ) {
        let job = permit.job_id().as_str();
        *self.runs.entry(job.into()).or_default() += 1;
        if running.contains(&job) {
            self.violation(format!("P1: {job} runs twice at a time"));
        }
        if instant {
            return;
        }
        let record = store.record(permit.slot());
        let durable = record.is_some_and(|record| {
            record.job_id == job
                && matches!(record.kind, RecordKind::Started | RecordKind::Checkpoint)
        });
        if !durable {
            self.violation(format!("P1: {job} runs without a durable start"));
        }
        // The execution that is meant: a retry may be queued behind it.
        let number = permit.execution_number();
        let queued = service
            .execution(thing, job, number.and_then(|n| u64::try_from(n).ok()))
            .is_some_and(|execution| execution.status == ExecutionStatus::Queued);
        if queued {
            self.violation(format!("P1: {job} runs unconfirmed"));
        }
        let execution = number.unwrap_or_default();
        if !self.store_broke && self.reported.contains_key(&(job.into(), execution)) {
            self.violation(format!(
                "P1: {job} runs again after its outcome was reported"
            ));
        }
    }

    /// P2, P4: an outcome is durable before it is sent, has one value, and comes after the reset.
    pub(crate) fn check_transmit(
        &mut self,
        topic: &str,
        payload: &[u8],
        store: &Store,
        boot: BootId,
        (service, thing): (&Service, &str),
    ) {
        let Some(job) = topic
            .strip_suffix("/update")
            .and_then(|rest| rest.rsplit('/').next())
        else {
            return;
        };
        let Ok(update) = serde_json::from_slice::<Value>(payload) else {
            return self.violation(format!("unreadable update of {job}"));
        };
        let status = update["status"].as_str().unwrap_or_default().to_string();
        let expected = match status.as_str() {
            "SUCCEEDED" => Status::Succeeded,
            "FAILED" => Status::Failed,
            "REJECTED" => Status::Rejected,
            _ => return,
        };
        self.reports += 1;
        let durable = store.all().any(|(slot, _)| {
            store.record(slot).is_some_and(|record| {
                record.job_id == job && record.kind == RecordKind::Outcome(expected)
            })
        });
        if !durable {
            self.violation(format!("P2: {status} of {job} sent before it was durable"));
        }
        let execution = update["executionNumber"].as_i64().unwrap_or_default();
        let first = self
            .reported
            .entry((job.into(), execution))
            .or_insert_with(|| status.clone());
        // A late offer of a job that is over may be declined: it is not known here any more, and
        // the service lets the refusal come to nothing.
        let declined_late = expected == Status::Rejected
            && service
                .execution(thing, job, u64::try_from(execution).ok())
                .is_some_and(|execution| is_over(execution.status));
        if *first != status && !declined_late {
            let text = format!("P2: {job} reported {first} and then {status}");
            self.violation(text);
        }
        if status == "SUCCEEDED" && self.reboots_wanted.get(job) == Some(&boot) {
            self.violation(format!("P4: {job} succeeded in the boot that was to end"));
        }
    }

    /// P2: a record is erased only when the service has the outcome, or the job is over there.
    pub(crate) fn check_erase(&mut self, slot: u8, store: &Store, service: &Service, thing: &str) {
        let Some(record) = store.record(slot) else {
            return;
        };
        let number = record
            .execution_number
            .and_then(|number| u64::try_from(number).ok());
        let open = service
            .execution(thing, &record.job_id, number)
            .is_some_and(|execution| !is_over(execution.status));
        if open {
            self.violation(format!(
                "P2: record of {} erased before its end",
                record.job_id
            ));
        }
    }

    /// P4: a reset is durable before it happens.
    pub(crate) fn check_reboot(&mut self, slot: u8, store: &Store, boot: BootId) {
        let durable = store
            .record(slot)
            .is_some_and(|record| record.kind == RecordKind::Reboot && record.boot == boot);
        if !durable {
            self.violation(format!(
                "P4: reset of slot {slot} before its wish was durable"
            ));
        }
    }
}

fn is_over(status: ExecutionStatus) -> bool {
    !matches!(
        status,
        ExecutionStatus::Queued | ExecutionStatus::InProgress
    )
}

/// The end of a story.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) observer: Observer,
    /// Status per job at the service, `None` if it is gone.
    pub(crate) statuses: BTreeMap<String, Option<&'static str>>,
    pub(crate) details: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether the story came to its end: every job over, the device idle.
    pub settled: bool,
    /// How many effects the agent asked for.
    pub outputs: usize,
    /// Whether the planned crash happened.
    pub crashed: bool,
    /// What the store held after the crash.
    pub found: Vec<Found>,
    /// Publishes the device sent.
    pub published: usize,
    /// SUBSCRIBE packets the device sent.
    pub subscribed: usize,
    /// Writes and erasures of records.
    pub writes: usize,
    /// Virtual time at the end, milliseconds.
    pub end_ms: u64,
}

impl Report {
    /// The job's status at the service.
    #[must_use]
    pub fn status(&self, job: &str) -> Option<&'static str> {
        self.statuses.get(job).copied().flatten()
    }

    /// One of the job's statusDetails at the service.
    #[must_use]
    pub fn detail(&self, job: &str, key: &str) -> Option<&str> {
        self.details.get(job)?.get(key).map(String::as_str)
    }

    /// How often an effect of the job happened.
    #[must_use]
    pub fn effects(&self, job: &str, name: &str) -> usize {
        self.observer
            .effects
            .get(&(job.into(), name.into()))
            .copied()
            .unwrap_or(0)
    }

    /// How often a handler was started for the job.
    #[must_use]
    pub fn runs(&self, job: &str) -> usize {
        self.observer.runs.get(job).copied().unwrap_or(0)
    }

    /// Why the job's handler was told to stop, if it was.
    #[must_use]
    pub fn stop(&self, job: &str) -> Option<StopReason> {
        self.observer.stops.get(job).copied()
    }

    /// How the job's executions ended on the device, in order.
    #[must_use]
    pub fn endings(&self, job: &str) -> Vec<Ending> {
        let of_job = self.observer.endings.iter().filter(|(id, _)| id == job);
        of_job.map(|(_, ending)| *ending).collect()
    }

    /// How many terminal reports were sent.
    #[must_use]
    pub fn reports(&self) -> usize {
        self.observer.reports
    }

    /// The promises that were broken.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.observer.violations
    }

    /// Panics with the whole story unless every promise was kept and the story came to its end.
    ///
    /// # Panics
    /// If a promise was broken or something is stuck.
    pub fn assert_kept(&self, story: &str) {
        assert!(
            self.violations().is_empty(),
            "{story}: {:#?}",
            self.violations()
        );
        assert!(self.settled, "{story}: stuck, {:?}", self.statuses);
    }
}
