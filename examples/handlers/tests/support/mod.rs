//! A device in memory: slots that tear, a server that fails, power that goes off.
#![allow(dead_code)] // Each test program uses its own part.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use handlers::{
    BLOCK_LEN, ETag, Fetch, FetchError, FetchReader, FirmwareSlots, FirmwareUpdate, Line, Opened,
    SelfTest, System, Version, line,
};
use jobs_agent_core::{
    Attempt, Checkpoint, JobHandler, JobPort, Offer, Outcome, Progress, Refusal, StopReason,
    Stopped,
};
use jobs_proto::{JobId, document::Document};
use sha2::{Digest, Sha256};

/// Bytes that one read delivers: no divisor of a block.
const READ_LEN: usize = 1_000;

/// Attempts that the agent allows.
const ATTEMPTS: u8 = 3;

/// Runs a future to its end; `None` if the power went off (it waits for what never comes).
pub(crate) fn drive<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// An offer with this document.
pub(crate) fn offer(document: &str) -> Offer<'_> {
    Offer {
        job_id: JobId::new("job-1").unwrap(),
        execution_number: Some(1),
        status: None,
        status_details: None,
        document: Document(document.as_bytes()),
        resuming: false,
    }
}

/// The reason of a plan that is refused.
pub(crate) fn refusal<H: JobHandler>(handler: &H, document: &str) -> String {
    match handler.plan(&offer(document)) {
        Err(Refusal::Reject(reason)) => reason.as_str().to_owned(),
        Err(other) => panic!("{document}: {other:?}"),
        Ok(_) => panic!("{document}: taken"),
    }
}

/// A detail of an outcome.
pub(crate) fn detail(outcome: &Outcome, key: &str) -> Option<String> {
    let (Outcome::Succeeded(details) | Outcome::Failed(details) | Outcome::Rejected(details)) =
        outcome
    else {
        return None;
    };
    details
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
}

#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) version: String,
    pub(crate) bytes: Vec<u8>,
    synced: usize,
}

#[derive(Default)]
pub(crate) struct Slots {
    pub(crate) slots: [Slot; 2],
    pub(crate) active: usize,
    next: usize,
    trial: bool,
    trial_booted: bool,
    pub(crate) fail_roll_back: bool,
}

impl Slots {
    /// What the boot loader does at a reset.
    fn boot(&mut self) {
        if self.trial && self.trial_booted {
            self.next = 1 - self.active;
            self.trial = false;
        }
        self.trial_booted = self.trial;
        self.active = self.next;
    }

    pub(crate) fn running(&self) -> &Slot {
        &self.slots[self.active]
    }
}

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) image: Vec<u8>,
    pub(crate) etag: String,
    pub(crate) ignores_range: bool,
    pub(crate) hides_length: bool,
    /// Positions at which the line breaks, each once.
    pub(crate) cuts: VecDeque<u64>,
    /// Statuses answered first.
    pub(crate) statuses: VecDeque<u16>,
    /// What was delivered: first byte and count.
    pub(crate) log: Vec<(u64, u64)>,
    /// Put in place of the image when so many bytes were delivered.
    pub(crate) replacement: Option<(u64, Vec<u8>, String)>,
}

impl Server {
    pub(crate) fn delivered(&self) -> u64 {
        self.log.iter().map(|(_, count)| count).sum()
    }
}

/// The device and its surroundings.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) slots: RefCell<Slots>,
    pub(crate) server: RefCell<Server>,
    pub(crate) notes: RefCell<Vec<String>>,
    pub(crate) pauses: Cell<usize>,
    pub(crate) pause_for_ever: Cell<bool>,
    pub(crate) self_test: RefCell<Option<String>>,
    pub(crate) checks: Cell<usize>,
    /// Effects until the power goes off.
    pub(crate) power: Cell<Option<usize>>,
    pub(crate) effects: Cell<usize>,
    pub(crate) checkpoints: RefCell<Vec<Checkpoint>>,
    pub(crate) reports: RefCell<Vec<Progress>>,
    pub(crate) stop: Cell<Option<StopReason>>,
    /// Stop when so many bytes were delivered.
    pub(crate) stop_at: Cell<Option<u64>>,
    pub(crate) attempt: Cell<u8>,
}

#[derive(Clone)]
pub(crate) struct Device(pub(crate) Rc<World>);

pub(crate) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl World {
    /// Every effect passes here; without power it never happens.
    async fn effect(&self) {
        self.effects.set(self.effects.get() + 1);
        match self.power.get() {
            Some(0) => std::future::pending().await,
            Some(left) => self.power.set(Some(left - 1)),
            None => {}
        }
    }
}

pub(crate) type Update = FirmwareUpdate<Device, Device, Device, Device>;

