//! One HTTP/1.1 request on a connection of its own, over TCP or TLS.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
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
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long a server may take to accept a connection and to answer, each.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
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
    /// All its addresses are of this machine or of a private network.
    #[error("{0} is an address of this machine or of a private network, which is not allowed")]
    Private(String),
}

/// Which addresses may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any.
    Any,
    /// Not this machine, no private and no link-local network: what a name in a document must not
    /// lead to, whatever it resolves to.
    Public,
}

impl Reach {
    /// Whether this address may be reached.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        let public = |v4: Ipv4Addr| {
            // Shared address space (RFC 6598) is some provider's inside.
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64;
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.octets()[0] == 0
                // The future, which some networks use as private addresses (RFC 1112).
                || v4.octets()[0] >= 240
                // Protocol assignments (RFC 6890): a metadata service of one cloud is there.
                || v4.octets().starts_with(&[192, 0, 0])
                // Benchmarks inside a network (RFC 2544).
                || (v4.octets()[0] == 198 && v4.octets()[1] & 0xFE == 18)
                || shared)
        };
        match (self, address) {
            (Self::Any, _) => true,
            (Self::Public, IpAddr::V4(v4)) => public(v4),
            (Self::Public, IpAddr::V6(v6)) => match v6.to_ipv4() {
                // Mapped and compatible forms, `::1` among them.
                Some(v4) => public(v4),
                None => {
                    // A translator (RFC 6052) leads to any IPv4 address.
                    let translated = v6.segments().starts_with(&[0x64, 0xFF9B]);
                    // A 6to4 address has the IPv4 address it leads to in it (RFC 3056).
                    let relayed = match v6.octets() {
                        [0x20, 0x02, a, b, c, d, ..] => !public(Ipv4Addr::new(a, b, c, d)),
                        _ => false,
                    };
                    // Site-local (RFC 3879): deprecated, and still somebody's inside.
                    let site_local = v6.segments()[0] & 0xFFC0 == 0xFEC0;
                    !(relayed
                        || site_local
                        || v6.is_multicast()
                        || v6.is_unique_local()
                        || v6.is_unicast_link_local()
                        || translated)
                }
            },
        }
    }
}

/// Sends a request without a body to its own URI, or with a short one; fills in `Host`.
///
/// # Errors
/// [`HttpError`]; any status is an answer.
///
/// # Cancel safety
/// Dropping it closes the connection; the server may have acted.
pub async fn send(
    request: Request<Full<Bytes>>,
    reach: Reach,
) -> Result<Response<Incoming>, HttpError> {
    send_within(request, reach, ANSWER_TIMEOUT).await
}

/// As [`send`], with a body that may take until `limit` to be sent and answered.
///
/// # Errors
/// As [`send`].
///
/// # Cancel safety
/// As [`send`].
pub async fn send_within(
    mut request: Request<Full<Bytes>>,
    reach: Reach,
    limit: Duration,
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
    let stream = async {
        let found = lookup_host((bare, port)).await.map_err(failed)?;
        // Looked at here, where the connection is made: a second look-up could answer otherwise.
        let allowed: Vec<SocketAddr> = found.filter(|at| reach.allows(at.ip())).collect();
        if allowed.is_empty() {
            return Err(HttpError::Private(host.to_owned()));
        }
        let stream = TcpStream::connect(&*allowed).await.map_err(failed)?;
        if reach == Reach::Public && leads_back(&stream).map_err(failed)? {
            return Err(HttpError::Private(host.to_owned()));
        }
        Ok(stream)
    };
    let stream = timeout(ANSWER_TIMEOUT, stream).await.map_err(late)??;
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
    timeout(limit, answer).await.map_err(late)?
}

/// Whether both ends have one address: a public address can be one of this machine, too.
fn leads_back(stream: &TcpStream) -> io::Result<bool> {
    Ok(stream.peer_addr()?.ip() == stream.local_addr()?.ip())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_leads_back_to_this_machine_is_known() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let back = TcpStream::connect(at).await.unwrap();
        assert!(leads_back(&back).unwrap());
    }

    #[test]
    fn addresses_of_the_inside_are_known_in_all_their_forms() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "64:ff9b::7f00:1",
            "fd00::1",
            "fec0::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "192.0.0.192",
            "198.18.0.1",
            "240.0.0.1",
            "ff02::1",
        ] {
            let address: IpAddr = inside.parse().unwrap();
            assert!(!Reach::Public.allows(address), "{inside}");
            assert!(Reach::Any.allows(address));
        }
        for outside in [
            "52.95.110.1",
            "100.128.0.1",
            "2600:1f00::1",
            "2002:345f:6e01::1",
            "192.0.1.1",
            "198.20.0.1",
            "::ffff:52.95.110.1",
        ] {
            assert!(Reach::Public.allows(outside.parse().unwrap()), "{outside}");
        }
    }
}
