//! What a firmware update asks of the platform: slots, a way to fetch, a test of itself.

use core::fmt;

use heapless::String;

use crate::line::Line;

/// Most bytes of a version: fits a record, longer than any semantic version in use.
pub const VERSION_LEN_MAX: usize = 32;

/// Most bytes of an entity tag that is kept: S3 and common servers use 18 to 40.
pub const ETAG_LEN_MAX: usize = 64;

/// Unit of writing, bytes: the sector size of common NOR flash. Every write starts at a multiple
/// of it, and only the last one is shorter.
pub const BLOCK_LEN: usize = 4_096;

/// A firmware version as it stands in the document.
pub type Version = String<VERSION_LEN_MAX>;

/// Two places for firmware: one that runs, one to be written.
///
/// The boot loader's part of the bargain: a slot that was switched to *on trial* and is not
/// confirmed during its first boot is left again at the next reset.
#[allow(async_fn_in_trait)] // Boards have no Send; on Linux, auto traits leak through generics.
pub trait FirmwareSlots {
    /// What can go wrong; shown in the job's reason.
    type Error: fmt::Display;

    /// Room in the spare slot, bytes.
    fn capacity(&self) -> u64;

    /// The version that runs now: of the slot this boot was started from.
    ///
    /// # Errors
    /// The running version cannot be told.
    async fn running_version(&self) -> Result<Version, Self::Error>;

    /// Gets the spare slot ready to be written from offset `keep` on, keeping what is below and
    /// dropping the rest. Answers how much was really kept: less if the slot holds less.
    ///
    /// A slot that is to boot next for good is given up first; the next boot must never find a
    /// part of an image.
    ///
    /// # Errors
    /// The spare slot cannot be used, or it waits for its first boot on trial.
    async fn prepare(&self, keep: u64) -> Result<u64, Self::Error>;

    /// Writes at most [`BLOCK_LEN`] bytes at a multiple of [`BLOCK_LEN`].
    ///
    /// # Errors
    /// The block was not written.
    async fn write(&self, offset: u64, block: &[u8]) -> Result<(), Self::Error>;

    /// Returns when everything written is durable.
    ///
    /// # Errors
    /// It cannot be made durable.
    async fn sync(&self) -> Result<(), Self::Error>;

    /// Fills `block` from the spare slot.
    ///
    /// # Errors
    /// The slot does not have so many bytes, or they cannot be read.
    async fn read(&self, offset: u64, block: &mut [u8]) -> Result<(), Self::Error>;

    /// From the next boot on, runs the spare slot: `len` bytes of `version`; on trial if
    /// `on_trial`, else for good. Doing it twice is like doing it once. Durable on return.
    ///
    /// # Errors
    /// The next boot runs what runs now.
    async fn switch(&self, version: &str, len: u64, on_trial: bool) -> Result<(), Self::Error>;

    /// Keeps the slot that runs: the trial is over. Does nothing if there is no trial.
    ///
    /// # Errors
    /// The trial could not be ended.
    async fn confirm(&self) -> Result<(), Self::Error>;

    /// From the next boot on, runs the slot that ran before the switch. Does nothing if nothing
    /// was switched.
    ///
    /// # Errors
    /// The next boot runs the slot on trial.
    async fn roll_back(&self) -> Result<(), Self::Error>;
}

/// Fetches a part of a resource: HTTP `GET` with `Range` and `If-Range` (RFC 9110, 13.1.5, 14.2).
#[allow(async_fn_in_trait)] // As above.
pub trait Fetch {
    /// A fault of the connection; shown in the job's reason.
    type Error: fmt::Display;
    /// The rest of the resource.
    type Reader: FetchReader<Error = Self::Error>;

    /// Asks for `url` from `offset` on, if it still is the resource of `etag`.
    ///
    /// # Errors
    /// [`FetchError`]: the server's refusal, or a fault of the connection.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the request.
    async fn open(
        &self,
        url: &str,
        offset: u64,
        etag: &ETag,
    ) -> Result<Opened<Self::Reader>, FetchError<Self::Error>>;
}

/// A body that is being received.
#[allow(async_fn_in_trait)] // As above.
pub trait FetchReader {
    /// A fault of the connection.
    type Error: fmt::Display;

    /// Reads some bytes; 0 at the end.
    ///
    /// # Errors
    /// The connection failed; what was read before is good.
    ///
    /// # Cancel safety
    /// A dropped future may lose bytes: the reader is not used again then.
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error>;
}

/// An answer with a body.
#[derive(Debug)]
pub struct Opened<R> {
    /// Where the body begins: the offset asked for (206), or 0 from a server that sends all (200).
    pub start: u64,
    /// Length of the whole resource, bytes, if the server told.
    pub total: Option<u64>,
    /// The resource's entity tag.
    pub etag: ETag,
    /// The body.
    pub reader: R,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError<E> {
    /// The server answered with this HTTP status and not with the resource.
    Status(u16),
    /// The server could not be reached, or did not speak HTTP.
    Connection(E),
}

/// A strong entity tag with its quotes, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ETag(String<ETAG_LEN_MAX>);

impl ETag {
    /// No tag.
    pub const NONE: Self = Self(String::new());

    /// Takes a strong tag of at most [`ETAG_LEN_MAX`] bytes; anything else counts as none, because
    /// a weak one does not promise equal bytes (RFC 9110, 8.8.1).
    ///
    /// ```
    /// use handlers::ETag;
    /// assert_eq!(ETag::new("\"a1\"").as_str(), Some("\"a1\""));
    /// assert_eq!(ETag::new("W/\"a1\""), ETag::NONE);
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Self {
        let strong = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !strong || !visible {
            return Self::NONE;
        }
        String::try_from(text).map_or(Self::NONE, Self)
    }

    /// The tag, quotes and all.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }

    /// Both are known, and they are not the same.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        matches!((self.as_str(), other.as_str()), (Some(ours), Some(theirs)) if ours != theirs)
    }
}

/// Tells whether the firmware that runs is fit to stay.
#[allow(async_fn_in_trait)] // As above.
pub trait SelfTest {
    /// Tests what makes the device worth keeping in the field: that it reaches its service (it
    /// does, or this would not run), its sensors, its storage.
    ///
    /// # Errors
    /// What is not as it should be; the update is rolled back.
    async fn check(&self, version: &str) -> Result<(), Line>;
}
