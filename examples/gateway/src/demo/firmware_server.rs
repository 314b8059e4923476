//! The server that the images are on: slow, with ranges, and it remembers what it sent.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Interval, MissedTickBehavior, interval},
};

/// Bytes sent at once.
pub(crate) const PIECE_LEN: usize = 16 * 1_024;

/// Between two pieces: about 1.6 MB/s, a good mobile line.
const PIECE_INTERVAL: Duration = Duration::from_millis(10);

/// An answer that was sent, as far as it got.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) path: String,
    /// First byte.
    pub(crate) start: u64,
    /// Bytes handed to the connection.
    pub(crate) sent: u64,
}

#[derive(Debug, Default)]
struct Shared {
    images: HashMap<String, Bytes>,
    log: Vec<Served>,
}

/// A running server; stops when dropped.
#[derive(Debug)]
pub(crate) struct FirmwareServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl FirmwareServer {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port can be had.
    pub(crate) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Offers an image; answers its URL and its checksum as a job document has it.
    pub(crate) fn offer(&self, name: &str, image: Vec<u8>) -> (String, String) {
        let checksum = checksum(&image);
        let path = format!("/{name}");
        let url = format!("http://{}{path}", self.address);
        lock(&self.shared).images.insert(path, image.into());
        (url, checksum)
    }

    /// What was sent of this image, in order of the requests.
    pub(crate) fn served(&self, name: &str) -> Vec<Served> {
        let log = &lock(&self.shared).log;
        log.iter()
            .filter(|served| served.path.trim_start_matches('/') == name)
            .cloned()
            .collect()
    }

    /// Bytes sent of this image, in all requests.
    pub(crate) fn sent(&self, name: &str) -> u64 {
        self.served(name).iter().map(|served| served.sent).sum()
    }
}

