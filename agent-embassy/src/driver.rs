//! Performs the core's effects in its order, and hands it what happens.
//!
//! Nothing about jobs is decided here. What the core leaves to an adapter:
//!
//! * A publish counts as done when its packet is on its way. Only a failure matters to the core,
//!   and a lost connection fails all that was out.
//! * A SUBSCRIBE counts as done when every filter was granted.
//! * A reset counts as failed when the board is still up after `RESET_WAIT_MS`.

mod effects;

use core::{convert::Infallible, pin::pin};

use embassy_futures::{
    select::{Either3, select3},
    yield_now,
};
use embassy_time::{Duration, Timer, with_timeout};
use jobs_agent_core::{Boot, Completion, Handled, JobHandler, Receipt, Scratch};

use crate::{
    backoff::Backoff,
    board::Board,
    clock,
    desk::Desk,
    fmt::Shown,
    link::{Connection, Event, Link, LinkError},
    store::RecordStore,
};

/// How long connecting may take, milliseconds: TCP, a TLS handshake on a slow core, CONNACK.
const CONNECT_WAIT_MS: u64 = 60_000;
/// A connection that lived this long makes the next failure a first one again, milliseconds, as in
/// the Linux adapter: a broker that ends each session soon after SUBACK (no right to publish, a
/// client id in use twice) is not connected to without end.
const STEADY_MS: u64 = 10_000;
/// Messages handled before other tasks get a turn.
const MESSAGES_PER_TURN: u8 = 16;

/// Everything of a run but its link and its workers.
pub(crate) struct Driver<'d, 'c, S, B, H: JobHandler, const JOBS: usize> {
    desk: &'d Desk<'c, H::Plan, JOBS>,
    handlers: &'d H,
    store: &'d mut S,
    board: &'d mut B,
    boot: &'d Boot,
    scratch: &'d mut Scratch,
    backoff: Backoff,
    /// The SUBSCRIBE without SUBACK.
    subscribe: Option<Receipt>,
    busy: u8,
}

impl<'d, 'c, S, B, H, const JOBS: usize> Driver<'d, 'c, S, B, H, JOBS>
where
    S: RecordStore,
    B: Board,
    H: JobHandler,
{
    pub(crate) fn new(
        desk: &'d Desk<'c, H::Plan, JOBS>,
        handlers: &'d H,
        store: &'d mut S,
        board: &'d mut B,
        boot: &'d Boot,
        scratch: &'d mut Scratch,
        backoff: Backoff,
    ) -> Self {
        Self {
            desk,
            handlers,
            store,
            board,
            boot,
            scratch,
            backoff,
            subscribe: None,
            busy: 0,
        }
    }

    /// Connects, serves the connection until it ends, and again.
    pub(crate) async fn run<L: Link>(&mut self, link: &mut L) -> Infallible {
        let mut wait_ms = 0;
        loop {
            let why = match self.connect(link, wait_ms).await {
                Ok(connection) => {
                    let up_since = clock::now();
                    let why = self.serve::<L>(connection).await;
                    if up_since.until(clock::now()) >= STEADY_MS {
                        self.backoff.reset();
                    }
                    why
                }
                Err(why) => why,
            };
            self.subscribe = None;
            self.desk
                .core(|core| core.handle_disconnected(clock::now()));
            wait_ms = match why {
                LinkError::Refused(_) | LinkError::TooSmall => self.backoff.after_refusal_ms(),
                LinkError::Stream
                | LinkError::Ended
                | LinkError::TimedOut
                | LinkError::Protocol => self.backoff.after_failure_ms(),
            };
            warn!("no connection: {}; again in {} ms", Shown(why), wait_ms);
        }
    }

    /// Connects after a while; what the jobs at work need goes on meanwhile.
    async fn connect<'l, L: Link>(
        &mut self,
        link: &'l mut L,
        wait_ms: u32,
    ) -> Result<L::Connection<'l>, LinkError> {
        let mut attempt = pin!(async {
            Timer::after(Duration::from_millis(u64::from(wait_ms))).await;
            let connecting = link.connect();
            with_timeout(Duration::from_millis(CONNECT_WAIT_MS), connecting)
                .await
                .unwrap_or(Err(LinkError::TimedOut))
        });
        loop {
            // Offline, the core asks for nothing that needs a connection.
            let until = self.drain::<L::Connection<'_>>(None).await?;
            let awaited = select3(attempt.as_mut(), self.desk.rung(), clock::until(until));
            match awaited.await {
                Either3::First(connected) => return connected,
                Either3::Second(()) | Either3::Third(()) => {}
            }
        }
    }

    /// Serves one connection until it ends.
    async fn serve<L: Link>(&mut self, mut connection: L::Connection<'_>) -> LinkError {
        info!("connected");
        self.busy = 0;
        self.desk.core(|core| core.handle_connected(clock::now()));
        let mut turn: u8 = 0;
        loop {
            let until = match self.drain(Some(&mut connection)).await {
                Ok(until) => until,
                Err(why) => return why,
            };
            let awaited = select3(connection.next(), self.desk.rung(), clock::until(until));
            match awaited.await {
                Either3::First(Ok(event)) => self.on_event(event),
                Either3::First(Err(why)) => return why,
                Either3::Second(()) | Either3::Third(()) => continue,
            }
            turn = turn.wrapping_add(1);
            if turn >= MESSAGES_PER_TURN {
                turn = 0;
                yield_now().await;
            }
        }
    }

    fn on_event(&mut self, event: Event<'_>) {
        match event {
            Event::Message { topic, payload } => self.on_message(topic, payload),
            Event::Subscribed { granted } => {
                let Some(receipt) = self.subscribe.take() else {
                    return;
                };
                if granted {
                    self.done(receipt, Completion::Done);
                } else {
                    error!("a subscription was refused: check iot:Subscribe and iot:Receive");
                    self.done(receipt, Completion::Failed);
                }
            }
            Event::Housekeeping => {}
        }
    }

    fn on_message(&self, topic: &str, payload: &[u8]) {
        let now = clock::now();
        let handled = self
            .desk
            .core(|core| core.handle_publish(now, topic, payload));
        match handled {
            Handled::Taken => {}
            Handled::Ignored(reason) => info!("{}: ignored, {}", topic, Shown(reason)),
            Handled::Offer(ticket, offer) => {
                let verdict = self.desk.decide(self.handlers, ticket.slot(), &offer);
                let job_id = offer.job_id.as_str();
                match &verdict {
                    Ok(_) => info!("{}: accepted", job_id),
                    Err(_) => info!("{}: not taken", job_id),
                }
                self.desk
                    .core(|core| core.handle_plan(now, ticket, verdict));
            }
        }
    }

    fn done(&self, receipt: Receipt, completion: Completion) {
        let now = clock::now();
        self.desk
            .core(|core| core.handle_done(now, receipt, completion));
    }
}
