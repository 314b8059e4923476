//! [`Link`] over the MQTT 3.1.1 client `rumqttc` (the maintained fork `rumqttc-v4-next`).
//!
//! The client library would carry unacknowledged publishes over to the next connection by itself.
//! That is prevented by construction: **each connection gets a client of its own**, which is
//! dropped with the connection. What was in flight is thereby settled as
//! [`LinkEvent::Lost`] and cannot be replayed. MQTT 3.1.1 asks a client that kept its session to
//! resend (4.4.0-1); we act as a client that lost its side of it, which is what every restart of
//! the process is anyway, and the agent's journal decides what is sent again.
//!
//! The library acknowledges an incoming QoS 1 message when it reads it. A process that is killed
//! between that PUBACK and its reaction has lost the message, so the agent asks for its jobs after
//! each connect and does not rely on redelivery.

pub(super) mod fault;
mod pump;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rumqttc::{AsyncClient, ClientError, PublishOptions, QoS, SubscribeFilterInput, Transport};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::notices::{self, library_qos, published, subscribed};
use super::options::{ALPN_AWS_MQTT, CLOSE_TIMEOUT_MS};
use super::{
    ConfigError, Link, LinkError, LinkEvent, LinkOptions, MAX_INFLIGHT, Qos, SendError, SendId, tls,
};
use pump::{Pump, PumpEvent};

/// Messages read from the socket and not yet taken by [`Link::next`]. With messages of 128 KiB
/// this bounds the memory to 4 MiB.
const HELD_EVENTS: usize = 32;

/// A [`Link`] that connects with `rumqttc` and keeps reconnecting until closed or dropped.
pub struct RumqttLink {
    events: mpsc::Receiver<PumpEvent>,
    pump: AbortHandle,
    /// The client of the present connection.
    client: Option<AsyncClient>,
    /// Tells the pump that the present connection is given up, and not the link.
    given_up: Arc<AtomicBool>,
    /// When a send was last answered, or made while none was without an answer.
    answered_at: Instant,
    /// How long a full window may stay without any answer.
    patience: Duration,
    /// One small task for each send without an answer; ends with the event that settles it.
    unsettled: JoinSet<LinkEvent>,
    /// Answers that arrived while closing.
    ready: VecDeque<LinkEvent>,
    /// The connection is gone; told after everything sent on it is settled.
    down: Option<LinkError>,
    closed: bool,
    max_outstanding: usize,
    last_id: u64,
}

impl std::fmt::Debug for RumqttLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RumqttLink")
            .field("connected", &self.client.is_some())
            .field("unsettled", &self.unsettled.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl RumqttLink {
    /// Reads certificates, then starts connecting in a task of its own.
    ///
    /// # Errors
    /// [`ConfigError`] when the options cannot work.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O enabled.
    pub fn open(options: LinkOptions) -> Result<Self, ConfigError> {
        options.check()?;
        let transport = match &options.tls {
            None => Transport::tcp(),
            Some(tls) => {
                // Also checks the name itself, which the library would do on each connect.
                let name = tls::server_name(&options).to_owned();
                if rustls::pki_types::ServerName::try_from(name).is_err() {
                    return Err(ConfigError::BadValue {
                        what: "the server name must be a DNS name or an IP address",
                    });
                }
                let config = tls::client_config(tls, options.port, ALPN_AWS_MQTT)?;
                Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(config))
            }
        };
        let (sender, events) = mpsc::channel(HELD_EVENTS);
        let max_outstanding = options.max_outstanding;
        let patience = Duration::from_secs(options.keep_alive_s.into());
        let pump = tokio::spawn(Pump::new(options, transport, sender).run()).abort_handle();
        Ok(Self {
            events,
            pump,
            client: None,
            given_up: Arc::default(),
            answered_at: Instant::now(),
            patience,
            unsettled: JoinSet::new(),
            ready: VecDeque::new(),
            down: None,
            closed: false,
            max_outstanding,
            last_id: 0,
        })
    }

    /// The client to send with, or why not.
    fn sender(&mut self) -> Result<&AsyncClient, SendError> {
        let outstanding = self.unsettled.len();
        if outstanding == 0 {
            self.answered_at = Instant::now();
        } else if self.is_stuck(outstanding) {
            self.give_up();
        }
        let client = self.client.as_ref().ok_or(SendError::Offline)?;
        // The library's own channel is larger, so that this one number is the bound.
        if outstanding >= self.max_outstanding {
            return Err(SendError::Busy { outstanding });
        }
        Ok(client)
    }

    /// Whether nothing that is sent can reach the broker any more, although it answers pings: each
    /// PUBACK that never comes (AWS IoT sends none for a publish that it throttles) takes one place
    /// of the window for as long as the connection lives.
    fn is_stuck(&self, outstanding: usize) -> bool {
        let window = self.max_outstanding.min(usize::from(MAX_INFLIGHT));
        outstanding >= window && self.answered_at.elapsed() >= self.patience
    }

    /// Ends the connection; the pump makes a new one.
    fn give_up(&mut self) {
        if let Some(client) = self.client.take() {
            self.given_up.store(true, Ordering::Relaxed);
            // An error means that the connection is gone already.
            let _ = client.try_disconnect_now();
        }
    }

    fn new_id(&mut self) -> SendId {
        self.last_id = self.last_id.wrapping_add(1);
        SendId(self.last_id)
    }

    fn not_taken(&self, error: &ClientError, what: &'static str) -> SendError {
        match error {
            ClientError::RequestChannelFull(_) => SendError::Busy {
                outstanding: self.unsettled.len(),
            },
            ClientError::InvalidRequest(_) => SendError::Invalid { what },
            // The connection is gone and its Disconnected event is on the way.
            _ => SendError::Offline,
        }
    }

    /// Reacts to what the pump reports; `None` when it is told later.
    fn apply(&mut self, event: Option<PumpEvent>) -> Option<LinkEvent> {
        match event {
            Some(PumpEvent::Up {
                client,
                given_up,
                session_present,
            }) => {
                self.client = Some(client);
                self.given_up = given_up;
                Some(LinkEvent::Connected { session_present })
            }
            Some(PumpEvent::Message { topic, payload }) => {
                Some(LinkEvent::Message { topic, payload })
            }
            Some(PumpEvent::Down(why)) => {
                self.client = None;
                self.down = Some(why);
                None
            }
            // The pump ends only when we close.
            None => {
                self.client = None;
                self.closed = true;
                None
            }
        }
    }

    /// The next answer to a send, if one is outstanding.
    async fn settled(&mut self) -> Option<LinkEvent> {
        loop {
            match self.unsettled.join_next().await? {
                Ok(event) => return Some(event),
                // These tasks do not panic and are not aborted while the link lives.
                Err(error) => debug!(%error, "a send was cancelled with its runtime"),
            }
        }
    }

    /// Waits until every send has its answer, or the connection is gone.
    async fn settle_all(&mut self) {
        while !self.unsettled.is_empty() {
            tokio::select! {
                event = self.events.recv() => {
                    drop(self.apply(event));
                    if self.client.is_none() {
                        return;
                    }
                }
                event = self.unsettled.join_next() => {
                    if let Some(Ok(event)) = event {
                        self.ready.push_back(event);
                    }
                }
            }
        }
    }
}

