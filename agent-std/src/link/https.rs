//! [`Link`] over the HTTPS data plane of AWS IoT Jobs, for devices without MQTT.
//!
//! The agent stays the same: what it publishes becomes a request, the answer comes back as the
//! message that MQTT would have brought. Three things have no counterpart over HTTP:
//!
//! * **Nobody notifies.** The link looks at the queue by itself and tells what is there, as `notify`
//!   does: often while a job is in progress, ever more seldom while nothing is ([`PollOptions`]).
//! * **Replies carry no token.** The link knows which request an answer belongs to, and puts the
//!   token of that request in.
//! * **There is no session.** Being connected means that the service has answered, and not yet failed
//!   to. A TCP connection is kept for some seconds, then closed; that is no event.
//!
//! The rules of [`Link`] hold: requests are made one at a time and in order, none is repeated by the
//! link, and with the service gone all that had no answer are lost.

mod answer;
mod call;
mod line;
mod message;
mod options;
mod pump;
mod schedule;

use std::collections::VecDeque;
use std::time::Duration;

use jobs_proto::ThingName;
use jobs_proto::topic::Filter;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::{CLOSE_TIMEOUT_MS, ConfigError, Link, LinkError, LinkEvent, Qos, SendError, SendId};
use call::Call;
use line::Dialer;
use pump::{Pump, PumpEvent};

pub use options::{
    ALPN_AWS_HTTP, BODY_MAX_BYTES, BUSY_POLL_MS, EXCHANGE_TIMEOUT_MS, HTTPS_PORT, HttpsOptions,
    IDLE_POLL_MS, PAUSE_MAX_S, POLL_MIN_MS, PollOptions,
};

/// Events of the pump not yet taken by [`Link::next`]. One answer is under way at a time, so with
/// bodies of [`BODY_MAX_BYTES`] this bounds the memory to 4 MiB.
const HELD_EVENTS: usize = 8;

/// A [`Link`] over HTTPS that keeps asking until closed or dropped.
pub struct HttpsLink {
    events: mpsc::Receiver<PumpEvent>,
    pump: AbortHandle,
    thing: String,
    /// Where calls go while the service answers.
    calls: Option<mpsc::Sender<Call>>,
    /// Calls without an answer, in order.
    outstanding: VecDeque<SendId>,
    /// Events that are told next.
    ready: VecDeque<LinkEvent>,
    closed: bool,
    max_outstanding: usize,
    last_id: u64,
}