impl Device {
    /// A device that runs 1.0.0, and a server with an image of this length.
    pub(crate) fn new(image_len: usize) -> Self {
        let image: Vec<u8> = (0..image_len).map(|i| (i * 7 + i / 251) as u8).collect();
        let world = World::default();
        world.slots.borrow_mut().slots[0].version = "1.0.0".into();
        *world.server.borrow_mut() = Server {
            image,
            etag: "\"one\"".into(),
            ..Server::default()
        };
        world.attempt.set(1);
        Self(Rc::new(world))
    }

    pub(crate) fn document(&self) -> String {
        self.document_with(&self.0.server.borrow().image, "true")
    }

    pub(crate) fn document_with(&self, image: &[u8], reboot: &str) -> String {
        let sum: String = Sha256::digest(image)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!(
            r#"{{"operation":"firmwareUpdate","firmwareVersion":"1.1.0",
            "downloadUrl":"http://host/fw.bin","checksum":"sha256:{sum}",
            "rebootRequired":{reboot},"timeout":300}}"#
        )
    }

    pub(crate) fn handler(&self) -> Update {
        FirmwareUpdate::new(self.clone(), self.clone(), self.clone(), self.clone())
            .with_checkpoint_interval(2 * BLOCK_LEN as u32)
    }

    /// What an agent does with a job, to its outcome: runs, resumes after a loss of power, resets
    /// when asked. `resets` tells whether losing power resets the device or ends the process.
    pub(crate) fn perform(&self, document: &str, resets: bool) -> Outcome {
        let (world, handler, mut port) = (&*self.0, self.handler(), self.clone());
        let mut from: Option<Checkpoint> = None;
        let mut attempt = 1;
        loop {
            assert!(attempt <= ATTEMPTS, "the agent would have given up");
            world.attempt.set(attempt);
            let planned = || handler.plan(&offer(document)).unwrap().1;
            let tag = handler.plan(&offer(document)).unwrap().0;
            let ended = match &from {
                None => drive(handler.run(planned(), &mut port)),
                Some(checkpoint) => {
                    let plan = checkpoint.needs_document().then(planned);
                    drive(handler.resume(tag, checkpoint, plan, &mut port))
                }
            };
            let kept = world.checkpoints.borrow().last().cloned();
            if kept != from {
                attempt = 0;
                from = kept;
            }
            // What was returned counts once its record is durable.
            let ended = ended.filter(|_| drive(world.effect()).is_some());
            match ended {
                Some(Outcome::Reboot(checkpoint)) => {
                    world.checkpoints.borrow_mut().push(checkpoint.clone());
                    from = Some(checkpoint);
                    attempt = 0;
                    world.slots.borrow_mut().boot();
                }
                Some(outcome) => return outcome,
                None => {
                    world.power.set(None);
                    if resets {
                        self.reset();
                    }
                }
            }
            attempt += 1;
        }
    }

    /// A reset at any time: what was not made durable is lost.
    pub(crate) fn reset(&self) {
        let mut slots = self.0.slots.borrow_mut();
        for slot in &mut slots.slots {
            let synced = slot.synced;
            slot.bytes.truncate(synced);
        }
        slots.boot();
    }

    /// What the spare slot holds.
    pub(crate) fn spare(&self) -> Vec<u8> {
        let slots = self.0.slots.borrow();
        slots.slots[1 - slots.active].bytes.clone()
    }

    pub(crate) fn running(&self) -> String {
        self.0.slots.borrow().running().version.clone()
    }
}

impl FirmwareSlots for Device {
    type Error = Fault;

    fn capacity(&self) -> u64 {
        1 << 20
    }

    async fn running_version(&self) -> Result<Version, Fault> {
        Ok(Version::try_from(self.running().as_str()).unwrap())
    }

    async fn prepare(&self, keep: u64) -> Result<u64, Fault> {
        self.0.effect().await;
        let mut slots = self.0.slots.borrow_mut();
        let spare = 1 - slots.active;
        let spare = &mut slots.slots[spare];
        spare.bytes.truncate(keep as usize);
        spare.synced = spare.synced.min(spare.bytes.len());
        Ok(spare.bytes.len() as u64)
    }

    async fn write(&self, offset: u64, block: &[u8]) -> Result<(), Fault> {
        self.0.effect().await;
        let mut slots = self.0.slots.borrow_mut();
        let spare = 1 - slots.active;
        let spare = &mut slots.slots[spare];
        assert_eq!(offset as usize, spare.bytes.len(), "blocks come in order");
        assert_eq!(offset as usize % BLOCK_LEN, 0, "blocks are aligned");
        spare.bytes.extend_from_slice(block);
        Ok(())
    }

    async fn sync(&self) -> Result<(), Fault> {
        self.0.effect().await;
        let mut slots = self.0.slots.borrow_mut();
        let spare = 1 - slots.active;
        slots.slots[spare].synced = slots.slots[spare].bytes.len();
        Ok(())
    }

    async fn read(&self, offset: u64, block: &mut [u8]) -> Result<(), Fault> {
        let slots = self.0.slots.borrow();
        let spare = &slots.slots[1 - slots.active].bytes;
        let from = offset as usize;
        let bytes = spare
            .get(from..from + block.len())
            .ok_or_else(|| Fault("too short".into()))?;
        block.copy_from_slice(bytes);
        Ok(())
    }

