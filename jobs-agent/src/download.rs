//! Files by HTTP, into the folders that the operator names.
//!
//! A part that was received stays beside the file, with the server's tag for its version, and is
//! gone on with after a break of the line or of the agent. The file itself changes at once, when
//! all of it is there.

mod digest;
mod place;

use std::{io, path::Path, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode, body::Incoming, header};
use tokio::time::{sleep, timeout};

use crate::{
    http::{self, HttpError, Reach},
    policy::{DownloadPolicy, PolicyFault},
};
pub use digest::Sha256Digest;
use place::{Part, Place};

/// How often in a row a connection may bring nothing before the step fails.
const TRIES_MAX: u32 = 5;

/// Pause before the first repetition; it doubles from one to the next.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a body may be silent before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(30);

/// HTTP statuses that are worth another try: time-outs, too many requests, a server in trouble.
const TRANSIENT: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// Room that a file system keeps when a file has been downloaded, bytes: others want to write, too.
const FREE_MIN: u64 = 8 * 1_024 * 1_024;

/// Bytes that may be written before the room is looked at again: an eighth of what is kept free.
const ROOM_LOOK_LEN: u64 = FREE_MIN / 8;

/// Downloads files under a policy.
#[derive(Clone, Debug)]
pub struct Downloads {
    policy: DownloadPolicy,
    /// [`FREE_MIN`], but for tests.
    free_min: u64,
}

