//! What the client library says about one send, in the words of a link.

use rumqttc::{PublishNotice, QoS, SubscribeNotice, SubscribeReasonCode};

use super::{LinkEvent, MAX_PACKET_BYTES, Qos, SendError, SendId};

/// Bytes of a PUBLISH besides its topic and payload: fixed header, both lengths, packet id.
const HEADER_BYTES: usize = 16;

/// What became of a publish.
pub(super) async fn published(id: SendId, notice: PublishNotice) -> LinkEvent {
    match notice.wait_async().await {
        Ok(_) => LinkEvent::Acked(id),
        Err(_) => LinkEvent::Lost(id),
    }
}

/// What became of a subscribe.
pub(super) async fn subscribed(id: SendId, notice: SubscribeNotice) -> LinkEvent {
    match notice.wait_async().await {
        Ok(suback) => {
            let granted = suback
                .return_codes
                .iter()
                .map(|code| matches!(code, SubscribeReasonCode::Success(_)))
                .collect();
            LinkEvent::SubAck { id, granted }
        }
        Err(_) => LinkEvent::Lost(id),
    }
}

/// Refuses what would end the connection instead of the call.
pub(super) fn check_size(topic: &str, payload: &[u8]) -> Result<(), SendError> {
    if topic.len() + payload.len() + HEADER_BYTES > MAX_PACKET_BYTES {
        return Err(SendError::Invalid {
            what: "the message is larger than any AWS IoT takes",
        });
    }
    Ok(())
}

/// The same in the library's words.
pub(super) fn library_qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}