    async fn switch(&self, version: &str, len: u64, on_trial: bool) -> Result<(), Fault> {
        self.0.effect().await;
        let mut slots = self.0.slots.borrow_mut();
        let spare = 1 - slots.active;
        assert_eq!(slots.slots[spare].bytes.len() as u64, len);
        slots.slots[spare].version = version.into();
        slots.next = spare;
        slots.trial = on_trial;
        slots.trial_booted = false;
        Ok(())
    }

    async fn confirm(&self) -> Result<(), Fault> {
        self.0.effect().await;
        self.0.slots.borrow_mut().trial = false;
        Ok(())
    }

    async fn roll_back(&self) -> Result<(), Fault> {
        self.0.effect().await;
        let mut slots = self.0.slots.borrow_mut();
        if slots.fail_roll_back {
            return Err(Fault("boot flags are read-only".into()));
        }
        if slots.trial {
            slots.next = if slots.trial_booted {
                1 - slots.active
            } else {
                slots.active
            };
            slots.trial = false;
        }
        Ok(())
    }
}

pub(crate) struct Body {
    world: Rc<World>,
    image: Vec<u8>,
    position: u64,
}

impl Fetch for Device {
    type Error = Fault;
    type Reader = Body;

    async fn open(
        &self,
        url: &str,
        offset: u64,
        etag: &ETag,
    ) -> Result<Opened<Body>, FetchError<Fault>> {
        assert_eq!(url, "http://host/fw.bin");
        let mut server = self.0.server.borrow_mut();
        if let Some(status) = server.statuses.pop_front() {
            return Err(FetchError::Status(status));
        }
        let total = server.image.len() as u64;
        let same = etag.as_str().is_none_or(|tag| tag == server.etag);
        let start = if server.ignores_range || !same {
            0
        } else {
            offset
        };
        if start > 0 && start >= total {
            return Err(FetchError::Status(416));
        }
        server.log.push((start, 0));
        let body = Body {
            world: self.0.clone(),
            image: server.image.clone(),
            position: start,
        };
        Ok(Opened {
            start,
            total: (!server.hides_length).then_some(total),
            etag: ETag::new(&server.etag),
            reader: body,
        })
    }
}

impl FetchReader for Body {
    type Error = Fault;

    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        let mut server = self.world.server.borrow_mut();
        let rest = &self.image[self.position as usize..];
        let mut count = rest.len().min(READ_LEN).min(into.len());
        if let Some(cut) = server.cuts.front().copied() {
            if self.position == cut {
                server.cuts.pop_front();
                return Err(Fault("connection reset".into()));
            }
            count = count.min(cut.saturating_sub(self.position) as usize);
        }
        into[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        server.log.last_mut().unwrap().1 += count as u64;
        let delivered = server.delivered();
        if let Some((_, image, etag)) = server.replacement.take_if(|(at, ..)| delivered >= *at) {
            (server.image, server.etag) = (image, etag);
        }
        if self.world.stop_at.get().is_some_and(|at| delivered >= at) {
            self.world.stop.set(Some(StopReason::Canceled));
        }
        Ok(count)
    }
}

impl SelfTest for Device {
    async fn check(&self, version: &str) -> Result<(), Line> {
        self.0.effect().await;
        assert_eq!(version, self.running());
        self.0.checks.set(self.0.checks.get() + 1);
        match &*self.0.self_test.borrow() {
            Some(why) => Err(line(format_args!("{why}"))),
            None => Ok(()),
        }
    }
}

impl System for Device {
    async fn pause_ms(&self, _: u32) {
        self.0.pauses.set(self.0.pauses.get() + 1);
        if self.0.pause_for_ever.get() {
            std::future::pending::<()>().await;
        }
    }

    fn note(&self, _: &str, what: fmt::Arguments<'_>) {
        self.0.notes.borrow_mut().push(what.to_string());
    }
}

impl JobPort for Device {
    async fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Stopped> {
        if let Some(reason) = self.0.stop.get() {
            return Err(Stopped(reason));
        }
        self.0.effect().await;
        self.0.checkpoints.borrow_mut().push(checkpoint);
        Ok(())
    }

    fn report(&mut self, progress: Progress) {
        self.0.reports.borrow_mut().push(progress);
    }

    fn stop_requested(&self) -> Option<StopReason> {
        self.0.stop.get()
    }

    async fn stopped(&mut self) -> StopReason {
        std::future::poll_fn(|_| self.0.stop.get().map_or(Poll::Pending, Poll::Ready)).await
    }

    fn deadline_ms(&self) -> Option<u64> {
        None
    }

    fn attempt(&self) -> Attempt {
        Attempt {
            number: self.0.attempt.get(),
            last: ATTEMPTS,
        }
    }

    fn job_id(&self) -> &str {
        "job-1"
    }
}