/// Why a file was not downloaded. Says nothing of the URL, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum DownloadFault {
    /// The policy forbids it.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// No connection, or it broke.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// The body broke off.
    #[error("the connection broke: {0}")]
    Body(#[from] hyper::Error),
    /// The server went silent.
    #[error("nothing came for {} s", SILENCE.as_secs())]
    Silence,
    /// The server's answer is no file.
    #[error("the server answered {0}")]
    Status(u16),
    /// The server sends the client elsewhere.
    #[error("the server redirects (status {0}); redirects are not followed")]
    Redirect(u16),
    /// The server sent a part that was not asked for.
    #[error("the server sent another part than was asked for")]
    Range,
    /// The file is too long.
    #[error("the file has more than the {0} bytes that are allowed")]
    TooLong(u64),
    /// The file does not fit.
    #[error("the file has {wanted} bytes and there is room for {room}")]
    NoRoom {
        /// Bytes of the file that are missing.
        wanted: u64,
        /// Bytes that can be written.
        room: u64,
    },
    /// The disk is full, or would be.
    #[error("the disk has no more room for the file")]
    Full,
    /// The connection ended before the file did.
    #[error("the connection ended at byte {0} of {1}")]
    Short(u64, u64),
    /// The file is not the one that was meant.
    #[error("SHA-256 is {found}, not {wanted}")]
    Digest {
        /// Of the file.
        found: Sha256Digest,
        /// What was asked for.
        wanted: Sha256Digest,
    },
    /// The place of the file cannot be used.
    #[error("{0}")]
    Place(#[from] io::Error),
}

impl DownloadFault {
    /// Whether another try may go better.
    fn passes(&self) -> bool {
        match self {
            Self::Http(HttpError::Url | HttpError::NoRoots | HttpError::Private(_)) => false,
            Self::Http(_) | Self::Body(_) | Self::Silence | Self::Short(..) => true,
            Self::Status(status) => TRANSIENT.contains(status),
            Self::Policy(_)
            | Self::Redirect(_)
            | Self::Range
            | Self::TooLong(_)
            | Self::NoRoom { .. }
            | Self::Full
            | Self::Digest { .. }
            | Self::Place(_) => false,
        }
    }
}

/// Removes a file in `dir` and what was received of it.
///
/// # Errors
/// One of them is there and cannot be removed, or is no regular file.
pub(crate) fn forget(dir: &Path, path: &Path) -> io::Result<()> {
    let place = Place::find(&[dir.to_owned()], path)?;
    place.remove()?;
    place.forget()
}

impl Downloads {
    /// Under this policy.
    #[must_use]
    pub fn new(policy: DownloadPolicy) -> Self {
        Self {
            policy,
            free_min: FREE_MIN,
        }
    }

    /// Gets the file behind `url` and replaces what stands at `path`.
    ///
    /// # Errors
    /// [`DownloadFault`]; what was received of a file that can be gone on with is kept.
    ///
    /// # Cancel safety
    /// Called again, it goes on with what was received.
    pub async fn get(&self, url: &str, path: &Path) -> Result<(), DownloadFault> {
        self.get_checked(url, path, None).await
    }

    /// As [`get`](Self::get); the file takes its place only if it has this SHA-256. A file that is
    /// there already and has it is not downloaded again.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`DownloadFault::Digest`].
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub async fn get_checked(
        &self,
        url: &str,
        path: &Path,
        wanted: Option<Sha256Digest>,
    ) -> Result<(), DownloadFault> {
        self.policy.check_url(url)?;
        let place = Place::find(&self.policy.dirs, path)?;
        if let Some(wanted) = wanted
            && place.holds().and_then(|file| digest::of(&file).ok()) == Some(wanted)
        {
            return Ok(());
        }
        let mut part = place.open()?;
        let mut barren = 0;
        loop {
            let before = part.len;
            match self.receive(url, &mut part).await {
                Ok(()) => {
                    if let Some(wanted) = wanted {
                        // What stands on the disk is what will be used, so that is hashed.
                        let found = part.digest()?;
                        if found != wanted {
                            place.forget()?;
                            return Err(DownloadFault::Digest { found, wanted });
                        }
                    }
                    return Ok(place.finish(part)?);
                }
                Err(fault) if !fault.passes() => {
                    if !matches!(
                        fault,
                        DownloadFault::Place(_) | DownloadFault::NoRoom { .. }
                    ) {
                        place.forget()?;
                    }
                    return Err(fault);
                }
                Err(fault) => {
                    barren = if part.len > before { 0 } else { barren + 1 };
                    if barren >= TRIES_MAX {
                        return Err(fault);
                    }
                    sleep(PAUSE * 2_u32.pow(barren)).await;
                }
            }
        }
    }

    /// One connection: from where the part ends to the end of the file.
    async fn receive(&self, url: &str, part: &mut Part) -> Result<(), DownloadFault> {
        let mut request = Request::get(url)
            .header(
                header::USER_AGENT,
                concat!("jobs-agent/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONNECTION, "close")
            .header(header::ACCEPT_ENCODING, "identity");
        // Without a tag nobody could tell whether the file is still the one begun.
        let mut resumed = false;
        match &part.etag {
            Some(tag) if part.len > 0 => {
                resumed = true;
                request = request
                    .header(header::RANGE, format!("bytes={}-", part.len))
                    .header(header::IF_RANGE, tag);
            }
            _ => part.restart()?,
        }
        let request = request.body(Full::default()).map_err(|_| HttpError::Url)?;
        let reach = if self.policy.private_addresses {
            Reach::Any
        } else {
            Reach::Public
        };
        let response = http::send(request, reach).await?;
        let headers = response.headers();
        let mut left = text(headers, header::CONTENT_LENGTH).and_then(|n| n.parse::<u64>().ok());
        match response.status() {
            StatusCode::OK => {
                part.restart()?;
                let etag = text(headers, header::ETAG);
                // A weak tag does not promise the same bytes (RFC 9110, 13.1.5).
                part.tag(etag.filter(|tag| !tag.starts_with("W/")))?;
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = text(headers, header::CONTENT_RANGE).and_then(range);
                let Some((first, total)) = range.filter(|_| resumed) else {
                    return Err(DownloadFault::Range);
                };
                if first != part.len {
                    return Err(DownloadFault::Range);
                }
                // The server may send less than was asked for: the file ends where it says.
                left = total.map(|total| total.saturating_sub(first)).or(left);
            }
            status if status.is_redirection() => {
                return Err(DownloadFault::Redirect(status.as_u16()));
            }
            status => return Err(DownloadFault::Status(status.as_u16())),
        }
        if let Some(left) = left {
            self.fits(part, left)?;
        }
        let end = left.map(|left| part.len.saturating_add(left));
        self.take(response.into_body(), part).await?;
        match end {
            Some(end) if part.len < end => Err(DownloadFault::Short(part.len, end)),
            Some(end) if part.len > end => Err(DownloadFault::Range),
            _ => Ok(()),
        }
    }

    /// Takes a body to its end.
    async fn take(&self, mut body: Incoming, part: &mut Part) -> Result<(), DownloadFault> {
        let mut unlooked = ROOM_LOOK_LEN;
        loop {
            let frame = timeout(SILENCE, body.frame()).await;
            let Some(frame) = frame.map_err(|_| DownloadFault::Silence)? else {
                return Ok(());
            };
            // A frame without data has trailers, which mean nothing here.
            let data = frame?.into_data().unwrap_or_default();
            // Who does not say how much there is, or says so while others write, must not fill it.
            unlooked = unlooked.saturating_add(data.len() as u64);
            if unlooked >= ROOM_LOOK_LEN {
                unlooked = 0;
                if part.room()? < self.free_min {
                    return Err(DownloadFault::Full);
                }
            }
            part.write(&data)?;
            self.allowed(part.len)?;
        }
    }

    fn allowed(&self, len: u64) -> Result<(), DownloadFault> {
        match self.policy.bytes_max {
            Some(most) if len > most => Err(DownloadFault::TooLong(most)),
            _ => Ok(()),
        }
    }

    fn fits(&self, part: &Part, left: u64) -> Result<(), DownloadFault> {
        self.allowed(part.len.saturating_add(left))?;
        let room = part.room()?.saturating_sub(self.free_min);
        if left > room {
            return Err(DownloadFault::NoRoom { wanted: left, room });
        }
        Ok(())
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The first byte and the length of the whole, unless it is `*`, of `bytes 5-9/10` (RFC 9110, 14.4).
fn range(range: &str) -> Option<(u64, Option<u64>)> {
    let (first, rest) = range.strip_prefix("bytes ")?.split_once('-')?;
    let (_, total) = rest.split_once('/')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests;
