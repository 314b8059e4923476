//! One PUT, repeated while there is hope.

use std::{
    io::{self, Write},
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::{Request, StatusCode, header};
use tokio::time::sleep;

use super::LogPlan;
use crate::{
    http::{self, HttpError, Reach},
    policy::DownloadPolicy,
};

/// How often a PUT is tried.
const TRIES_MAX: u32 = 4;

/// Pause before the first repetition; it doubles from one to the next.
const PAUSE: Duration = Duration::from_millis(500);

/// HTTP statuses that are worth another try: time-outs, too many requests, a server in trouble.
const TRANSIENT: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// # Errors
/// Why it did not arrive; says nothing of the URL, which is a secret.
pub(super) async fn put(
    policy: &DownloadPolicy,
    plan: &LogPlan,
    body: Bytes,
) -> Result<(), String> {
    let reach = if policy.private_addresses {
        Reach::Any
    } else {
        Reach::Public
    };
    let limit = Duration::from_secs(plan.source.timeout_s);
    let mut tried = 0;
    loop {
        // No media type: a URL that was signed with one takes no other, and some with none take
        // none at all.
        let request = Request::put(&plan.url)
            .header(
                header::USER_AGENT,
                concat!("jobs-agent/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_LENGTH, body.len())
            .body(Full::new(body.clone()))
            .map_err(|_| HttpError::Url.to_string())?;
        let answer = http::send_within(request, reach, limit).await;
        let (why, hope) = match answer.map(|answer| answer.status()) {
            Ok(status) if status.is_success() => return Ok(()),
            Ok(status) => (refusal(status), TRANSIENT.contains(&status.as_u16())),
            Err(fault) => {
                let hope = !matches!(
                    fault,
                    HttpError::Url | HttpError::NoRoots | HttpError::Private(_)
                );
                (fault.to_string(), hope)
            }
        };
        tried += 1;
        if !hope || tried == TRIES_MAX {
            return Err(why);
        }
        sleep(PAUSE * 2_u32.pow(tried)).await;
    }
}

fn refusal(status: StatusCode) -> String {
    let status = status.as_u16();
    match status {
        300..=399 => format!("the server redirects (status {status}); redirects are not followed"),
        403 => "the server answered 403: the presigned URL has ended or is for something else"
            .to_owned(),
        _ => format!("the server answered {status}"),
    }
}
