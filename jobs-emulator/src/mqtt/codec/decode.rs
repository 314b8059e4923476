//! Bodies of packets a client may send.

use std::sync::Arc;

use mqtt_protocol_core::mqtt::packet::prelude::PropertyValueAccess;
use mqtt_protocol_core::mqtt::packet::{Property, Qos, SubEntry, v3_1_1 as v3, v5_0 as v5};
use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::{CodecError, Connect, Incoming, Publish, Version, Will};
use crate::mqtt::limits::UNACKED_MAX;

pub(super) fn connect_version(body: &[u8]) -> Result<Version, CodecError> {
    match body {
        [0, 4, b'M', b'Q', b'T', b'T', 4, ..] => Ok(Version::V3),
        [0, 4, b'M', b'Q', b'T', b'T', 5, ..] => Ok(Version::V5),
        [0, 4, b'M', b'Q', b'T', b'T', other, ..] => Err(CodecError::UnknownVersion(*other)),
        _ => Err(CodecError::NotConnect),
    }
}

fn malformed(what: &'static str) -> impl Fn(MqttError) -> CodecError {
    move |_| CodecError::Malformed(what)
}

pub(super) fn connect(version: Version, body: &[u8]) -> Result<Connect, CodecError> {
    let flags = body.get(7).copied().unwrap_or_default();
    let will_flagged = flags & 0x04 != 0;
    if flags & 0x01 != 0 || (!will_flagged && flags & 0x38 != 0) || flags & 0x18 == 0x18 {
        return Err(CodecError::Malformed("CONNECT flags contradict each other"));
    }
    let will_from = |topic: Option<&str>, payload: Option<&[u8]>, qos: Qos, retain: bool| {
        will_flagged.then(|| Will {
            topic: topic.unwrap_or_default().to_owned(),
            payload: payload.unwrap_or_default().to_vec(),
            qos: qos as u8,
            retain,
        })
    };
    match version {
        Version::V3 => {
            let (packet, _) = v3::Connect::parse(body).map_err(malformed("CONNECT"))?;
            Ok(Connect {
                client_id: packet.client_id().to_owned(),
                clean: packet.clean_session(),
                session_expiry_s: None,
                keep_alive_s: packet.keep_alive(),
                receive_maximum: UNACKED_MAX,
                packet_maximum: None,
                will: will_from(
                    packet.will_topic(),
                    packet.will_payload(),
                    packet.will_qos(),
                    packet.will_retain(),
                ),
            })
        }
        Version::V5 => {
            let (packet, _) = v5::Connect::parse(body).map_err(malformed("CONNECT"))?;
            let mut expiry_s = None;
            let mut receive_maximum = UNACKED_MAX;
            let mut packet_maximum = None;
            for property in &packet.props {
                match property {
                    Property::SessionExpiryInterval(_) => expiry_s = property.as_u32(),
                    Property::ReceiveMaximum(_) => {
                        receive_maximum = property.as_u16().unwrap_or(UNACKED_MAX);
                    }
                    Property::MaximumPacketSize(_) => packet_maximum = property.as_u32(),
                    _ => {}
                }
            }
            Ok(Connect {
                client_id: packet.client_id().to_owned(),
                clean: packet.clean_start(),
                session_expiry_s: Some(expiry_s.unwrap_or(0)),
                keep_alive_s: packet.keep_alive(),
                receive_maximum: receive_maximum.min(UNACKED_MAX),
                packet_maximum,
                will: will_from(
                    packet.will_topic(),
                    packet.will_payload(),
                    packet.will_qos(),
                    packet.will_retain(),
                ),
            })
        }
    }
}

pub(super) fn publish(version: Version, flags: u8, body: &[u8]) -> Result<Publish, CodecError> {
    let shared: Arc<[u8]> = body.into();
    let packet = match version {
        Version::V3 => {
            let (p, _) = v3::Publish::parse(flags, shared).map_err(malformed("PUBLISH"))?;
            Publish {
                topic: p.topic_name().to_owned(),
                payload: p.payload().as_slice().to_vec(),
                qos: p.qos() as u8,
                retain: p.retain(),
                dup: p.dup(),
                packet_id: p.packet_id(),
            }
        }
        Version::V5 => {
            let (p, _) = v5::Publish::parse(flags, shared).map_err(malformed("PUBLISH"))?;
            Publish {
                topic: p.topic_name().to_owned(),
                payload: p.payload().as_slice().to_vec(),
                qos: p.qos() as u8,
                retain: p.retain(),
                dup: p.dup(),
                packet_id: p.packet_id(),
            }
        }
    };
    // An empty topic is an MQTT 5 topic alias; CONNACK did not offer any.
    if packet.topic.is_empty() || packet.topic.contains(['+', '#', '\0']) {
        return Err(CodecError::Malformed(
            "PUBLISH topic is empty or holds a wildcard",
        ));
    }
    if packet.packet_id == Some(0) {
        return Err(CodecError::Malformed("packet id 0"));
    }
    Ok(packet)
}

pub(super) fn puback(version: Version, body: &[u8]) -> Result<Incoming, CodecError> {
    let packet_id = match version {
        Version::V3 => v3::Puback::parse(body)
            .map_err(malformed("PUBACK"))?
            .0
            .packet_id(),
        Version::V5 => v5::Puback::parse(body)
            .map_err(malformed("PUBACK"))?
            .0
            .packet_id(),
    };
    Ok(Incoming::Puback { packet_id })
}

pub(super) fn subscribe(version: Version, body: &[u8]) -> Result<Incoming, CodecError> {
    let plain = |entries: &[SubEntry]| {
        entries
            .iter()
            .map(|entry| {
                (
                    entry.topic_filter().to_owned(),
                    entry.sub_opts().qos() as u8,
                )
            })
            .collect::<Vec<_>>()
    };
    let (packet_id, filters) = match version {
        Version::V3 => {
            let (p, _) = v3::Subscribe::parse(body).map_err(malformed("SUBSCRIBE"))?;
            (p.packet_id(), plain(p.entries()))
        }
        Version::V5 => {
            let (p, _) = v5::Subscribe::parse(body).map_err(malformed("SUBSCRIBE"))?;
            (p.packet_id(), plain(p.entries()))
        }
    };
    if filters.is_empty() {
        return Err(CodecError::Malformed("SUBSCRIBE without a filter"));
    }
    Ok(Incoming::Subscribe { packet_id, filters })
}

pub(super) fn unsubscribe(version: Version, body: &[u8]) -> Result<Incoming, CodecError> {
    let (packet_id, filters) = match version {
        Version::V3 => {
            let (p, _) = v3::Unsubscribe::parse(body).map_err(malformed("UNSUBSCRIBE"))?;
            (
                p.packet_id(),
                p.entries()
                    .iter()
                    .map(|f| f.as_str().to_owned())
                    .collect::<Vec<_>>(),
            )
        }
        Version::V5 => {
            let (p, _) = v5::Unsubscribe::parse(body).map_err(malformed("UNSUBSCRIBE"))?;
            (
                p.packet_id(),
                p.entries()
                    .iter()
                    .map(|f| f.as_str().to_owned())
                    .collect::<Vec<_>>(),
            )
        }
    };
    if filters.is_empty() {
        return Err(CodecError::Malformed("UNSUBSCRIBE without a filter"));
    }
    Ok(Incoming::Unsubscribe { packet_id, filters })
}
