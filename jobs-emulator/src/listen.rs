//! The tasks behind an emulator: accept loops and the timer.
//!
//! Each ends after the hub's `stop` turned true and its connections have ended.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::{Identity, certificate_id};
use crate::http::{self, DataDoor};
use crate::hub::Hub;
use crate::mqtt::connection::serve;
use crate::tls::pki::Pki;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send the head of an HTTP request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after the system refused a connection (mostly: no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections may take to end once the emulator stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Fires what is due, until the hub stops.
pub(crate) async fn run_timers(hub: Arc<Hub>) {
    loop {
        let due_ms = hub.next_deadline_ms();
        tokio::select! {
            () = hub.clock.sleep_until(due_ms.unwrap_or(u64::MAX)), if due_ms.is_some() => {
                hub.fire_due();
                // A deadline that does not move would spin; the service owes a later one.
                tokio::task::yield_now().await;
            }
            () = hub.timers.notified() => {}
            () = hub.stopped() => return,
        }
    }
}

/// Accepts connections and runs `handle` on each, until the hub stops.
async fn accept<F, Fut>(listener: TcpListener, hub: Arc<Hub>, handle: F)
where
    F: Fn(TcpStream, Arc<Hub>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Small packets either way; waiting to fill a segment only costs time.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(handle(stream, Arc::clone(&hub)));
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = hub.stopped() => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_TIMEOUT, ended).await;
}

/// The MQTT front without TLS.
pub(crate) async fn mqtt(listener: TcpListener, hub: Arc<Hub>) {
    accept(listener, hub, |stream, hub| {
        serve(stream, Identity::Anyone, hub)
    })
    .await;
}

/// Shakes hands; the stream and who is at its other end.
async fn shake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Option<(TlsStream<TcpStream>, Identity)> {
    let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
    let stream = shaken
        .ok()?
        .inspect_err(|error| tracing::info!(%error, "TLS handshake failed"))
        .ok()?;
    let chain = stream.get_ref().1.peer_certificates()?;
    let identity = Identity::Certificate(certificate_id(chain.first()?));
    Some((stream, identity))
}

/// The MQTT front with mutual TLS.
pub(crate) async fn mqtts(listener: TcpListener, acceptor: TlsAcceptor, hub: Arc<Hub>) {
    accept(listener, hub, move |stream, hub| {
        let acceptor = acceptor.clone();
        async move {
            let Some((stream, identity)) = shake(&acceptor, stream).await else {
                return;
            };
            if !hub.lock().certificates.may_connect(&identity) {
                tracing::info!(?identity, "certificate is not registered or not active");
                return;
            }
            serve(stream, identity, hub).await;
        }
    })
    .await;
}

/// The HTTP front.
pub(crate) async fn http(listener: TcpListener, hub: Arc<Hub>, pki: Option<Arc<Pki>>) {
    accept(listener, hub, move |stream, hub| {
        let pki = pki.clone();
        async move {
            let answering = Arc::clone(&hub);
            serve_http(stream, &hub, move |request| {
                let (hub, pki) = (Arc::clone(&answering), pki.clone());
                async move { Ok::<_, Infallible>(http::answer(request, &hub, pki.as_deref()).await) }
            })
            .await;
        }
    })
    .await;
}

/// The HTTP data plane without TLS.
pub(crate) async fn data_http(listener: TcpListener, hub: Arc<Hub>) {
    accept(listener, hub, |stream, hub| async move {
        serve_data(stream, Identity::Anyone, hub).await;
    })
    .await;
}

/// The HTTP data plane with mutual TLS. What a certificate may do is looked up for each request, as
/// it can change while a connection lasts.
pub(crate) async fn data_https(listener: TcpListener, acceptor: TlsAcceptor, hub: Arc<Hub>) {
    accept(listener, hub, move |stream, hub| {
        let acceptor = acceptor.clone();
        async move {
            if let Some((stream, identity)) = shake(&acceptor, stream).await {
                serve_data(stream, identity, hub).await;
            }
        }
    })
    .await;
}

async fn serve_data<S>(stream: S, identity: Identity, hub: Arc<Hub>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let door = Arc::new(DataDoor::open(identity, Arc::clone(&hub)));
    serve_http(stream, &hub, move |request| {
        let door = Arc::clone(&door);
        async move { door.answer(request).await }
    })
    .await;
}

/// Serves one HTTP connection until it ends or the emulator stops.
async fn serve_http<S, F, Fut, E>(stream: S, hub: &Hub, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Result<Response<Full<Bytes>>, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "HTTP connection ended");
            }
        }
        () = hub.stopped() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
