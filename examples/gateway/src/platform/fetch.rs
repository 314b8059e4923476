//! Downloads by range requests.

use std::time::Duration;

use bytes::{Buf, Bytes};
use handlers::{ETag, Fetch, FetchError, FetchReader, Opened};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode, body::Incoming, header};
use tokio::time::timeout;

use jobs_agent::http::{self, HttpError, Reach};

/// How long a body may be silent before the connection counts as broken.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Downloads over HTTP and HTTPS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpFetch;

/// A fault of the connection. Says nothing of the URL, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// No answer.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// The body broke off.
    #[error("the connection broke: {0}")]
    Body(#[from] hyper::Error),
    /// The server said 206 without a range that can be read.
    #[error("the server sent a part and did not say which")]
    Range,
    /// The server went silent.
    #[error("nothing came for {} s", SILENCE_TIMEOUT.as_secs())]
    Silence,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Incoming,
    /// Received and not yet read.
    rest: Bytes,
}

impl Fetch for HttpFetch {
    type Error = Broken;
    type Reader = BodyReader;

    async fn open(
        &self,
        url: &str,
        offset: u64,
        etag: &ETag,
    ) -> Result<Opened<BodyReader>, FetchError<Broken>> {
        let broken = |error: HttpError| FetchError::Connection(error.into());
        let mut request = Request::get(url)
            .header(
                header::USER_AGENT,
                concat!("jobs-agent-gateway/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONNECTION, "close")
            .header(header::ACCEPT_ENCODING, "identity");
        if offset > 0 {
            request = request.header(header::RANGE, format!("bytes={offset}-"));
            if let Some(tag) = etag.as_str() {
                request = request.header(header::IF_RANGE, tag);
            }
        }
        let request = request
            .body(Full::default())
            .map_err(|_| broken(HttpError::Url))?;
        let response = http::send(request, Reach::Any).await.map_err(broken)?;
        let headers = response.headers();
        let (start, total) = match response.status() {
            StatusCode::OK => (0, number(headers, header::CONTENT_LENGTH)),
            StatusCode::PARTIAL_CONTENT => headers
                .get(header::CONTENT_RANGE)
                .and_then(|value| content_range(value.to_str().ok()?))
                .ok_or(FetchError::Connection(Broken::Range))?,
            status => return Err(FetchError::Status(status.as_u16())),
        };
        let etag = headers
            .get(header::ETAG)
            .and_then(|value| value.to_str().ok());
        let etag = etag.map_or(ETag::NONE, ETag::new);
        let reader = BodyReader {
            body: response.into_body(),
            rest: Bytes::new(),
        };
        Ok(Opened {
            start,
            total,
            etag,
            reader,
        })
    }
}

impl FetchReader for BodyReader {
    type Error = Broken;

    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        while self.rest.is_empty() {
            match timeout(SILENCE_TIMEOUT, self.body.frame())
                .await
                .map_err(|_| Broken::Silence)?
            {
                None => return Ok(0),
                // A frame without data has trailers, which mean nothing here.
                Some(frame) => self.rest = frame?.into_data().unwrap_or_default(),
            }
        }
        let count = self.rest.len().min(into.len());
        if let Some(into) = into.get_mut(..count) {
            self.rest.copy_to_slice(into);
        }
        Ok(count)
    }
}

fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// First byte and length of the whole, from `bytes 5-9/10` (RFC 9110, 14.4).
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" {
        None
    } else {
        Some(total.parse().ok()?)
    };
    Some((first.parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_as_the_standard_has_them() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        for other in [
            "bytes */10",
            "5-9/10",
            "bytes 5-9",
            "items 5-9/10",
            "bytes x-9/10",
            "",
        ] {
            assert_eq!(content_range(other), None, "{other}");
        }
    }
}
