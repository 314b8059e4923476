//! MQTT 3.1.1 and 5 packets as the front sees them.
//!
//! The bytes are read and written by `mqtt-protocol-core`; nothing else in this crate names it,
//! so that replacing it costs this one module. Framing, the choice of the version and the checks
//! that keep a hostile client out are ours.

use thiserror::Error;

use super::limits::PACKET_MAX_BYTES;

mod decode;
pub(crate) mod encode;

/// Most bytes of the "remaining length" field (MQTT 3.1.1, 2.2.3).
const LENGTH_FIELD_MAX_BYTES: usize = 4;

/// Which protocol a connection speaks; its CONNECT decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V3,
    /// MQTT 5, protocol level 5.
    V5,
}

/// A message a client leaves behind for the moment its connection breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// A CONNECT of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) client_id: String,
    /// Forget what an earlier connection left (`clean_session`, `clean_start`).
    pub(crate) clean: bool,
    /// Session expiry in seconds; `None` where the client did not say (always so in 3.1.1).
    pub(crate) session_expiry_s: Option<u32>,
    pub(crate) keep_alive_s: u16,
    /// How many QoS 1 messages the client takes at once.
    pub(crate) receive_maximum: u16,
    /// Largest packet the client takes, in bytes; `None` where it did not say (always so in 3.1.1).
    pub(crate) packet_maximum: Option<u32>,
    pub(crate) will: Option<Will>,
}

/// A PUBLISH in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    /// Present exactly for QoS 1 and 2.
    pub(crate) packet_id: Option<u16>,
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Connect(Connect),
    Publish(Publish),
    Puback {
        packet_id: u16,
    },
    Subscribe {
        packet_id: u16,
        filters: Vec<(String, u8)>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<String>,
    },
    Pingreq,
    /// The client leaves; an MQTT 5 client may still want its will published.
    Disconnect {
        publish_will: bool,
    },
}

/// Why bytes of a client are not MQTT we take. Every one ends the connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CodecError {
    #[error("first packet is no CONNECT; point an MQTT client at this port")]
    NotConnect,
    #[error("protocol level {0} is not MQTT 3.1.1 (4) or MQTT 5 (5)")]
    UnknownVersion(u8),
    #[error("packet of {0} bytes is larger than {PACKET_MAX_BYTES}; send less")]
    TooLarge(usize),
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    #[error("packet type {0} is not for a broker of QoS 0 and 1")]
    UnexpectedType(u8),
}

/// Takes bytes as they arrive and yields whole packets.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    version: Option<Version>,
}

impl Decoder {
    /// Adds bytes read from the connection.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The version, once CONNECT has been seen.
    pub(crate) const fn version(&self) -> Option<Version> {
        self.version
    }

    /// The next whole packet, or `None` until more bytes arrive.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, CodecError> {
        let Some(&first) = self.buffer.first() else {
            return Ok(None);
        };
        if self.version.is_none() && first != 0x10 {
            return Err(CodecError::NotConnect);
        }
        let Some((length, header)) = remaining_length(&self.buffer)? else {
            return Ok(None);
        };
        let total = length + header;
        if total > PACKET_MAX_BYTES {
            return Err(CodecError::TooLarge(total));
        }
        if self.buffer.len() < total {
            return Ok(None);
        }
        let packet: Vec<u8> = self.buffer.drain(..total).collect();
        let body = packet.get(header..).unwrap_or_default();
        self.decode(first, body).map(Some)
    }

    fn decode(&mut self, first: u8, body: &[u8]) -> Result<Incoming, CodecError> {
        let (kind, flags) = (first >> 4, first & 0x0f);
        let wanted = match kind {
            3 => flags,
            8 | 10 => 2,
            _ => 0,
        };
        if flags != wanted {
            return Err(CodecError::Malformed(
                "reserved bits of the fixed header are set",
            ));
        }
        let Some(version) = self.version else {
            let version = decode::connect_version(body)?;
            self.version = Some(version);
            return decode::connect(version, body).map(Incoming::Connect);
        };
        match kind {
            1 => Err(CodecError::Malformed("a second CONNECT")),
            3 => decode::publish(version, flags, body).map(Incoming::Publish),
            4 => decode::puback(version, body),
            8 => decode::subscribe(version, body),
            10 => decode::unsubscribe(version, body),
            12 => Ok(Incoming::Pingreq),
            14 => Ok(Incoming::Disconnect {
                publish_will: body.first() == Some(&0x04),
            }),
            other => Err(CodecError::UnexpectedType(other)),
        }
    }
}

