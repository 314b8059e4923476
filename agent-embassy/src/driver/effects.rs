//! Effects of the core, performed one after another.

use embassy_time::{Duration, with_timeout};
use jobs_agent_core::{JobHandler, Millis, Output, Receipt, Scratch};

use super::Driver;
use crate::{
    board::{Board, keep},
    desk::Desk,
    fmt::Shown,
    link::{Connection, LinkError, Packet, SendError},
    store::RecordStore,
};

/// How long a reset may take to happen, milliseconds: a watchdog of eight seconds bites in time.
const RESET_WAIT_MS: u64 = 10_000;
/// How long a packet may take to leave; then the connection is taken for dead.
const SEND_WAIT: Duration = Duration::from_secs(15);
/// Sends without room in a row after which the broker is taken for deaf: it acknowledges nothing.
const BUSY_MAX: u8 = 8;

/// An effect that takes its time.
enum Effect<'s> {
    /// Make the record of a slot durable; an empty one is none.
    Keep(Receipt, u8, &'s [u8]),
    Send(Receipt, Packet<'s>),
    Reset(Receipt),
    Wait(Option<Millis>),
}

/// Performs what takes no time, up to an effect that does.
#[inline(never)]
fn next<'s, P, const JOBS: usize>(
    desk: &Desk<'_, P, JOBS>,
    scratch: &'s mut Scratch,
) -> Option<Effect<'s>> {
    let output = desk.core(|core, now| core.poll(now, scratch));
    Some(match output {
        Output::Persist {
            receipt,
            slot,
            record,
        } => Effect::Keep(receipt, slot, record),
        Output::Erase { receipt, slot } => Effect::Keep(receipt, slot, &[]),
        Output::Transmit {
            receipt,
            topic,
            payload,
            at_least_once,
        } => Effect::Send(
            receipt,
            Packet::Publish {
                topic,
                payload,
                at_least_once,
            },
        ),
        Output::Subscribe { receipt, filters } => Effect::Send(receipt, Packet::Subscribe(filters)),
        Output::Reboot(permit) => Effect::Reset(permit.into_receipt()),
        Output::Wait(until) => Effect::Wait(until),
        Output::Run(permit) => {
            desk.start(permit);
            return None;
        }
        Output::Saved { slot, run } => {
            desk.saved(slot, run);
            return None;
        }
        Output::Stop { slot, run, reason } => {
            desk.stop(slot, run, reason);
            return None;
        }
        Output::Ended { job_id, ending, .. } => {
            info!("{}: ended, {}", job_id.as_str(), Shown(ending));
            return None;
        }
    })
}

impl<S, B, H, const JOBS: usize> Driver<'_, '_, S, B, H, JOBS>
where
    S: RecordStore,
    B: Board,
    H: JobHandler,
{
    /// Performs effects until the core waits; returns until when. Handlers go on meanwhile.
    ///
    /// # Errors
    /// The connection is over.
    pub(super) async fn drain<C: Connection>(
        &mut self,
        mut connection: Option<&mut C>,
    ) -> Result<Option<Millis>, LinkError> {
        loop {
            let Some(effect) = next(self.desk, self.scratch) else {
                continue;
            };
            let (receipt, is_done) = match effect {
                Effect::Wait(until) => return Ok(until),
                Effect::Keep(receipt, slot, record) => {
                    let kept = apart!(keep(self.store, self.boot, slot, record));
                    if let Err(error) = &kept {
                        error!("a record could not be written: {}", Shown(error));
                    }
                    (receipt, kept.is_ok())
                }
                Effect::Reset(receipt) => {
                    info!("everything is durable: resetting the board");
                    let wait = Duration::from_millis(RESET_WAIT_MS);
                    // However it ends: the board is still up.
                    let _ = with_timeout(wait, self.board.reset()).await;
                    error!("the board was not reset");
                    (receipt, false)
                }
                Effect::Send(receipt, packet) => {
                    let is_subscribe = matches!(packet, Packet::Subscribe(_));
                    let sent = match connection.as_mut() {
                        Some(connection) => apart!(send(*connection, packet)),
                        None => Err(SendError::Busy),
                    };
                    let is_sent = self.sent(sent)?;
                    if is_sent && is_subscribe {
                        // Done is what SUBACK says.
                        self.subscribe = Some(receipt);
                        continue;
                    }
                    (receipt, is_sent)
                }
            };
            self.desk.done(receipt, is_done);
        }
    }

    /// What a send means: a failure for the core, or the end of the connection.
    fn sent(&mut self, result: Result<(), SendError>) -> Result<bool, LinkError> {
        match result {
            Ok(()) => {
                self.busy = 0;
                Ok(true)
            }
            Err(SendError::Lost(why)) => Err(why),
            Err(SendError::Busy) => {
                self.busy = self.busy.saturating_add(1);
                if self.busy >= BUSY_MAX {
                    return Err(LinkError::TimedOut);
                }
                Ok(false)
            }
        }
    }
}

/// Sends a packet, within our patience.
async fn send<C: Connection>(connection: &mut C, packet: Packet<'_>) -> Result<(), SendError> {
    let sent = with_timeout(SEND_WAIT, connection.send(packet)).await;
    sent.unwrap_or(Err(SendError::Lost(LinkError::TimedOut)))
}