impl Drop for FirmwareServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The SHA-256 of an image as a job document has it.
pub(crate) fn checksum(image: &[u8]) -> String {
    let digest = Sha256::digest(image);
    digest.iter().fold(String::from("sha256:"), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    // Plain data: a panic elsewhere leaves nothing half done.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = shared.clone();
        let service = service_fn(move |request| {
            let answer = answer(&request, &shared);
            async move { Ok::<_, Infallible>(answer) }
        });
        // A client that was killed breaks its connection: part of the story.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(request: &Request<Incoming>, shared: &Arc<Mutex<Shared>>) -> Response<Slow> {
    let path = request.uri().path();
    let mut locked = lock(shared);
    let image = locked
        .images
        .get(path)
        .cloned()
        .filter(|_| *request.method() == Method::GET);
    let Some(image) = image else {
        return status(StatusCode::NOT_FOUND);
    };
    let etag = format!("\"{}\"", &checksum(&image)["sha256:".len()..][..16]);
    let total = image.len();
    let first = wanted(request, &etag);
    if first.is_some_and(|first| first >= total) {
        return status(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let start = first.unwrap_or(0);
    locked.log.push(Served {
        path: path.to_owned(),
        start: start as u64,
        sent: 0,
    });
    let entry = locked.log.len() - 1;
    drop(locked);

    let mut response = Response::new(Slow {
        rest: image.slice(start..),
        pace: pace(),
        log: Some((shared.clone(), entry)),
    });
    let headers = response.headers_mut();
    headers.insert(
        header::ACCEPT_RANGES,
        header::HeaderValue::from_static("bytes"),
    );
    if let Ok(etag) = etag.parse() {
        headers.insert(header::ETAG, etag);
    }
    if first.is_some() {
        if let Ok(range) = format!("bytes {start}-{}/{total}", total - 1).parse() {
            headers.insert(header::CONTENT_RANGE, range);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// The first byte wanted, if a range is wanted of this very image.
fn wanted(request: &Request<Incoming>, etag: &str) -> Option<usize> {
    let text = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let first = text(header::RANGE)?
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()?;
    text(header::IF_RANGE)
        .is_none_or(|tag| tag == etag)
        .then_some(first)
}

fn status(status: StatusCode) -> Response<Slow> {
    let mut response = Response::new(Slow {
        rest: Bytes::new(),
        pace: pace(),
        log: None,
    });
    *response.status_mut() = status;
    response
}

fn pace() -> Interval {
    let mut pace = interval(PIECE_INTERVAL);
    // Time lost to a busy machine is not made up for: the kill has to hit the middle.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// A body that is sent piece by piece.
#[derive(Debug)]
struct Slow {
    rest: Bytes,
    pace: Interval,
    log: Option<(Arc<Mutex<Shared>>, usize)>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.pace.poll_tick(context));
        let len = self.rest.len().min(PIECE_LEN);
        let piece = self.rest.split_to(len);
        if let Some((shared, entry)) = &self.log
            && let Some(served) = lock(shared).log.get_mut(*entry)
        {
            served.sent += len as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use handlers::{ETag, Fetch, FetchError, FetchReader, Opened};

    use super::*;
    use crate::platform::fetch::{BodyReader, Broken, HttpFetch};

    const IMAGE: &[u8] = b"0123456789";

    async fn open(
        url: &str,
        offset: u64,
        etag: &ETag,
    ) -> Result<Opened<BodyReader>, FetchError<Broken>> {
        HttpFetch.open(url, offset, etag).await
    }

    async fn all(mut reader: BodyReader) -> Vec<u8> {
        let (mut bytes, mut block) = (Vec::new(), [0; 3]);
        loop {
            match reader.read(&mut block).await.unwrap() {
                0 => return bytes,
                count => bytes.extend_from_slice(&block[..count]),
            }
        }
    }

    #[tokio::test]
    async fn a_download_goes_on_where_it_was() {
        let server = FirmwareServer::start().await.unwrap();
        let (url, _) = server.offer("fw.bin", IMAGE.to_vec());
        let whole = open(&url, 0, &ETag::NONE).await.unwrap();
        assert_eq!((whole.start, whole.total), (0, Some(10)));
        let etag = whole.etag.clone();
        assert_eq!(all(whole.reader).await, IMAGE);
        let rest = open(&url, 4, &etag).await.unwrap();
        assert_eq!((rest.start, rest.total, rest.etag), (4, Some(10), etag));
        assert_eq!(all(rest.reader).await, b"456789");
        let served = server.served("fw.bin");
        assert_eq!((served[1].start, served[1].sent), (4, 6));
        assert_eq!(server.sent("fw.bin"), 16);
    }

    #[tokio::test]
    async fn another_image_is_sent_from_its_beginning() {
        let server = FirmwareServer::start().await.unwrap();
        let (url, _) = server.offer("fw.bin", IMAGE.to_vec());
        let opened = open(&url, 4, &ETag::new("\"another-image\""))
            .await
            .unwrap();
        assert_eq!(opened.start, 0);
        assert_eq!(all(opened.reader).await, IMAGE);
    }

    #[tokio::test]
    async fn refusals_come_as_statuses_and_silence_as_a_fault() {
        let server = FirmwareServer::start().await.unwrap();
        let (url, _) = server.offer("fw.bin", IMAGE.to_vec());
        let behind = open(&url, 10, &ETag::NONE).await;
        assert!(matches!(behind, Err(FetchError::Status(416))));
        let missing = open(&url.replace("fw", "other"), 0, &ETag::NONE).await;
        assert!(matches!(missing, Err(FetchError::Status(404))));
        // The address was free a moment ago and nobody listens on it now.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let nobody = format!("http://{}/x", free.local_addr().unwrap());
        drop(free);
        let refused = open(&nobody, 0, &ETag::NONE).await;
        assert!(matches!(
            refused,
            Err(FetchError::Connection(Broken::Http(_)))
        ));
    }
}
