//! One connection: bytes in, packets to the hub, packets and bytes out.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::codec::encode::{self, Goodbye, Refusal, Welcome};
use super::codec::{CodecError, Connect, Decoder, Incoming, Publish, Version};
use super::limits::{CLIENT_ID_MAX_BYTES, CONNECT_TIMEOUT_MS, KEEP_ALIVE_MAX_S};
use super::session::LinkId;
use crate::certificates::Identity;
use crate::faults::Cut;
use crate::hub::Hub;
use crate::trace::{Direction, PacketKind, TraceEntry};

/// Bytes read at once.
const READ_BYTES: usize = 8 * 1024;

/// How long a client may take to accept bytes until it is given up, in seconds. Ours.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// The client said DISCONNECT.
    Left { publish_will: bool },
    /// The network is gone, or a fault cuts it.
    Broken,
    /// We end it, for this reason.
    Closed(Goodbye),
    /// We end it before there is anything to say.
    Refused,
}

/// Serves one client until its connection ends.
///
/// It ends by itself when the hub stops.
///
/// # Cancel safety
/// Cancel safe: dropping it, or a panic in it, counts as a broken connection.
pub(crate) async fn serve<S>(io: S, identity: Identity, hub: Arc<Hub>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection {
        hub,
        identity,
        wake: Arc::new(Notify::new()),
        decoder: Decoder::default(),
        link: None,
        client_id: String::new(),
        keep_alive: Duration::from_millis(CONNECT_TIMEOUT_MS),
        packet_maximum: usize::MAX,
        out: Vec::new(),
    };
    connection.run(io).await;
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.link.is_some() {
            self.leave(&End::Broken);
        }
    }
}

struct Connection {
    hub: Arc<Hub>,
    identity: Identity,
    wake: Arc<Notify>,
    decoder: Decoder,
    link: Option<LinkId>,
    client_id: String,
    /// Longest silence; before CONNECT the time it has to be complete in.
    keep_alive: Duration,
    /// Largest packet the client takes, in bytes.
    packet_maximum: usize,
    /// Encoded and not yet written.
    out: Vec<u8>,
}

