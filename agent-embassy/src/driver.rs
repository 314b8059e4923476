//! Performs the core's effects in its order, and hands it what happens.
//!
//! Nothing about jobs is decided here. What the core leaves to an adapter:
//!
//! * A publish counts as done when its packet is on its way. Only a failure matters to the core,
//!   and a lost connection fails all that was out.
//! * A SUBSCRIBE counts as done when every filter was granted.
//! * A reset counts as failed when the board is still up after `RESET_WAIT_MS`.

mod effects;

use core::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use embassy_time::{Duration, Timer, with_timeout};
use jobs_agent_core::{Boot, Handled, JobHandler, Millis, Receipt, Scratch};

use crate::{
    apart,
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
    pub(crate) desk: &'d Desk<'c, H::Plan, JOBS>,
    pub(crate) handlers: &'d H,
    pub(crate) store: &'d mut S,
    pub(crate) board: &'d mut B,
    pub(crate) boot: &'d Boot,
    pub(crate) scratch: &'d mut Scratch,
    pub(crate) backoff: Backoff,
    /// The SUBSCRIBE without SUBACK.
    pub(crate) subscribe: Option<Receipt>,
    /// Sends without room in a row.
    pub(crate) busy: u8,
    /// When the connection came up.
    pub(crate) up_since: Option<Millis>,
    /// Messages in this turn.
    pub(crate) turn: u8,
}

impl<S, B, H, const JOBS: usize> Driver<'_, '_, S, B, H, JOBS>
where
    S: RecordStore,
    B: Board,
    H: JobHandler,
{
    /// Connects, serves the connection until it ends, and again. What the jobs at work need goes
    /// on meanwhile.
    pub(crate) async fn run<L: Link>(&mut self, link: &mut L) -> Infallible {
        let mut wait_ms = 0;
        loop {
            let why = self.connected(link, wait_ms).await;
            wait_ms = self.on_lost(why);
        }
    }

    /// One connection, from the wait before it to its end.
    async fn connected<L: Link>(&mut self, link: &mut L, wait_ms: u32) -> LinkError {
        let connected = {
            let mut attempt = pin!(async {
                Timer::after(Duration::from_millis(u64::from(wait_ms))).await;
                let connecting = link.connect();
                with_timeout(Duration::from_millis(CONNECT_WAIT_MS), connecting)
                    .await
                    .unwrap_or(Err(LinkError::TimedOut))
            });
            loop {
                // Offline, the core asks for nothing that needs a connection.
                let until = match self.drain::<L::Connection<'_>>(None).await {
                    Ok(until) => until,
                    Err(why) => return why,
                };
                if let Some(connected) = self.unless_rung(attempt.as_mut(), until).await {
                    break connected;
                }
            }
        };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(why) => return why,
        };
        self.on_connected();
        loop {
            let until = match self.drain(Some(&mut connection)).await {
                Ok(until) => until,
                Err(why) => return why,
            };
            let next = pin!(connection.next());
            match self.unless_rung(next, until).await {
                None => {}
                Some(Ok(event)) => self.on_event(event),
                Some(Err(why)) => return why,
            }
        }
    }

    #[inline(never)]
    fn on_connected(&mut self) {
        info!("connected");
        self.busy = 0;
        self.up_since = Some(self.desk.core(|core, now| {
            core.handle_connected(now);
            now
        }));
    }

    /// The connection is over; returns how long to wait, milliseconds.
    #[inline(never)]
    fn on_lost(&mut self, why: LinkError) -> u32 {
        self.subscribe = None;
        let now = clock::now();
        if self
            .up_since
            .take()
            .is_some_and(|up_since| up_since.until(now) >= STEADY_MS)
        {
            self.backoff.reset();
        }
        let wait_ms = match why {
            LinkError::Refused(_) | LinkError::TooSmall => self.backoff.after_refusal_ms(),
            LinkError::Stream | LinkError::Ended | LinkError::TimedOut | LinkError::Protocol => {
                self.backoff.after_failure_ms()
            }
        };
        self.desk.core(|core, now| core.handle_disconnected(now));
        warn!("no connection: {}; again in {} ms", Shown(why), wait_ms);
        wait_ms
    }

    /// Awaits a future, until then or until a handler has said something: `None`, and the future
    /// is where it was. Other tasks get a turn after so many messages.
    async fn unless_rung<F: Future>(
        &mut self,
        mut future: Pin<&mut F>,
        until: Option<Millis>,
    ) -> Option<F::Output> {
        let mut timer = clock::timer(until);
        poll_fn(|cx| {
            if self.is_turn_over(cx) {
                return Poll::Pending;
            }
            if let Poll::Ready(output) = apart::poll(future.as_mut(), cx) {
                return Poll::Ready(Some(output));
            }
            self.turn = 0;
            let is_due = Pin::new(&mut timer).poll(cx).is_ready();
            if is_due || self.desk.is_rung(cx) {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Counts what is ready at once.
    fn is_turn_over(&mut self, cx: &Context<'_>) -> bool {
        self.turn = self.turn.wrapping_add(1);
        let is_over = self.turn > MESSAGES_PER_TURN;
        if is_over {
            self.turn = 0;
            cx.waker().wake_by_ref();
        }
        is_over
    }

    #[inline(never)]
    fn on_event(&mut self, event: Event<'_>) {
        match event {
            Event::Message { topic, payload } => self.on_message(topic, payload),
            Event::Subscribed { granted } => {
                if !granted {
                    error!("a subscription was refused: check iot:Subscribe and iot:Receive");
                }
                if let Some(receipt) = self.subscribe.take() {
                    self.desk.done(receipt, granted);
                }
            }
            Event::Housekeeping => {}
        }
    }

    fn on_message(&self, topic: &str, payload: &[u8]) {
        let handled = self
            .desk
            .core(|core, now| core.handle_publish(now, topic, payload));
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
                    .core(|core, now| core.handle_plan(now, ticket, verdict));
            }
        }
    }
}
