//! Effects of the core, performed one after another.

use embassy_time::{Duration, TimeoutError, with_timeout};
use jobs_agent_core::{Boot, Completion, Filters, JobHandler, Millis, Output, Receipt};

use super::Driver;
use crate::{
    board::{Board, empty},
    clock,
    desk::Desk,
    fmt::Shown,
    link::{Connection, LinkError, SendError},
    store::{RecordStore, StoreErrorKind, StoreFault},
};

/// How long a reset may take to happen, milliseconds: a watchdog of eight seconds bites in time.
const RESET_WAIT_MS: u64 = 10_000;
/// How long a packet may take to leave; then the connection is taken for dead.
const SEND_WAIT: Duration = Duration::from_secs(15);
/// Sends without room in a row after which the broker is taken for deaf: it acknowledges nothing.
const BUSY_MAX: u8 = 8;

/// An effect that takes its time.
enum Effect<'s> {
    Persist(Receipt, u8, &'s [u8]),
    Erase(Receipt, u8),
    Transmit(Receipt, &'s str, &'s [u8], bool),
    Subscribe(Receipt, Filters<'s>),
    Reset(Receipt),
    Wait(Option<Millis>),
}

/// Performs what takes no time; the rest is handed on.
fn at_once<'s, P, const JOBS: usize>(
    desk: &Desk<'_, P, JOBS>,
    output: Output<'s>,
) -> Option<Effect<'s>> {
    match output {
        Output::Persist {
            receipt,
            slot,
            record,
        } => return Some(Effect::Persist(receipt, slot, record)),
        Output::Erase { receipt, slot } => return Some(Effect::Erase(receipt, slot)),
        Output::Transmit {
            receipt,
            topic,
            payload,
            at_least_once,
        } => return Some(Effect::Transmit(receipt, topic, payload, at_least_once)),
        Output::Subscribe { receipt, filters } => {
            return Some(Effect::Subscribe(receipt, filters));
        }
        Output::Reboot(permit) => return Some(Effect::Reset(permit.into_receipt())),
        Output::Wait(until) => return Some(Effect::Wait(until)),
        Output::Run(permit) => desk.start(permit),
        Output::Saved { slot, run } => desk.saved(slot, run),
        Output::Stop { slot, run, reason } => desk.stop(slot, run, reason),
        Output::Ended { job_id, ending, .. } => {
            info!("{}: ended, {}", job_id.as_str(), Shown(ending));
        }
    }
    None
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
            let Self { desk, scratch, .. } = self;
            let now = clock::now();
            let Some(effect) = at_once(desk, desk.core(|core| core.poll(now, scratch))) else {
                continue;
            };
            let (receipt, completion) = match effect {
                Effect::Wait(until) => return Ok(until),
                Effect::Persist(receipt, slot, record) => {
                    (receipt, save(self.store, self.boot, slot, record).await)
                }
                Effect::Erase(receipt, slot) => (receipt, erase(self.store, self.boot, slot).await),
                Effect::Reset(receipt) => {
                    info!("everything is durable: resetting the board");
                    let wait = Duration::from_millis(RESET_WAIT_MS);
                    // However it ends: the board is still up.
                    let _ = with_timeout(wait, self.board.reset()).await;
                    error!("the board was not reset");
                    (receipt, Completion::Failed)
                }
                Effect::Transmit(receipt, topic, payload, at_least_once) => {
                    let sent = match connection.as_mut() {
                        Some(connection) => {
                            let sending = connection.publish(topic, payload, at_least_once);
                            patient(with_timeout(SEND_WAIT, sending).await)
                        }
                        None => Err(SendError::Busy),
                    };
                    (receipt, self.sent(sent)?)
                }
                Effect::Subscribe(receipt, filters) => {
                    let sent = match connection.as_mut() {
                        Some(connection) => {
                            patient(with_timeout(SEND_WAIT, connection.subscribe(filters)).await)
                        }
                        None => Err(SendError::Busy),
                    };
                    let completion = self.sent(sent)?;
                    if completion == Completion::Done {
                        // Done is what SUBACK says.
                        self.subscribe = Some(receipt);
                        continue;
                    }
                    (receipt, completion)
                }
            };
            self.done(receipt, completion);
        }
    }

    /// What a send means: a failure for the core, or the end of the connection.
    fn sent(&mut self, result: Result<(), SendError>) -> Result<Completion, LinkError> {
        match result {
            Ok(()) => {
                self.busy = 0;
                Ok(Completion::Done)
            }
            Err(SendError::Lost(why)) => Err(why),
            Err(SendError::Busy) => {
                self.busy = self.busy.saturating_add(1);
                if self.busy >= BUSY_MAX {
                    return Err(LinkError::TimedOut);
                }
                Ok(Completion::Failed)
            }
        }
    }
}

/// The end of a send, or of our patience.
fn patient(sent: Result<Result<(), SendError>, TimeoutError>) -> Result<(), SendError> {
    sent.unwrap_or(Err(SendError::Lost(LinkError::TimedOut)))
}

/// Makes a record durable; in a damaged store, after emptying it: the other records of this run
/// are still in the core, and are written again with their next change.
async fn save<S: RecordStore>(store: &mut S, boot: &Boot, slot: u8, record: &[u8]) -> Completion {
    let mut result = store.save(slot, record).await;
    if is_damaged(&result) && empty(store, boot).await.is_ok() {
        result = store.save(slot, record).await;
    }
    completion(result)
}

async fn erase<S: RecordStore>(store: &mut S, boot: &Boot, slot: u8) -> Completion {
    let mut result = store.erase(slot).await;
    if is_damaged(&result) {
        result = empty(store, boot).await;
    }
    completion(result)
}

fn is_damaged<E: StoreFault>(result: &Result<(), E>) -> bool {
    let damaged = matches!(result, Err(error) if error.kind() == StoreErrorKind::Corrupted);
    if damaged {
        error!("the record store is damaged: emptied");
    }
    damaged
}

fn completion<E: StoreFault>(result: Result<(), E>) -> Completion {
    match result {
        Ok(()) => Completion::Done,
        Err(error) => {
            error!("a record could not be written: {}", Shown(&error));
            Completion::Failed
        }
    }
}