impl Connection {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: S) {
        let (mut reader, mut writer) = tokio::io::split(io);
        let hub = Arc::clone(&self.hub);
        let mut bytes = vec![0; READ_BYTES];
        let mut heard = Instant::now();
        let wake = Arc::clone(&self.wake);
        let end = loop {
            let silence = self.keep_alive;
            let step = tokio::select! {
                read = reader.read(&mut bytes) => match read {
                    Ok(0) | Err(_) => Err(End::Broken),
                    Ok(count) => {
                        if self.link.is_some() {
                            heard = Instant::now();
                        }
                        self.decoder.extend(bytes.get(..count).unwrap_or_default());
                        let step = self.take_packets().await;
                        if self.link.is_some() && step.is_ok() { self.flush_queue() } else { step }
                    }
                },
                () = wake.notified() => self.flush_queue(),
                () = sleep_until(heard + silence) => match self.link {
                    Some(_) => Err(End::Closed(Goodbye::KeepAlive)),
                    None => Err(End::Refused),
                },
                () = hub.stopped() => Err(End::Closed(Goodbye::ShuttingDown)),
            };
            if let Err(End::Closed(goodbye)) = &step {
                self.say_goodbye(*goodbye);
            }
            let out = std::mem::take(&mut self.out);
            let written = async {
                writer.write_all(&out).await?;
                writer.flush().await
            };
            let written =
                out.is_empty() || matches!(timeout(WRITE_TIMEOUT, written).await, Ok(Ok(())));
            match step {
                Err(end) => break end,
                Ok(()) if !written => break End::Broken,
                Ok(()) => {}
            }
        };
        self.leave(&end);
        let _ = timeout(WRITE_TIMEOUT, writer.shutdown()).await;
    }

    fn leave(&mut self, end: &End) {
        if let Some(link) = self.link.take() {
            info!(client_id = self.client_id, ?end, "disconnected");
            let publish_will = match end {
                End::Left { publish_will } => *publish_will,
                End::Broken | End::Closed(_) | End::Refused => true,
            };
            self.hub.disconnect(link, publish_will);
        } else {
            debug!(?end, "connection ended before it was let in");
        }
    }

    async fn take_packets(&mut self) -> Result<(), End> {
        loop {
            match self.decoder.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Incoming::Connect(connect))) => self.take_connect(connect).await?,
                Ok(Some(packet)) => {
                    let Some(link) = self.link else {
                        return Err(End::Refused);
                    };
                    self.take_packet(link, packet)?;
                }
                Err(error) => {
                    info!(client_id = self.client_id, %error, "refused");
                    return Err(self.refuse_bytes(&error));
                }
            }
        }
    }

    fn refuse_bytes(&mut self, error: &CodecError) -> End {
        if self.link.is_some() {
            return End::Closed(match error {
                CodecError::TooLarge(_) => Goodbye::TooLarge,
                CodecError::NotConnect
                | CodecError::UnknownVersion(_)
                | CodecError::Malformed(_)
                | CodecError::UnexpectedType(_) => Goodbye::Malformed,
            });
        }
        if matches!(error, CodecError::UnknownVersion(_)) {
            self.out
                .extend(encode::connack_unknown_version().unwrap_or_default());
        }
        End::Refused
    }

    async fn take_connect(&mut self, mut connect: Connect) -> Result<(), End> {
        let Some(version) = self.decoder.version() else {
            return Err(End::Refused);
        };
        let refuse = |this: &mut Self, refusal| {
            this.out
                .extend(encode::connack_refused(version, refusal).unwrap_or_default());
            this.record(Direction::FromDevice, PacketKind::Connect, None);
            this.record(Direction::ToDevice, PacketKind::Connack, None);
            Err(End::Refused)
        };
        let assigned = connect.client_id.is_empty();
        if assigned {
            if version == Version::V3 && !connect.clean {
                return refuse(self, Refusal::ClientId);
            }
            connect.client_id = format!("auto-{:016x}", fresh_number());
        }
        if connect.client_id.len() > CLIENT_ID_MAX_BYTES {
            return refuse(self, Refusal::ClientId);
        }
        self.client_id.clone_from(&connect.client_id);
        self.packet_maximum = connect
            .packet_maximum
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(usize::MAX);
        let asked_s = connect.keep_alive_s;
        let keep_alive_s = if asked_s == 0 {
            KEEP_ALIVE_MAX_S
        } else {
            asked_s.min(KEEP_ALIVE_MAX_S)
        };
        let admitted = match self
            .hub
            .connect(&self.identity, connect, Arc::clone(&self.wake))
        {
            Ok(admitted) => admitted,
            Err(refusal) => return refuse(self, refusal),
        };
        self.link = Some(admitted.link);
        self.record(Direction::FromDevice, PacketKind::Connect, None);
        self.keep_alive = Duration::from_millis(u64::from(keep_alive_s) * 1500);
        if admitted.connack_delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(admitted.connack_delay_ms)).await;
        }
        info!(
            client_id = self.client_id,
            ?version,
            present = admitted.session_present,
            "connected"
        );
        let welcome = Welcome {
            session_present: admitted.session_present,
            assigned_client_id: assigned.then(|| self.client_id.clone()),
            keep_alive_s: (keep_alive_s != asked_s).then_some(keep_alive_s),
        };
        self.record(Direction::ToDevice, PacketKind::Connack, None);
        self.out
            .extend(encode::connack(version, &welcome).map_err(|_| End::Refused)?);
        Ok(())
    }

    fn take_packet(&mut self, link: LinkId, packet: Incoming) -> Result<(), End> {
        let version = self.decoder.version().unwrap_or(Version::V3);
        let encoded = match packet {
            Incoming::Connect(_) => return Err(End::Closed(Goodbye::Malformed)),
            Incoming::Publish(publish) => return self.take_publish(link, version, &publish),
            Incoming::Puback { packet_id } => {
                self.record(Direction::FromDevice, PacketKind::Puback, Some(packet_id));
                self.hub.acknowledge(link, packet_id);
                return Ok(());
            }
            Incoming::Subscribe { packet_id, filters } => {
                let topics: Vec<&str> = filters.iter().map(|(filter, _)| filter.as_str()).collect();
                self.record_filters(PacketKind::Subscribe, packet_id, &topics);
                let (grants, over) = self
                    .hub
                    .subscribe(&self.identity, link, &filters)
                    .map_err(End::Closed)?;
                self.record(Direction::ToDevice, PacketKind::Suback, Some(packet_id));
                let encoded = encode::suback(version, packet_id, &grants);
                if over {
                    self.out.extend(encoded.unwrap_or_default());
                    return Err(End::Closed(Goodbye::Quota));
                }
                encoded
            }
            Incoming::Unsubscribe { packet_id, filters } => {
                let topics: Vec<&str> = filters.iter().map(String::as_str).collect();
                self.record_filters(PacketKind::Unsubscribe, packet_id, &topics);
                let existed = self.hub.unsubscribe(link, &filters);
                self.record(Direction::ToDevice, PacketKind::Unsuback, Some(packet_id));
                encode::unsuback(version, packet_id, &existed)
            }
            Incoming::Pingreq => {
                self.record(Direction::FromDevice, PacketKind::Pingreq, None);
                self.record(Direction::ToDevice, PacketKind::Pingresp, None);
                Ok(encode::pingresp())
            }
            Incoming::Disconnect { publish_will } => {
                self.record(Direction::FromDevice, PacketKind::Disconnect, None);
                return Err(End::Left { publish_will });
            }
        };
        // The encoder only refuses packets without an entry, and those were refused on the way in.
        self.out
            .extend(encoded.map_err(|_| End::Closed(Goodbye::Malformed))?);
        Ok(())
    }

    fn take_publish(
        &mut self,
        link: LinkId,
        version: Version,
        publish: &Publish,
    ) -> Result<(), End> {
        self.record_publish(Direction::FromDevice, publish);
        let cut = self
            .hub
            .publish(&self.identity, link, publish)
            .map_err(|goodbye| {
                info!(
                    client_id = self.client_id,
                    topic = publish.topic,
                    ?goodbye,
                    "publish refused"
                );
                End::Closed(goodbye)
            })?;
        if matches!(cut, Some(Cut::BeforeTaken | Cut::BeforePuback)) {
            return Err(End::Broken);
        }
        if let (1, Some(packet_id)) = (publish.qos, publish.packet_id) {
            self.record(Direction::ToDevice, PacketKind::Puback, Some(packet_id));
            self.out
                .extend(encode::puback(version, packet_id).map_err(|_| End::Broken)?);
        }
        if cut == Some(Cut::AfterPuback) {
            Err(End::Broken)
        } else {
            Ok(())
        }
    }

    fn flush_queue(&mut self) -> Result<(), End> {
        let (Some(link), Some(version)) = (self.link, self.decoder.version()) else {
            return Ok(());
        };
        loop {
            let mut discarded = false;
            for publish in self.hub.take_sendable(link).map_err(End::Closed)? {
                match encode::publish(version, &publish) {
                    Ok(bytes) if bytes.len() > self.packet_maximum => {
                        debug!(topic = publish.topic, "too large for the client: discarded");
                        // As if it had been sent and acknowledged (MQTT 5, 3.1.2.11.4).
                        if let Some(packet_id) = publish.packet_id {
                            self.hub.acknowledge(link, packet_id);
                        }
                        discarded = true;
                    }
                    Ok(bytes) => {
                        self.record_publish(Direction::ToDevice, &publish);
                        self.out.extend(bytes);
                    }
                    Err(error) => debug!(topic = publish.topic, ?error, "message cannot be sent"),
                }
            }
            // There may be room in the client's window for what waited behind.
            if !discarded {
                return Ok(());
            }
        }
    }

    fn say_goodbye(&mut self, goodbye: Goodbye) {
        let version = self.decoder.version().unwrap_or(Version::V3);
        let bytes = encode::disconnect(version, goodbye).unwrap_or_default();
        if !bytes.is_empty() && self.link.is_some() {
            self.record(Direction::ToDevice, PacketKind::Disconnect, None);
            self.out.extend(bytes);
        }
    }

    fn entry(&self, direction: Direction, kind: PacketKind) -> TraceEntry {
        TraceEntry {
            at_ms: self.hub.clock.now_ms(),
            connection: self.link.map_or(0, |link| link.0),
            client_id: self.client_id.clone(),
            direction,
            kind,
            topic: None,
            qos: None,
            dup: false,
            packet_id: None,
            payload_bytes: 0,
        }
    }

    fn record(&self, direction: Direction, kind: PacketKind, packet_id: Option<u16>) {
        self.hub.trace.record(TraceEntry {
            packet_id,
            ..self.entry(direction, kind)
        });
    }

    fn record_filters(&self, kind: PacketKind, packet_id: u16, filters: &[&str]) {
        self.hub.trace.record(TraceEntry {
            packet_id: Some(packet_id),
            topic: Some(filters.join(" ")),
            ..self.entry(Direction::FromDevice, kind)
        });
    }

    fn record_publish(&self, direction: Direction, publish: &Publish) {
        self.hub.trace.record(TraceEntry {
            topic: Some(publish.topic.clone()),
            qos: Some(publish.qos),
            dup: publish.dup,
            packet_id: publish.packet_id,
            payload_bytes: publish.payload.len(),
            ..self.entry(direction, PacketKind::Publish)
        });
    }
}

/// A number that no other connection gets: the standard library's hasher keys are random.
fn fresh_number() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
