//! Reading a record where it is stored: what is torn, foreign or not understood is refused.

use core::str;

use jobs_proto::JobId;

use super::{
    CRC_LEN, RecordError, RecordKind,
    header::{HEADER_LEN, Header, MAGIC},
};
use crate::{checkpoint::BODY_LEN_MAX, crc::crc32, output::Status};

/// A record where it is stored.
pub(crate) struct Stored<'r> {
    header: &'r [u8; HEADER_LEN],
    id: &'r str,
    pub(crate) body: &'r [u8],
}

impl<'r> Stored<'r> {
    /// See [`Record::decode`](super::Record::decode).
    pub(crate) fn read(bytes: &'r [u8]) -> Result<Self, RecordError> {
        let (covered, crc) = bytes
            .split_last_chunk::<CRC_LEN>()
            .ok_or(RecordError::Length)?;
        let (header, texts) = covered
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(RecordError::Length)?;
        let [magic, version, ..] = *header;
        if magic != MAGIC {
            return Err(RecordError::Magic);
        }
        if *crc != crc32(covered).to_le_bytes() {
            return Err(RecordError::Crc);
        }
        let kind = kind(header).filter(|_| version != 0);
        let kind = kind.ok_or(RecordError::Field)?;
        let [.., id_len, body_low, body_high] = *header;
        let body_len = u16::from_le_bytes([body_low, body_high]);
        let texts = texts.split_at_checked(usize::from(id_len));
        let (id, rest) = texts.ok_or(RecordError::Length)?;
        let body = rest.get(..usize::from(body_len));
        let mut body = body.ok_or(RecordError::Length)?;
        let id = str::from_utf8(id).map_err(|_| RecordError::Field)?;
        JobId::new(id).map_err(|_| RecordError::Field)?;
        if body.len() > BODY_LEN_MAX {
            // An outcome counts without its details too; a checkpoint does not.
            let RecordKind::Outcome(_) = kind else {
                return Err(RecordError::Room);
            };
            body = &[];
        }
        Ok(Self { header, id, body })
    }

    /// What it says, which was checked.
    pub(crate) fn kind(&self) -> Option<RecordKind> {
        kind(self.header)
    }

    /// The job, which was checked.
    pub(crate) fn id(&self) -> &'r str {
        self.id
    }

    /// The header.
    pub(crate) fn header(&self) -> Header {
        Header::of(self.header)
    }
}

/// What a record with this header says; `None` if that is unknown here.
fn kind(header: &[u8; HEADER_LEN]) -> Option<RecordKind> {
    match (header[2], header[5]) {
        (1, _) => Some(RecordKind::Started),
        (2, _) => Some(RecordKind::Checkpoint),
        (3, _) => Some(RecordKind::Reboot),
        (4, 1) => Some(RecordKind::Outcome(Status::Succeeded)),
        (4, 2) => Some(RecordKind::Outcome(Status::Failed)),
        (4, 3) => Some(RecordKind::Outcome(Status::Rejected)),
        (_, _) => None,
    }
}
