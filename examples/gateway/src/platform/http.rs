//! One HTTP/1.1 request on a connection of its own, over TCP or TLS.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, Uri, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long a server may take to accept a connection and to answer, each.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The address makes no sense.
    #[error("not an http or https URL with a host")]
    Url,
    /// No connection.
    #[error("no connection to {host}: {source}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system has no certificates to trust.
    #[error("no trusted certificates on this system: install ca-certificates")]
    NoRoots,
    /// The connection broke, or the other side does not speak HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// Nothing came in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
}

/// Sends a request without a body to its own URI, or with one; fills in `Host`.
///
/// # Errors
/// [`HttpError`]; any status is an answer.
///
/// # Cancel safety
/// Dropping it closes the connection; the server may have acted.
pub(crate) async fn send(
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, HttpError> {
    let uri = request.uri().clone();
    let (host, port, tls) = target(&uri)?;
    let address = format!("{host}:{port}");
    let authority = uri.authority().ok_or(HttpError::Url)?.as_str();
    let value = header::HeaderValue::from_str(authority).map_err(|_| HttpError::Url)?;
    request.headers_mut().insert(header::HOST, value);
    let origin = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = origin.parse().map_err(|_| HttpError::Url)?;

    let late = |_| HttpError::Timeout(address.clone());
    let failed = |source| HttpError::Connect {
        host: address.clone(),
        source,
    };
    // A literal IPv6 address has brackets in a URL and none elsewhere.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = timeout(ANSWER_TIMEOUT, TcpStream::connect((bare, port))).await;
    let stream = stream.map_err(late)?.map_err(failed)?;
    let answer = async {
        if tls {
            let name = ServerName::try_from(bare.to_owned()).map_err(|_| HttpError::Url)?;
            let connector = TlsConnector::from(tls_config()?);
            let stream = connector.connect(name, stream).await.map_err(failed)?;
            exchange(stream, request).await
        } else {
            exchange(stream, request).await
        }
    };
    timeout(ANSWER_TIMEOUT, answer).await.map_err(late)?
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the body: nobody holds the sender then. Its error also shows in the body.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

fn target(uri: &Uri) -> Result<(&str, u16, bool), HttpError> {
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or(HttpError::Url)?;
    let (default_port, tls) = match uri.scheme_str() {
        Some("http") => (80, false),
        Some("https") => (443, true),
        Some(_) | None => return Err(HttpError::Url),
    };
    Ok((host, uri.port_u16().unwrap_or(default_port), tls))
}

/// Trust in what the system trusts; read once.
fn tls_config() -> Result<Arc<ClientConfig>, HttpError> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return None;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().ok()?;
        Some(Arc::new(
            builder.with_root_certificates(roots).with_no_client_auth(),
        ))
    });
    config.clone().ok_or(HttpError::NoRoots)
}
