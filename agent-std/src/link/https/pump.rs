//! The task that connects, asks and answers: one request at a time, on one connection.
//!
//! One at a time keeps the order of what the agent says, and makes sure that a look at the queue is
//! never older than the agent's own last word.

use std::time::Duration;

use bytes::Bytes;
use jobs_proto::ErrorCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::answer::{Verdict, judge};
use super::call::{Ask, Call, Request};
use super::line::{Dialer, Line};
use super::message;
use super::options::HttpsOptions;
use super::schedule::Schedule;
use crate::link::options::STABLE_AFTER_MS;
use crate::link::{Backoff, LinkError, RefusedReason, SendId};

/// What the pump tells the link.
pub(super) enum PumpEvent {
    /// The service answers; calls go here.
    Up(mpsc::Sender<Call>),
    /// A call is over: answered, with a message or without, or lost.
    Settled {
        id: SendId,
        answered: bool,
        reply: Option<(String, Bytes)>,
    },
    /// A look at the queue, as the payload of `notify`.
    News(Bytes),
    /// The service is away, and the receiver of calls with it.
    Down(LinkError),
}

/// Why the time with the service ended.
enum End {
    Failed(LinkError),
    /// Nobody listens any more.
    Finished,
}

impl From<LinkError> for End {
    fn from(why: LinkError) -> Self {
        Self::Failed(why)
    }
}

pub(super) struct Pump {
    options: HttpsOptions,
    dialer: Dialer,
    events: mpsc::Sender<PumpEvent>,
    backoff: Backoff,
    schedule: Schedule,
    line: Option<Line>,
    /// Since when the service answers.
    up_since: Option<Instant>,
    look_at: Instant,
}