impl Link for RumqttLink {
    async fn next(&mut self) -> LinkEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            if self.closed || self.down.is_some() {
                // The client of that connection no longer exists, so each of these ends soon.
                if let Some(event) = self.settled().await {
                    return event;
                }
                let why = self.down.take().unwrap_or(LinkError::Closed);
                return LinkEvent::Disconnected {
                    permanent: why.is_permanent(),
                    why,
                };
            }
            let event = tokio::select! {
                biased;
                Some(event) = self.unsettled.join_next() => {
                    self.answered_at = Instant::now();
                    event.ok()
                }
                event = self.events.recv() => self.apply(event),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos) -> Result<SendId, SendError> {
        notices::check_size(topic, payload)?;
        let notice = self
            .sender()?
            .try_publish_tracked(topic, payload, PublishOptions::new(library_qos(qos)))
            .map_err(|error| self.not_taken(&error, "topic of a publish"))?;
        let id = self.new_id();
        debug!(topic, bytes = payload.len(), id = id.0, "publish");
        self.unsettled.spawn(published(id, notice));
        Ok(id)
    }

    fn subscribe(&mut self, filters: &[&str]) -> Result<SendId, SendError> {
        if filters.is_empty() {
            return Err(SendError::Invalid {
                what: "a subscribe without a filter",
            });
        }
        let inputs = filters
            .iter()
            .map(|&f| SubscribeFilterInput::new(f, QoS::AtLeastOnce));
        let notice = self
            .sender()?
            .try_subscribe_many_tracked(inputs)
            .map_err(|error| self.not_taken(&error, "topic filter of a subscribe"))?;
        let id = self.new_id();
        debug!(?filters, id = id.0, "subscribe");
        self.unsettled.spawn(subscribed(id, notice));
        Ok(id)
    }

    async fn close(&mut self) {
        let deadline = Instant::now() + Duration::from_millis(CLOSE_TIMEOUT_MS);
        // Leave a fifth of the time for DISCONNECT itself.
        let settle_by = deadline - Duration::from_millis(CLOSE_TIMEOUT_MS / 5);
        if self.client.is_some() {
            let _ = timeout_at(settle_by, self.settle_all()).await;
        }
        if let Some(client) = self.client.take()
            && client.try_disconnect_now().is_ok()
        {
            // The pump ends, and with it the channel, when DISCONNECT is written.
            let drained = async { while self.events.recv().await.is_some() {} };
            let _ = timeout_at(deadline, drained).await;
        }
        // Dropping the client of a connection that did not end settles its sends as lost.
        self.pump.abort();
        self.down = None;
        self.closed = true;
    }
}

impl Drop for RumqttLink {
    fn drop(&mut self) {
        self.pump.abort();
    }
}