impl std::fmt::Debug for HttpsLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpsLink")
            .field("connected", &self.calls.is_some())
            .field("outstanding", &self.outstanding.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl HttpsLink {
    /// Reads certificates, then starts connecting in a task of its own.
    ///
    /// # Errors
    /// [`ConfigError`] when the options cannot work.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O enabled.
    pub fn open(options: HttpsOptions) -> Result<Self, ConfigError> {
        options.check()?;
        let dialer = Dialer::new(&options)?;
        let (sender, events) = mpsc::channel(HELD_EVENTS);
        let thing = options.thing.clone();
        let max_outstanding = options.max_outstanding;
        let pump = tokio::spawn(Pump::new(options, dialer, sender).run()).abort_handle();
        Ok(Self {
            events,
            pump,
            thing,
            calls: None,
            outstanding: VecDeque::new(),
            ready: VecDeque::new(),
            closed: false,
            max_outstanding,
            last_id: 0,
        })
    }

    fn new_id(&mut self) -> SendId {
        self.last_id = self.last_id.wrapping_add(1);
        SendId(self.last_id)
    }

    /// Turns what the pump reports into events, in the order of the rules.
    fn apply(&mut self, event: Option<PumpEvent>) {
        match event {
            Some(PumpEvent::Up(calls)) => {
                self.calls = Some(calls);
                let session_present = false;
                self.ready
                    .push_back(LinkEvent::Connected { session_present });
            }
            Some(PumpEvent::Settled {
                id,
                answered,
                reply,
            }) => {
                self.outstanding.retain(|other| *other != id);
                let event = match answered {
                    true => LinkEvent::Acked(id),
                    false => LinkEvent::Lost(id),
                };
                self.ready.push_back(event);
                if let Some((topic, payload)) = reply {
                    self.ready.push_back(LinkEvent::Message { topic, payload });
                }
            }
            Some(PumpEvent::News(payload)) => {
                let topic = format!("$aws/things/{}/jobs/notify", self.thing);
                self.ready.push_back(LinkEvent::Message { topic, payload });
            }
            Some(PumpEvent::Down(why)) => self.lose(why),
            // The pump ends only when we close.
            None => {
                self.closed = true;
                self.lose(LinkError::Closed);
            }
        }
    }

    /// Everything without an answer is lost, then so is the connection.
    fn lose(&mut self, why: LinkError) {
        self.calls = None;
        let lost = self.outstanding.drain(..).map(LinkEvent::Lost);
        self.ready.extend(lost);
        self.ready.push_back(LinkEvent::Disconnected {
            permanent: why.is_permanent(),
            why,
        });
    }

    /// Whether something can be sent now.
    fn is_up(&self) -> Result<&mpsc::Sender<Call>, SendError> {
        let calls = self.calls.as_ref().filter(|calls| !calls.is_closed());
        calls.ok_or(SendError::Offline)
    }
}

impl Link for HttpsLink {
    async fn next(&mut self) -> LinkEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            if self.closed {
                let why = LinkError::Closed;
                return LinkEvent::Disconnected {
                    permanent: why.is_permanent(),
                    why,
                };
            }
            let event = self.events.recv().await;
            self.apply(event);
        }
    }

    /// Every request is answered or lost; there is no other assurance, so `qos` changes nothing.
    fn publish(&mut self, topic: &str, payload: &[u8], _qos: Qos) -> Result<SendId, SendError> {
        self.is_up()?;
        let outstanding = self.outstanding.len();
        if outstanding >= self.max_outstanding {
            return Err(SendError::Busy { outstanding });
        }
        let id = self.new_id();
        let call = Call::new(id, &self.thing, topic, payload)?;
        match self.is_up()?.try_send(call) {
            Ok(()) => {
                debug!(topic, bytes = payload.len(), id = id.0, "request");
                self.outstanding.push_back(id);
                Ok(id)
            }
            Err(TrySendError::Full(_)) => Err(SendError::Busy { outstanding }),
            Err(TrySendError::Closed(_)) => Err(SendError::Offline),
        }
    }

    /// Granted at once for the Jobs topics of this thing, and for no others: nothing else comes.
    fn subscribe(&mut self, filters: &[&str]) -> Result<SendId, SendError> {
        self.is_up()?;
        if filters.is_empty() {
            return Err(SendError::Invalid {
                what: "a subscribe without a filter",
            });
        }
        let granted = filters.iter().map(|filter| carries(&self.thing, filter));
        let granted = granted.collect();
        let id = self.new_id();
        self.ready.push_back(LinkEvent::SubAck { id, granted });
        Ok(id)
    }

    async fn close(&mut self) {
        let deadline = Instant::now() + Duration::from_millis(CLOSE_TIMEOUT_MS);
        while !self.outstanding.is_empty() {
            let Ok(event) = timeout_at(deadline, self.events.recv()).await else {
                break;
            };
            self.apply(event);
        }
        self.pump.abort();
        self.calls = None;
        let lost = self.outstanding.drain(..).map(LinkEvent::Lost);
        self.ready.extend(lost);
        // What is left of a connection that is closed on purpose is the fate of its sends.
        self.ready
            .retain(|event| matches!(event, LinkEvent::Acked(_) | LinkEvent::Lost(_)));
        self.closed = true;
    }
}

impl Drop for HttpsLink {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Whether messages that match this filter can come.
fn carries(thing: &str, filter: &str) -> bool {
    let Ok(name) = ThingName::new(thing) else {
        return false;
    };
    let mut space = [0; Filter::LEN_MAX];
    Filter::ALL
        .into_iter()
        .any(|known| known.encode(name, &mut space) == Ok(filter))
}
