//! Where an update is, over a restart.

use jobs_agent_core::{Checkpoint, CheckpointTooLong};

use crate::saved::{REASON_LEN_MAX, start};

/// Version of the layout: the first byte.
const FORMAT: u8 = 1;

/// What has to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is installed, and has to prove itself.
    SelfTest,
    /// It did not, for this reason: go back.
    RollBack(String),
    /// The old version is back, for this reason.
    RolledBack(String),
}

impl Stage {
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, CheckpointTooLong> {
        let (stage, why) = match self {
            Self::SelfTest => (1, ""),
            Self::RollBack(why) => (2, why.as_str()),
            Self::RolledBack(why) => (3, why.as_str()),
        };
        let mut bytes = vec![FORMAT, stage];
        bytes.extend(start(why, REASON_LEN_MAX).as_bytes());
        Ok(Checkpoint::new(&bytes)?.with_document())
    }

    /// `None` for the bytes of another version.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[format, stage], why) = bytes.split_first_chunk::<2>()?;
        let why = String::from_utf8(why.to_vec()).ok()?;
        match (format, stage) {
            (FORMAT, 1) => Some(Self::SelfTest),
            (FORMAT, 2) => Some(Self::RollBack(why)),
            (FORMAT, 3) => Some(Self::RolledBack(why)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_read_as_it_was_kept() {
        for stage in [
            Stage::SelfTest,
            Stage::RollBack("why".into()),
            Stage::RolledBack("ä".repeat(400)),
        ] {
            let read = Stage::read(stage.checkpoint().unwrap().bytes()).unwrap();
            assert_eq!(
                std::mem::discriminant(&read),
                std::mem::discriminant(&stage)
            );
        }
        assert_eq!(Stage::read(&[2, 1]), None);
        assert_eq!(Stage::read(&[1]), None);
    }
}
