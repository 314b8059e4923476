//! The tasks behind an emulator: accept loops and the timer.
//!
//! Each ends after the hub's `stop` turned true and its connections have ended.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Identity, certificate_id};
use crate::http;
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

/// The MQTT front with mutual TLS.
pub(crate) async fn mqtts(listener: TcpListener, acceptor: TlsAcceptor, hub: Arc<Hub>) {
    accept(listener, hub, move |stream, hub| {
        let acceptor = acceptor.clone();
        async move {
            let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
            let stream = match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::info!(%error, "TLS handshake failed");
                    return;
                }
                Err(_) => return,
            };
            let peer = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first());
            let Some(id) = peer.map(|certificate| certificate_id(certificate)) else {
                return;
            };
            let identity = Identity::Certificate(id);
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
                    let stopping = Arc::clone(&hub);
            let service = service_fn(move |request| {
                let (hub, pki) = (Arc::clone(&hub), pki.clone());
                async move { Ok::<_, Infallible>(http::answer(request, &hub, pki.as_deref()).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "HTTP connection ended");
                    }
                }
                () = stopping.stopped() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        }
    })
    .await;
}
