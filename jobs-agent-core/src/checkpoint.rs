//! What a handler keeps over a restart.

use heapless::Vec;

/// Most bytes of a checkpoint, and of the packed details of an outcome: they share one place in
/// the slot and in the record. 256 B fits a small flash page with the header; the feature
/// `large-details` gives hosts 4 KiB.
pub const BODY_LEN_MAX: usize = if cfg!(feature = "large-details") {
    4_096
} else {
    256
};

/// A handler's own bytes, made durable by [`JobPort::checkpoint`](crate::JobPort::checkpoint).
///
/// Stored across firmware versions: give the bytes a version of your own.
///
/// ```
/// use jobs_agent_core::Checkpoint;
/// let at_block_7 = Checkpoint::new(&[1, 7]).unwrap();
/// assert_eq!(at_block_7.bytes(), &[1, 7]);
/// assert!(!at_block_7.needs_document());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    bytes: Vec<u8, BODY_LEN_MAX, u16>,
    needs_document: bool,
}

/// A checkpoint has more than [`BODY_LEN_MAX`] bytes: keep a reference to the data, not the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointTooLong;

impl core::fmt::Display for CheckpointTooLong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("checkpoint too long: keep a reference to the data instead of the data")
    }
}

impl core::error::Error for CheckpointTooLong {}

impl Checkpoint {
    /// A checkpoint that can be resumed from without any network.
    ///
    /// # Errors
    /// [`CheckpointTooLong`] beyond [`BODY_LEN_MAX`] bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, CheckpointTooLong> {
        Self::made(bytes, false)
    }

    /// One that was kept.
    pub(crate) fn made(bytes: &[u8], needs_document: bool) -> Result<Self, CheckpointTooLong> {
        match Vec::from_slice(bytes) {
            Ok(bytes) => Ok(Self {
                bytes,
                needs_document,
            }),
            Err(_) => Err(CheckpointTooLong),
        }
    }

    /// After a restart, fetch the job document again and plan anew before resuming. For work that
    /// needs a fresh presigned URL: the old one has expired by then.
    #[must_use]
    pub fn with_document(mut self) -> Self {
        self.needs_document = true;
        self
    }

    /// The handler's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether resuming waits for the job document.
    #[must_use]
    pub fn needs_document(&self) -> bool {
        self.needs_document
    }
}
