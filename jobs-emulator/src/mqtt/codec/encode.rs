//! Packets the front sends, as bytes.

use mqtt_protocol_core::mqtt::packet::{
    AssignedClientIdentifier, MaximumPacketSize, MaximumQos, Property, Qos, ReceiveMaximum,
    RetainAvailable, ServerKeepAlive, SharedSubscriptionAvailable, SubscriptionIdentifierAvailable,
    v3_1_1 as v3, v5_0 as v5,
};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, MqttError, SubackReasonCode,
    SubackReturnCode, UnsubackReasonCode,
};

use super::{Publish, Version};
use crate::mqtt::limits::{PACKET_MAX_BYTES, UNACKED_MAX};

/// Why a connection or a subscription is refused, in words both versions can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client id is not one we take.
    ClientId,
    /// The certificate may not do this.
    NotAuthorized,
    /// A limit of the broker is reached.
    Quota,
    /// The filter is malformed.
    BadFilter,
    /// Shared subscriptions are not offered.
    Shared,
}

/// Why the front ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goodbye {
    /// The bytes were not MQTT.
    Malformed,
    /// The topic, the filter count or another limit was broken.
    Quota,
    /// A payload or packet is too large.
    TooLarge,
    /// QoS 2.
    QosNotSupported,
    /// The certificate may not publish there.
    NotAuthorized,
    /// Another connection uses the same client id.
    TakenOver,
    /// Nothing was heard for one and a half keep-alives.
    KeepAlive,
    /// The emulator stops.
    ShuttingDown,
    /// The user of the emulator asked for it.
    Administrative,
}

/// What a CONNACK tells a client that is let in.
#[derive(Clone, Debug)]
pub(crate) struct Welcome {
    pub(crate) session_present: bool,
    /// Set where the front chose the client id.
    pub(crate) assigned_client_id: Option<String>,
    /// Set where the keep-alive differs from the one asked for.
    pub(crate) keep_alive_s: Option<u16>,
}

type Encoded = Result<Vec<u8>, MqttError>;

/// CONNACK for a client that is let in.
pub(crate) fn connack(version: Version, welcome: &Welcome) -> Encoded {
    match version {
        Version::V3 => Ok(v3::Connack::builder()
            .session_present(welcome.session_present)
            .return_code(ConnectReturnCode::Accepted)
            .build()?
            .to_continuous_buffer()),
        Version::V5 => {
            let mut properties = vec![
                Property::ReceiveMaximum(ReceiveMaximum::new(UNACKED_MAX)?),
                Property::MaximumQos(MaximumQos::new(1)?),
                Property::RetainAvailable(RetainAvailable::new(1)?),
                Property::MaximumPacketSize(MaximumPacketSize::new(PACKET_MAX_BYTES as u32)?),
                Property::SharedSubscriptionAvailable(SharedSubscriptionAvailable::new(0)?),
                Property::SubscriptionIdentifierAvailable(SubscriptionIdentifierAvailable::new(0)?),
            ];
            if let Some(id) = &welcome.assigned_client_id {
                properties.push(Property::AssignedClientIdentifier(
                    AssignedClientIdentifier::new(id.as_str())?,
                ));
            }
            if let Some(seconds) = welcome.keep_alive_s {
                properties.push(Property::ServerKeepAlive(ServerKeepAlive::new(seconds)?));
            }
            Ok(v5::Connack::builder()
                .session_present(welcome.session_present)
                .reason_code(ConnectReasonCode::Success)
                .props(properties)
                .build()?
                .to_continuous_buffer())
        }
    }
}

/// CONNACK for a client that is turned away.
pub(crate) fn connack_refused(version: Version, refusal: Refusal) -> Encoded {
    match version {
        Version::V3 => Ok(v3::Connack::builder()
            .session_present(false)
            .return_code(match refusal {
                Refusal::ClientId => ConnectReturnCode::IdentifierRejected,
                Refusal::NotAuthorized => ConnectReturnCode::NotAuthorized,
                Refusal::Quota | Refusal::BadFilter | Refusal::Shared => {
                    ConnectReturnCode::ServerUnavailable
                }
            })
            .build()?
            .to_continuous_buffer()),
        Version::V5 => Ok(v5::Connack::builder()
            .session_present(false)
            .reason_code(match refusal {
                Refusal::ClientId => ConnectReasonCode::ClientIdentifierNotValid,
                Refusal::NotAuthorized => ConnectReasonCode::NotAuthorized,
                Refusal::Quota | Refusal::BadFilter | Refusal::Shared => {
                    ConnectReasonCode::QuotaExceeded
                }
            })
            .build()?
            .to_continuous_buffer()),
    }
}

/// CONNACK of MQTT 3.1.1 for a protocol level we do not speak.
pub(crate) fn connack_unknown_version() -> Encoded {
    Ok(v3::Connack::builder()
        .session_present(false)
        .return_code(ConnectReturnCode::UnacceptableProtocolVersion)
        .build()?
        .to_continuous_buffer())
}

