//! The checkpoints of a firmware update.
//!
//! They are read by the *next* firmware, so the layout has a version of its own: format, phase,
//! then the phase's fields; numbers little-endian, texts with their length in one byte.

use heapless::{String, Vec};
use jobs_agent_core::{BODY_LEN_MAX, Checkpoint, CheckpointTooLong};

use super::{
    document::Digest,
    platform::{ETag, Version},
};

/// Version of the layout.
const FORMAT: u8 = 1;

/// Stands for "not known" where a length is kept.
const UNKNOWN: u64 = u64::MAX;

/// Most bytes of the reason that is kept over a roll-back.
pub(crate) const REASON_LEN_MAX: usize = 128;

/// How far an update has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    /// This much of the image is durable in the spare slot. Resuming needs the document, for a
    /// URL that has not expired.
    Download(Part),
    /// The image is verified; the switch may have happened or not.
    Switch(Trial),
    /// Switched; the reset comes before this is read again.
    SelfTest(Trial),
    /// Switched back; the reset comes before this is read again.
    RolledBack(String<REASON_LEN_MAX>),
}

/// A part of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Of the whole image, as the document says: another document, another image.
    pub(crate) digest: Digest,
    /// Bytes that are durable.
    pub(crate) received: u64,
    /// Length of the whole image, once known.
    pub(crate) total: Option<u64>,
    /// Which resource it is a part of.
    pub(crate) etag: ETag,
}

/// Firmware that is to prove itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trial {
    /// The version on trial.
    pub(crate) version: Version,
    /// The version before it.
    pub(crate) previous: Version,
    /// Length of the image, bytes.
    pub(crate) len: u64,
}

impl Saved {
    pub(crate) fn encode(&self) -> Result<Checkpoint, CheckpointTooLong> {
        let mut bytes = Bytes(Vec::new());
        bytes.raw(&[FORMAT])?;
        match self {
            Self::Download(part) => {
                bytes.raw(b"D")?;
                bytes.raw(&part.digest.0)?;
                bytes.raw(&part.received.to_le_bytes())?;
                bytes.raw(&part.total.unwrap_or(UNKNOWN).to_le_bytes())?;
                bytes.text(part.etag.as_str().unwrap_or(""))?;
                return Checkpoint::new(&bytes.0).map(Checkpoint::with_document);
            }
            Self::Switch(trial) => bytes.trial(b"S", trial)?,
            Self::SelfTest(trial) => bytes.trial(b"T", trial)?,
            Self::RolledBack(reason) => {
                bytes.raw(b"R")?;
                bytes.text(reason)?;
            }
        }
        Checkpoint::new(&bytes.0)
    }

    /// `None` if this firmware does not know the layout.
    pub(crate) fn decode(checkpoint: &Checkpoint) -> Option<Self> {
        let mut rest = checkpoint.bytes();
        let [FORMAT, phase] = *take(&mut rest, 2)? else {
            return None;
        };
        let saved = match phase {
            b'D' => Self::Download(Part {
                digest: Digest(take(&mut rest, 32)?.try_into().ok()?),
                received: number(&mut rest)?,
                total: Some(number(&mut rest)?).filter(|total| *total != UNKNOWN),
                etag: ETag::new(text(&mut rest)?),
            }),
            b'S' => Self::Switch(trial(&mut rest)?),
            b'T' => Self::SelfTest(trial(&mut rest)?),
            b'R' => Self::RolledBack(String::try_from(text(&mut rest)?).ok()?),
            _ => return None,
        };
        rest.is_empty().then_some(saved)
    }
}

struct Bytes(Vec<u8, BODY_LEN_MAX>);

impl Bytes {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), CheckpointTooLong> {
        self.0
            .extend_from_slice(bytes)
            .map_err(|_| CheckpointTooLong)
    }

    fn text(&mut self, text: &str) -> Result<(), CheckpointTooLong> {
        let len = u8::try_from(text.len()).map_err(|_| CheckpointTooLong)?;
        self.raw(&[len])?;
        self.raw(text.as_bytes())
    }

    fn trial(&mut self, phase: &[u8; 1], trial: &Trial) -> Result<(), CheckpointTooLong> {
        self.raw(phase)?;
        self.raw(&trial.len.to_le_bytes())?;
        self.text(&trial.version)?;
        self.text(&trial.previous)
    }
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn text<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let [len] = *take(rest, 1)? else { return None };
    core::str::from_utf8(take(rest, usize::from(len))?).ok()
}

fn trial(rest: &mut &[u8]) -> Option<Trial> {
    let len = number(rest)?;
    let version = Version::try_from(text(rest)?).ok()?;
    let previous = Version::try_from(text(rest)?).ok()?;
    Some(Trial {
        version,
        previous,
        len,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> [Saved; 4] {
        let longest = |fill: &str, len: usize| fill.repeat(len);
        let trial = Trial {
            version: Version::try_from(longest("9", 32).as_str()).unwrap(),
            previous: Version::try_from("1.0.0").unwrap(),
            len: 7,
        };
        let tag = std::format!("\"{}\"", longest("e", 62));
        [
            Saved::Download(Part {
                digest: Digest([7; 32]),
                received: 262_144,
                total: None,
                etag: ETag::new(&tag),
            }),
            Saved::Switch(trial.clone()),
            Saved::SelfTest(trial),
            Saved::RolledBack(String::try_from(longest("r", 128).as_str()).unwrap()),
        ]
    }

    #[test]
    fn every_phase_comes_back_as_it_was_kept() {
        for saved in examples() {
            let checkpoint = saved.encode().unwrap();
            assert_eq!(Saved::decode(&checkpoint), Some(saved));
        }
    }

    #[test]
    fn only_the_download_asks_for_the_document() {
        let asks = examples().map(|saved| saved.encode().unwrap().needs_document());
        assert_eq!(asks, [true, false, false, false]);
    }

    #[test]
    fn bytes_of_another_layout_are_not_taken_for_ours() {
        for saved in examples() {
            let bytes = saved.encode().unwrap();
            let bytes = bytes.bytes();
            for len in 0..bytes.len() {
                let cut = Checkpoint::new(&bytes[..len]).unwrap();
                assert_eq!(Saved::decode(&cut), None, "{saved:?} cut to {len}");
            }
            let longer = Checkpoint::new(&[bytes, &[0]].concat()).unwrap();
            assert_eq!(Saved::decode(&longer), None);
        }
        assert_eq!(
            Saved::decode(&Checkpoint::new(&[2, b'T', 0]).unwrap()),
            None
        );
        assert_eq!(Saved::decode(&Checkpoint::new(&[1, b'X']).unwrap()), None);
    }
}
