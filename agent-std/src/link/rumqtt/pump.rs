//! The task that connects, reads and reconnects.
//!
//! The library's `poll` must not be cancelled while it connects, so it has this task to itself:
//! nothing here races it against a timer or a channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AsyncClient, Broker, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Packet,
    Transport,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::fault;
use crate::link::dial::dial;
use crate::link::kicks::Kicks;
use crate::link::options::STABLE_AFTER_MS;
use crate::link::{Backoff, LinkError, LinkOptions, MAX_INFLIGHT, MAX_PACKET_BYTES, tls};

/// What the pump tells the link.
pub(super) enum PumpEvent {
    /// A new connection, with the client to send on it.
    Up {
        client: AsyncClient,
        /// To be set before DISCONNECT when only this connection is given up.
        given_up: Arc<AtomicBool>,
        session_present: bool,
    },
    /// A message from the broker.
    Message { topic: String, payload: Bytes },
    /// The connection, or the attempt, is over, and the client of it no longer exists.
    Down(LinkError),
}

/// Why one connection ended.
enum End {
    /// It failed; whether and when it had been established.
    Failed {
        why: LinkError,
        up_since: Option<Instant>,
    },
    /// Nobody listens any more, or DISCONNECT was sent.
    Finished,
}

pub(super) struct Pump {
    options: LinkOptions,
    transport: Transport,
    events: mpsc::Sender<PumpEvent>,
    backoff: Backoff,
    kicks: Kicks,
}

impl Pump {
    pub(super) fn new(
        options: LinkOptions,
        transport: Transport,
        events: mpsc::Sender<PumpEvent>,
    ) -> Self {
        let backoff = Backoff::new(options.backoff, options.seed);
        Self {
            options,
            transport,
            events,
            backoff,
            kicks: Kicks::default(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            // `connection` owns the client library's state, so that returning drops all of it.
            let End::Failed { why, up_since } = self.connection().await else {
                debug!("link closed");
                return;
            };
            let why = self.judge(why, up_since);
            let wait = if why.is_permanent() {
                self.backoff.after_permanent()
            } else {
                self.backoff.after_failure()
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            warn!(error = %why, wait_ms, permanent = why.is_permanent(), "not connected");
            if self.events.send(PumpEvent::Down(why)).await.is_err() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// One connection, from connecting to its end.
    async fn connection(&self) -> End {
        let (client, mut eventloop) = self.client();
        let session_present = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(connack))) => connack.session_present,
            Ok(_) => {
                let cause = "no CONNACK first".to_owned();
                return End::Failed {
                    why: LinkError::Protocol { cause },
                    up_since: None,
                };
            }
            Err(error) => {
                let why = fault::while_connecting(&error, self.options.connect_timeout_s);
                return End::Failed {
                    why,
                    up_since: None,
                };
            }
        };
        info!(host = %self.options.host, session_present, "connected");
        let up_since = Instant::now();
        let given_up = Arc::new(AtomicBool::new(false));
        // The link holds the only client: dropping it would end the event loop.
        if self
            .events
            .send(PumpEvent::Up {
                client,
                given_up: Arc::clone(&given_up),
                session_present,
            })
            .await
            .is_err()
        {
            return End::Finished;
        }
        loop {
            match eventloop.poll().await {
                Ok(event) => {
                    if !self.forward(event).await {
                        return End::Finished;
                    }
                }
                Err(ConnectionError::RequestsDone) if given_up.load(Ordering::Relaxed) => {
                    return End::Failed {
                        why: LinkError::NoAnswer {
                            limit_ms: u64::from(self.options.keep_alive_s) * 1_000,
                        },
                        up_since: Some(up_since),
                    };
                }
                Err(ConnectionError::RequestsDone) => return End::Finished,
                Err(error) => {
                    // Messages read in one go with the failure still count: QoS 0 ones would
                    // never come again.
                    while let Some(event) = eventloop.state.events.pop_front() {
                        if !self.forward(event).await {
                            return End::Finished;
                        }
                    }
                    let why = fault::while_connected(&error);
                    return End::Failed {
                        why,
                        up_since: Some(up_since),
                    };
                }
            }
        }
    }

    /// Passes a message on; `false` when nobody listens any more.
    async fn forward(&self, event: Event) -> bool {
        let Event::Incoming(Packet::Publish(publish)) = event else {
            return true;
        };
        let Ok(topic) = String::from_utf8(publish.topic.to_vec()) else {
            warn!("dropped a message whose topic is not UTF-8");
            return true;
        };
        debug!(%topic, bytes = publish.payload.len(), "message");
        self.events
            .send(PumpEvent::Message {
                topic,
                payload: publish.payload,
            })
            .await
            .is_ok()
    }

    /// Looks at a failure in the light of the connections before it.
    fn judge(&mut self, why: LinkError, up_since: Option<Instant>) -> LinkError {
        let Some(up_since) = up_since else {
            return why;
        };
        if up_since.elapsed() >= Duration::from_millis(STABLE_AFTER_MS) {
            self.backoff.reset();
        }
        self.kicks.judge(why, up_since)
    }

    /// A fresh client that knows nothing of earlier connections.
    fn client(&self) -> (AsyncClient, EventLoop) {
        let options = &self.options;
        // The library uses this name for TLS; the connector below decides where to connect.
        let broker = Broker::tcp(tls::server_name(options), options.port);
        let mut mqtt = MqttOptions::new(options.client_id.clone(), broker);
        mqtt.set_transport(self.transport.clone())
            .set_keep_alive(options.keep_alive_s)
            .set_clean_session(options.clean_session)
            .set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES)
            .set_inflight(MAX_INFLIGHT);
        let (host, port) = (options.host.clone(), options.port);
        let limit = Duration::from_secs(options.connect_timeout_s);
        mqtt.set_socket_connector(move |_, _| {
            let host = host.clone();
            async move { dial(&host, port, limit).await }
        });
        // Never the bottleneck: the link counts the outstanding sends itself.
        let capacity = options.max_outstanding.saturating_add(1);
        let (client, mut eventloop) = AsyncClient::builder(mqtt).capacity(capacity).build();
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(options.connect_timeout_s);
        eventloop.set_network_options(network);
        debug!(host = %options.host, port = options.port, "connecting");
        (client, eventloop)
    }
}