/// A PUBLISH to a client.
pub(crate) fn publish(version: Version, publish: &Publish) -> Encoded {
    let qos = if publish.qos == 0 {
        Qos::AtMostOnce
    } else {
        Qos::AtLeastOnce
    };
    match version {
        Version::V3 => {
            let mut builder = v3::Publish::builder()
                .topic_name(publish.topic.as_str())?
                .qos(qos)
                .retain(publish.retain)
                .dup(publish.dup)
                .payload(publish.payload.as_slice());
            if let Some(id) = publish.packet_id {
                builder = builder.packet_id(id);
            }
            Ok(builder.build()?.to_continuous_buffer())
        }
        Version::V5 => {
            let mut builder = v5::Publish::builder()
                .topic_name(publish.topic.as_str())?
                .qos(qos)
                .retain(publish.retain)
                .dup(publish.dup)
                .payload(publish.payload.as_slice());
            if let Some(id) = publish.packet_id {
                builder = builder.packet_id(id);
            }
            Ok(builder.build()?.to_continuous_buffer())
        }
    }
}

/// PUBACK of a QoS 1 publish that was taken.
pub(crate) fn puback(version: Version, packet_id: u16) -> Encoded {
    match version {
        Version::V3 => Ok(v3::Puback::builder()
            .packet_id(packet_id)
            .build()?
            .to_continuous_buffer()),
        Version::V5 => Ok(v5::Puback::builder()
            .packet_id(packet_id)
            .build()?
            .to_continuous_buffer()),
    }
}

/// SUBACK: per filter the granted QoS, or why not.
pub(crate) fn suback(version: Version, packet_id: u16, grants: &[Result<u8, Refusal>]) -> Encoded {
    match version {
        Version::V3 => {
            let codes = grants.iter().map(|grant| match grant {
                Ok(0) => SubackReturnCode::SuccessMaximumQos0,
                Ok(_) => SubackReturnCode::SuccessMaximumQos1,
                Err(_) => SubackReturnCode::Failure,
            });
            Ok(v3::Suback::builder()
                .packet_id(packet_id)
                .return_codes(codes.collect())
                .build()?
                .to_continuous_buffer())
        }
        Version::V5 => {
            let codes = grants.iter().map(|grant| match grant {
                Ok(0) => SubackReasonCode::GrantedQos0,
                Ok(_) => SubackReasonCode::GrantedQos1,
                Err(Refusal::NotAuthorized | Refusal::ClientId) => SubackReasonCode::NotAuthorized,
                Err(Refusal::Quota) => SubackReasonCode::QuotaExceeded,
                Err(Refusal::BadFilter) => SubackReasonCode::TopicFilterInvalid,
                Err(Refusal::Shared) => SubackReasonCode::SharedSubscriptionsNotSupported,
            });
            Ok(v5::Suback::builder()
                .packet_id(packet_id)
                .reason_codes(codes.collect())
                .build()?
                .to_continuous_buffer())
        }
    }
}

/// UNSUBACK: per filter whether there was such a subscription.
pub(crate) fn unsuback(version: Version, packet_id: u16, existed: &[bool]) -> Encoded {
    match version {
        Version::V3 => Ok(v3::Unsuback::builder()
            .packet_id(packet_id)
            .build()?
            .to_continuous_buffer()),
        Version::V5 => {
            let codes = existed.iter().map(|&existed| {
                if existed {
                    UnsubackReasonCode::Success
                } else {
                    UnsubackReasonCode::NoSubscriptionExisted
                }
            });
            Ok(v5::Unsuback::builder()
                .packet_id(packet_id)
                .reason_codes(codes.collect())
                .build()?
                .to_continuous_buffer())
        }
    }
}

/// PINGRESP, the same bytes in both versions.
pub(crate) fn pingresp() -> Vec<u8> {
    vec![0xd0, 0]
}

/// DISCONNECT with a reason, which only MQTT 5 has; empty for 3.1.1, which just closes.
pub(crate) fn disconnect(version: Version, goodbye: Goodbye) -> Encoded {
    if version == Version::V3 {
        return Ok(Vec::new());
    }
    let reason = match goodbye {
        Goodbye::Malformed => DisconnectReasonCode::MalformedPacket,
        Goodbye::Quota => DisconnectReasonCode::QuotaExceeded,
        Goodbye::TooLarge => DisconnectReasonCode::PacketTooLarge,
        Goodbye::QosNotSupported => DisconnectReasonCode::QosNotSupported,
        Goodbye::NotAuthorized => DisconnectReasonCode::NotAuthorized,
        Goodbye::TakenOver => DisconnectReasonCode::SessionTakenOver,
        Goodbye::KeepAlive => DisconnectReasonCode::KeepAliveTimeout,
        Goodbye::ShuttingDown => DisconnectReasonCode::ServerShuttingDown,
        Goodbye::Administrative => DisconnectReasonCode::AdministrativeAction,
    };
    Ok(v5::Disconnect::builder()
        .reason_code(reason)
        .build()?
        .to_continuous_buffer())
}
