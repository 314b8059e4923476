//! Receiving an image into the spare slot, through cuts of the line and of the power.

use jobs_agent_core::{JobPort, Progress, StopReason, Stopped};

use super::{
    document::FirmwarePlan,
    platform::{BLOCK_LEN, ETag, Fetch, FetchError, FetchReader, FirmwareSlots, Opened},
    saved::{Part, Saved},
};
use crate::{
    line::{Line, line},
    race::{First, race},
    system::System,
};

/// How often in a row a connection may bring nothing before the job fails.
pub const RETRIES_MAX: u8 = 5;

/// Pause before the first retry, milliseconds; it doubles from one to the next.
const RETRY_PAUSE_MS: u32 = 500;

/// How often the image may have to be received from its beginning again: an image that is replaced
/// time and again, or a server that cannot resume behind a bad line, would never come to an end.
const RESTARTS_MAX: u8 = 3;

/// HTTP statuses that are worth another try: time-outs, too many requests, a server in trouble.
const TRANSIENT: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// The range begins behind the end (RFC 9110, 15.5.17): the image is not the one begun.
const RANGE_NOT_SATISFIABLE: u16 = 416;

/// Why a step of an update ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped(StopReason),
    Failed(Line),
}

impl From<Stopped> for End {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped.0)
    }
}

/// One download: what is durable, and the block that is being filled.
pub(crate) struct Download<'h, S, D, Y> {
    slots: &'h S,
    fetch: &'h D,
    system: &'h Y,
    plan: &'h FirmwarePlan,
    checkpoint_interval: u64,
    part: Part,
    /// `part.received` at the last checkpoint.
    saved: u64,
    block: [u8; BLOCK_LEN],
    filled: usize,
    barren: u8,
    restarts: u8,
}