/// The remaining length and the size of the fixed header, or `None` while it is incomplete.
fn remaining_length(buffer: &[u8]) -> Result<Option<(usize, usize)>, CodecError> {
    let mut length = 0usize;
    for (index, &byte) in buffer
        .iter()
        .skip(1)
        .take(LENGTH_FIELD_MAX_BYTES)
        .enumerate()
    {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 2)));
        }
    }
    if buffer.len() > LENGTH_FIELD_MAX_BYTES {
        return Err(CodecError::Malformed(
            "remaining length has more than four bytes",
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use mqtt_protocol_core::mqtt::packet::{v3_1_1 as v3, v5_0 as v5};

    use super::*;

    fn connect_v3() -> Vec<u8> {
        let packet = v3::Connect::builder()
            .client_id("d1")
            .unwrap()
            .keep_alive(30);
        packet.build().unwrap().to_continuous_buffer()
    }

    #[test]
    fn a_packet_split_at_every_byte_decodes_the_same() {
        let bytes = connect_v3();
        for cut in 0..bytes.len() {
            let mut decoder = Decoder::default();
            decoder.extend(&bytes[..cut]);
            assert_eq!(decoder.next(), Ok(None), "cut at {cut}");
            decoder.extend(&bytes[cut..]);
            let Ok(Some(Incoming::Connect(connect))) = decoder.next() else {
                panic!("cut at {cut}");
            };
            assert_eq!(
                (connect.client_id.as_str(), connect.keep_alive_s),
                ("d1", 30)
            );
        }
    }

    #[test]
    fn the_first_packet_decides_the_version() {
        let mut decoder = Decoder::default();
        let packet = v5::Connect::builder()
            .client_id("d5")
            .unwrap()
            .build()
            .unwrap();
        decoder.extend(&packet.to_continuous_buffer());
        assert!(matches!(decoder.next(), Ok(Some(Incoming::Connect(_)))));
        assert_eq!(decoder.version(), Some(Version::V5));
    }

    #[test]
    fn a_packet_that_announces_too_much_is_refused_before_it_arrives() {
        let mut decoder = Decoder::default();
        decoder.extend(&connect_v3());
        assert!(decoder.next().is_ok());
        decoder.extend(&[0x30, 0xff, 0xff, 0x7f]);
        assert_eq!(decoder.next(), Err(CodecError::TooLarge(0x1f_ffff + 4)));
    }

    #[test]
    fn another_protocol_is_refused_at_its_first_byte() {
        let mut decoder = Decoder::default();
        decoder.extend(b"GET / HTTP/1.1\r\n");
        assert_eq!(decoder.next(), Err(CodecError::NotConnect));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic() {
        // xorshift64: enough disorder, and the same bytes in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..20_000u32 {
            let mut decoder = Decoder::default();
            if round % 2 == 0 {
                decoder.extend(&connect_v3());
                assert!(decoder.next().is_ok());
            }
            let kind = [0x10u8, 0x30, 0x32, 0x40, 0x82, 0xa2, 0xc0, 0xe0];
            let length = (random() % 40) as u8;
            let mut bytes = vec![kind[(random() % 8) as usize], length];
            bytes.extend((0..length).map(|_| (random() & 0xff) as u8));
            if round % 4 == 1 {
                let level = [4, 5][(random() % 2) as usize];
                bytes = [
                    &[0x10, length + 7, 0, 4][..],
                    b"MQTT",
                    &[level],
                    &bytes[2..],
                ]
                .concat();
            }
            decoder.extend(&bytes);
            while matches!(decoder.next(), Ok(Some(_))) {}
        }
    }
}