impl Pump {
    pub(super) fn new(
        options: HttpsOptions,
        dialer: Dialer,
        events: mpsc::Sender<PumpEvent>,
    ) -> Self {
        Self {
            backoff: Backoff::new(options.backoff, options.seed),
            schedule: Schedule::new(options.poll, options.seed),
            options,
            dialer,
            events,
            line: None,
            up_since: None,
            look_at: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.up_since = None;
            let End::Failed(why) = self.session().await else {
                debug!("link closed");
                return;
            };
            self.line = None;
            // A service that answers one request and fails at the next is not well yet.
            let stable = Duration::from_millis(STABLE_AFTER_MS);
            if self.up_since.is_some_and(|since| since.elapsed() >= stable) {
                self.backoff.reset();
            }
            let wait = match &why {
                LinkError::Throttled { wait_s } => {
                    // Everybody was asked to come back then: not all at once.
                    Duration::from_secs(*wait_s) + self.backoff.after_failure()
                }
                why if why.is_permanent() => self.backoff.after_permanent(),
                _ => self.backoff.after_failure(),
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            warn!(error = %why, wait_ms, permanent = why.is_permanent(), "not connected");
            if self.events.send(PumpEvent::Down(why)).await.is_err() {
                return;
            }
            sleep(wait).await;
        }
    }

    /// From the first answer of the service to its last; errors are returned as the end.
    async fn session(&mut self) -> End {
        match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        self.log_in().await?;
        info!(host = %self.options.host, "connected over HTTPS");
        self.up_since = Some(Instant::now());
        let (sender, mut calls) = mpsc::channel(self.options.max_outstanding);
        self.tell(PumpEvent::Up(sender)).await?;
        loop {
            let stale_at = self.line.as_ref().map(|line| line.stale_at);
            let stale = async {
                match stale_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // What the agent says goes first: a look is only to find what it does not know of.
            tokio::select! {
                biased;
                call = calls.recv() => match call {
                    Some(call) => self.call(call).await?,
                    None => return Err(End::Finished),
                },
                () = sleep_until(self.look_at) => self.look().await?,
                () = stale => self.line = None,
            }
        }
    }

    async fn tell(&self, event: PumpEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Finished)
    }

    /// Shows that the service takes us, before anybody builds on it: a certificate that is refused
    /// is noticed no sooner than at the first answer.
    async fn log_in(&mut self) -> Result<(), End> {
        let request = Request::list(&self.options.thing);
        let verdict = self.ask(&request).await?;
        if let Some(why) = verdict.end(Ask::List) {
            return Err(why.into());
        }
        let why = match verdict {
            Verdict::Accepted(_) => {
                self.look_in(Schedule::busy);
                return Ok(());
            }
            Verdict::Rejected {
                status: 500..,
                name,
                ..
            } => {
                debug!(error = %name, "not available");
                let reason = RefusedReason::Unavailable;
                LinkError::Refused { reason }
            }
            Verdict::Rejected { name: cause, .. }
            | Verdict::Denied(cause)
            | Verdict::Stranger(cause) => LinkError::NotJobs { cause },
            Verdict::Unheard => LinkError::NotJobs {
                cause: "an answer too large for a list of jobs".to_owned(),
            },
        };
        Err(why.into())
    }

    /// Looks at the queue, and tells what is there.
    async fn look(&mut self) -> Result<(), End> {
        let request = Request::list(&self.options.thing);
        let verdict = self.ask(&request).await?;
        if let Some(why) = verdict.end(Ask::List) {
            return Err(why.into());
        }
        let failed = match verdict {
            Verdict::Accepted(list) => {
                if let Some((payload, busy)) = message::notify(&list) {
                    self.look_in(if busy { Schedule::busy } else { Schedule::idle });
                    debug!(busy, "looked at the queue");
                    return self.tell(PumpEvent::News(payload)).await;
                }
                Schedule::failed
            }
            Verdict::Rejected { code, name, .. } => {
                warn!(error = %name, "the queue could not be looked at");
                match code {
                    ErrorCode::RequestThrottled => Schedule::throttled,
                    _ => Schedule::failed,
                }
            }
            Verdict::Unheard | Verdict::Denied(_) | Verdict::Stranger(_) => Schedule::failed,
        };
        self.look_in(failed);
        Ok(())
    }

    /// Does what the agent asked for, and settles it.
    async fn call(&mut self, call: Call) -> Result<(), End> {
        let Call {
            id,
            request,
            topic,
            token,
        } = call;
        let ask = request.ask;
        let lost = PumpEvent::Settled {
            id,
            answered: false,
            reply: None,
        };
        let verdict = match self.ask_once(&request).await {
            Ok(verdict) => verdict,
            // A kept connection that the service had closed meanwhile says nothing about the service.
            // Whether the request was seen is not known, so the agent decides about it.
            Err((why, true)) => {
                debug!(%why, id = id.0, "a kept connection was closed");
                return self.tell(lost).await;
            }
            Err((why, false)) => return Err(why.into()),
        };
        let end = verdict.end(ask);
        let reply = match verdict {
            Verdict::Accepted(payload) => Some(("accepted", payload)),
            Verdict::Rejected { code, name, .. } => {
                debug!(%topic, error = %name, code = code.as_str(), "refused");
                Some(("rejected", message::rejected(code)))
            }
            Verdict::Unheard => {
                warn!(%topic, "an answer was too large to take");
                None
            }
            // With all others, it is lost.
            Verdict::Denied(_) | Verdict::Stranger(_) => {
                return end.map_or(Ok(()), |why| Err(why.into()));
            }
        };
        // Something goes on: what comes of it is looked for soon.
        self.look_in(Schedule::busy);
        let reply = reply.map(|(kind, payload)| {
            let payload = message::with_token(token.as_deref(), &payload);
            (format!("{topic}/{kind}"), payload)
        });
        self.tell(PumpEvent::Settled {
            id,
            answered: true,
            reply,
        })
        .await?;
        end.map_or(Ok(()), |why| Err(why.into()))
    }

    fn look_in(&mut self, wait: fn(&mut Schedule) -> Duration) {
        self.look_at = Instant::now() + wait(&mut self.schedule);
    }

    /// Asks for the link's own sake: on a fresh connection if a kept one turns out to be closed.
    async fn ask(&mut self, request: &Request) -> Result<Verdict, LinkError> {
        match self.ask_once(request).await {
            Err((_, true)) => self.ask_once(request).await.map_err(|(why, _)| why),
            other => other.map_err(|(why, _)| why),
        }
    }

    /// Asks on the connection there is, or on a new one. An error says whether it was a kept
    /// connection that failed at once; in any case the connection is no more.
    async fn ask_once(&mut self, request: &Request) -> Result<Verdict, (LinkError, bool)> {
        let mut line = self.line.take();
        if let Some(kept) = &mut line
            && !self.dialer.is_open(kept).await
        {
            line = None;
        }
        let mut line = match line {
            Some(line) => line,
            None => self.dialer.open().await.map_err(|why| (why, false))?,
        };
        let kept = line.used;
        match self.dialer.exchange(&mut line, request).await {
            Ok(answer) => {
                let verdict = judge(request.ask, &answer);
                // What is left of a body that was not taken would be read as the next answer.
                if answer.body.is_some() {
                    self.line = Some(line);
                }
                Ok(verdict)
            }
            Err(why) => {
                let closed = matches!(why, LinkError::PeerClosed { .. });
                Err((why, kept && closed))
            }
        }
    }
}