impl<'h, S: FirmwareSlots, D: Fetch, Y: System> Download<'h, S, D, Y> {
    pub(crate) fn new(
        (slots, fetch, system): (&'h S, &'h D, &'h Y),
        plan: &'h FirmwarePlan,
        checkpoint_interval: u32,
        part: Part,
    ) -> Self {
        Self {
            slots,
            fetch,
            system,
            plan,
            checkpoint_interval: u64::from(checkpoint_interval),
            saved: part.received,
            part,
            block: [0; BLOCK_LEN],
            filled: 0,
            barren: 0,
            restarts: 0,
        }
    }

    /// Receives what is missing; answers the length of the image when all of it is durable.
    ///
    /// # Cancel safety
    /// The last checkpoint says what is good; everything behind it is received again.
    pub(crate) async fn complete<P: JobPort>(&mut self, port: &mut P) -> Result<u64, End> {
        let kept = self
            .slots
            .prepare(self.part.received)
            .await
            .map_err(slot_fault)?;
        if kept != self.part.received {
            self.start_over("the spare slot lost what it had", port)
                .await?;
        }
        loop {
            if self.part.total == Some(self.part.received) {
                return Ok(self.part.received);
            }
            if let Some(reader) = self.connect(port).await? {
                self.receive(reader, port).await?;
            }
        }
    }

    /// Bytes received, durable or in the block.
    fn position(&self) -> u64 {
        self.part.received.saturating_add(self.filled as u64)
    }

    /// A connection that delivers the image from `position` on; `None` to try again.
    async fn connect<P: JobPort>(&mut self, port: &mut P) -> Result<Option<D::Reader>, End> {
        let position = self.position();
        let answer = {
            let open = self.fetch.open(&self.plan.url, position, &self.part.etag);
            match race(port.stopped(), open).await {
                First::Left(reason) => return Err(End::Stopped(reason)),
                First::Right(answer) => answer,
            }
        };
        let opened = match answer {
            Ok(opened) => opened,
            Err(FetchError::Status(RANGE_NOT_SATISFIABLE)) if position > 0 => {
                self.start_over("the image at the URL has become shorter", port)
                    .await?;
                return Ok(None);
            }
            Err(FetchError::Status(status)) if TRANSIENT.contains(&status) => {
                self.pause(&line(format_args!("HTTP status {status}")), port)
                    .await?;
                return Ok(None);
            }
            Err(FetchError::Status(status)) => {
                let hint = if status == 403 {
                    " (has the URL expired?)"
                } else {
                    ""
                };
                return fail(&line(format_args!("download refused: HTTP {status}{hint}")));
            }
            Err(FetchError::Connection(fault)) => {
                self.pause(&line(format_args!("{fault}")), port).await?;
                return Ok(None);
            }
        };
        self.agree(opened, position, port).await
    }

    /// Checks that the answer continues what is there, and learns about the image.
    async fn agree<P: JobPort>(
        &mut self,
        opened: Opened<D::Reader>,
        position: u64,
        port: &mut P,
    ) -> Result<Option<D::Reader>, End> {
        if opened.start != position && opened.start != 0 {
            let start = opened.start;
            return fail(&line(format_args!(
                "the server answered from byte {start}, asked for {position}"
            )));
        }
        let other_length =
            matches!((self.part.total, opened.total), (Some(ours), Some(theirs)) if ours != theirs);
        let other_image = other_length || self.part.etag.contradicts(&opened.etag);
        if position > 0 && (other_image || opened.start == 0) {
            let why = if other_image {
                "the image has changed"
            } else {
                "the server sends all"
            };
            self.start_over(why, port).await?;
            if opened.start > 0 {
                return Ok(None);
            }
        }
        if other_image || opened.etag != ETag::NONE {
            self.part.etag = opened.etag;
        }
        self.part.total = opened.total.or(self.part.total);
        let capacity = self.slots.capacity();
        match self.part.total {
            Some(0) => fail(&line(format_args!("the image at the URL is empty"))),
            Some(total) if total > capacity => too_long(total, capacity),
            Some(_) | None => Ok(Some(opened.reader)),
        }
    }

    /// Takes what the connection delivers, block by block.
    async fn receive<P: JobPort>(
        &mut self,
        mut reader: D::Reader,
        port: &mut P,
    ) -> Result<(), End> {
        loop {
            let room = self.block.get_mut(self.filled..).unwrap_or_default();
            let room_len = room.len();
            let read = match race(port.stopped(), reader.read(room)).await {
                First::Left(reason) => return Err(End::Stopped(reason)),
                First::Right(Ok(0)) => return self.body_ended(port).await,
                First::Right(Ok(read)) => read.min(room_len),
                First::Right(Err(fault)) => {
                    return self.pause(&line(format_args!("{fault}")), port).await;
                }
            };
            self.filled = self.filled.saturating_add(read);
            let position = self.position();
            let capacity = self.slots.capacity();
            if position > self.part.total.unwrap_or(capacity) {
                return too_long(position, self.part.total.unwrap_or(capacity));
            }
            let complete = self.part.total == Some(position);
            if complete || self.filled == BLOCK_LEN {
                self.store(port).await?;
            }
            if complete {
                return Ok(());
            }
        }
    }

    async fn body_ended<P: JobPort>(&mut self, port: &mut P) -> Result<(), End> {
        match (self.part.total, self.position()) {
            (Some(total), position) => {
                let why = line(format_args!("the line broke at byte {position} of {total}"));
                self.pause(&why, port).await
            }
            (None, 0) => fail(&line(format_args!("the image at the URL is empty"))),
            (None, position) => {
                // Without a length the end of the body is the end of the image; the checksum
                // tells if it is not.
                self.part.total = Some(position);
                self.store(port).await
            }
        }
    }

    /// Writes the block, tells about it, and keeps a checkpoint when one is due.
    async fn store<P: JobPort>(&mut self, port: &mut P) -> Result<(), End> {
        let block = self.block.get(..self.filled).unwrap_or_default();
        if !block.is_empty() {
            self.slots
                .write(self.part.received, block)
                .await
                .map_err(slot_fault)?;
        }
        self.part.received = self.position();
        self.filled = 0;
        self.barren = 0;
        port.report(progress(&self.part));
        let complete = self.part.total == Some(self.part.received);
        let unsaved = self.part.received.saturating_sub(self.saved);
        if complete || unsaved >= self.checkpoint_interval {
            self.slots.sync().await.map_err(slot_fault)?;
            self.save(port).await?;
        }
        Ok(())
    }

    async fn save<P: JobPort>(&mut self, port: &mut P) -> Result<(), End> {
        let checkpoint = Saved::Download(self.part.clone())
            .encode()
            .map_err(|fault| End::Failed(line(format_args!("{fault}"))))?;
        port.checkpoint(checkpoint).await?;
        self.saved = self.part.received;
        Ok(())
    }

    /// Forgets what was received. The checkpoint goes first: it must never speak of bytes that
    /// are of another image.
    async fn start_over<P: JobPort>(&mut self, why: &str, port: &mut P) -> Result<(), End> {
        self.restarts = self.restarts.saturating_add(1);
        if self.restarts > RESTARTS_MAX {
            return fail(&line(format_args!(
                "gave up after {RESTARTS_MAX} new starts: {why}"
            )));
        }
        self.system
            .note(port.job_id(), format_args!("download starts over: {why}"));
        self.part = Part {
            digest: self.part.digest,
            ..Part::default()
        };
        self.filled = 0;
        self.save(port).await?;
        self.slots.prepare(0).await.map_err(slot_fault)?;
        Ok(())
    }

    /// Waits before another connection; fails after too many that brought nothing.
    async fn pause<P: JobPort>(&mut self, why: &Line, port: &mut P) -> Result<(), End> {
        if self.barren >= RETRIES_MAX {
            return fail(&line(format_args!("download given up: {why}")));
        }
        let wait_ms = RETRY_PAUSE_MS.saturating_mul(1 << self.barren);
        self.barren = self.barren.saturating_add(1);
        self.system.note(
            port.job_id(),
            format_args!("{why}; trying again in {wait_ms} ms"),
        );
        match race(port.stopped(), self.system.pause_ms(wait_ms)).await {
            First::Left(reason) => Err(End::Stopped(reason)),
            First::Right(()) => Ok(()),
        }
    }
}

fn progress(part: &Part) -> Progress {
    let received = line(format_args!("{}", part.received));
    let percent = part
        .total
        .and_then(|total| part.received.saturating_mul(100).checked_div(total))
        .and_then(|percent| u8::try_from(percent).ok());
    let progress = percent.map_or_else(Progress::new, Progress::percent);
    progress.with("received", received.as_str())
}

fn fail<T>(why: &Line) -> Result<T, End> {
    Err(End::Failed(why.clone()))
}

fn too_long<T>(len: u64, room: u64) -> Result<T, End> {
    fail(&line(format_args!(
        "the image has {len} bytes or more, there is room for {room}"
    )))
}

pub(crate) fn slot_fault<E: core::fmt::Display>(fault: E) -> End {
    End::Failed(line(format_args!("firmware slot: {fault}")))
}
