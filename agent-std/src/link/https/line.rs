//! One connection over HTTP/1.1, and one exchange on it: bounded in time and size.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::answer::Answer;
use super::call::Request;
use super::options::{ALPN_AWS_HTTP, BODY_MAX_BYTES, HEAD_MAX_BYTES, HttpsOptions, KEEP_IDLE_MS};
use crate::link::dial::dial;
use crate::link::{ConfigError, LinkError, tls};

/// The header that names an error.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// How to open a connection to the service.
pub(super) struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout_s: u64,
    exchange_timeout_ms: u64,
    /// The `Host` header.
    authority: HeaderValue,
}

/// An open connection. Dropping it closes it.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    /// Something was answered on it before: the service may have closed it meanwhile.
    pub(super) used: bool,
    /// When it is too old to be used again.
    pub(super) stale_at: Instant,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Dialer {
    /// Reads certificates.
    pub(super) fn new(options: &HttpsOptions) -> Result<Self, ConfigError> {
        let bad = |what| ConfigError::BadValue { what };
        let name = match &options.tls {
            Some(tls) => tls.server_name.as_ref().unwrap_or(&options.host),
            None => &options.host,
        };
        let tls = match &options.tls {
            None => None,
            Some(tls) => {
                let name = ServerName::try_from(name.clone())
                    .map_err(|_| bad("the server name must be a DNS name or an IP address"))?;
                let config = tls::client_config(tls, options.port, ALPN_AWS_HTTP)?;
                Some((TlsConnector::from(config), name))
            }
        };
        let default_port = if tls.is_some() { 443 } else { 80 };
        let host = match options.host.contains(':') {
            true => format!("[{}]", options.host),
            false => options.host.clone(),
        };
        let authority = match options.port == default_port {
            true => host,
            false => format!("{host}:{}", options.port),
        };
        Ok(Self {
            host: options.host.clone(),
            port: options.port,
            tls,
            connect_timeout_s: options.connect_timeout_s,
            exchange_timeout_ms: options.exchange_timeout_ms,
            authority: HeaderValue::try_from(authority)
                .map_err(|_| bad("the host must be a bare name or address"))?,
        })
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Line, LinkError> {
        let limit_s = self.connect_timeout_s;
        let opening = timeout(Duration::from_secs(limit_s), self.open_at_leisure());
        opening
            .await
            .unwrap_or(Err(LinkError::ConnectTimeout { limit_s }))
    }

    async fn open_at_leisure(&self) -> Result<Line, LinkError> {
        let unreachable = |error: io::Error| LinkError::Unreachable {
            cause: error.to_string(),
        };
        let limit = Duration::from_secs(self.connect_timeout_s);
        let stream = dial(&self.host, self.port, limit)
            .await
            .map_err(unreachable)?;
        match &self.tls {
            None => Line::over(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Line::over(stream.map_err(|error| fault(&error))?).await
            }
        }
    }

    /// Whether `line` can be used once more, as far as is known here: nothing is sent for that.
    pub(super) async fn is_open(&self, line: &mut Line) -> bool {
        let limit = Duration::from_millis(self.exchange_timeout_ms);
        matches!(timeout(limit, line.sender.ready()).await, Ok(Ok(())))
    }

    /// One request and its answer on `line`, in the time allowed for both.
    pub(super) async fn exchange(
        &self,
        line: &mut Line,
        request: &Request,
    ) -> Result<Answer, LinkError> {
        let limit_ms = self.exchange_timeout_ms;
        let exchange = line.exchange(request, &self.authority);
        let answer = timeout(Duration::from_millis(limit_ms), exchange).await;
        answer.unwrap_or(Err(LinkError::NoAnswer { limit_ms }))
    }
}

impl Line {
    async fn over<S>(stream: S) -> Result<Self, LinkError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| fault(&error))?;
        // Its error also shows in the exchange.
        let driver = tokio::spawn(connection).abort_handle();
        Ok(Self {
            sender,
            driver,
            used: false,
            stale_at: Instant::now(),
        })
    }

    async fn exchange(
        &mut self,
        request: &Request,
        authority: &HeaderValue,
    ) -> Result<Answer, LinkError> {
        let mut sent = hyper::Request::new(Full::new(request.body.clone()));
        *sent.method_mut() = request.method.clone();
        *sent.uri_mut() = request
            .target
            .parse()
            .map_err(|_| not_jobs("the target of a request is none"))?;
        sent.headers_mut().insert(HOST, authority.clone());
        if !request.body.is_empty() {
            let json = HeaderValue::from_static("application/json");
            sent.headers_mut().insert(CONTENT_TYPE, json);
        }
        self.sender.ready().await.map_err(|error| fault(&error))?;
        let response = self.sender.send_request(sent);
        let answer = read(response.await.map_err(|error| fault(&error))?).await?;
        self.used = true;
        self.stale_at = Instant::now() + Duration::from_millis(KEEP_IDLE_MS);
        Ok(answer)
    }
}

/// Reads an answer to its end.
async fn read(response: Response<Incoming>) -> Result<Answer, LinkError> {
    let (head, body) = response.into_parts();
    // Where the end is not marked, half a body looks like a whole one.
    if !is_framed(head.status, &head.headers) {
        return Err(not_jobs("an answer whose length is not told"));
    }
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let error_type = text(ERROR_TYPE).map(str::to_owned);
    let retry_after_s = text(RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok());
    let body = match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => None,
        Err(error) => return Err(fault(&*error)),
    };
    Ok(Answer {
        status: head.status.as_u16(),
        error_type,
        retry_after_s,
        body,
    })
}

fn is_framed(status: StatusCode, headers: &HeaderMap) -> bool {
    let empty = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let told = [CONTENT_LENGTH, TRANSFER_ENCODING];
    empty || told.iter().any(|name| headers.contains_key(name))
}

fn not_jobs(cause: &str) -> LinkError {
    LinkError::NotJobs {
        cause: cause.to_owned(),
    }
}

/// Sorts an error by whose fault it is.
fn fault(error: &(dyn Error + 'static)) -> LinkError {
    let mut io_cause = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(why) = tls::fault(cause) {
            return why;
        }
        io_cause = io_cause.or_else(|| cause.downcast_ref::<io::Error>().map(ToString::to_string));
        next = cause.source();
    }
    let hyper = error.downcast_ref::<hyper::Error>();
    let closed = hyper.is_some_and(|error| {
        error.is_incomplete_message() || error.is_canceled() || error.is_closed()
    });
    match io_cause {
        Some(cause) => LinkError::PeerClosed { cause },
        None if closed => LinkError::PeerClosed {
            cause: error.to_string(),
        },
        None => not_jobs(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, Error as Tls};

    use super::*;

    fn meant(tls: Tls) -> LinkError {
        fault(&io::Error::new(io::ErrorKind::InvalidData, tls))
    }

    #[test]
    fn bytes_damaged_on_their_way_pass_by_themselves_over_https_too() {
        let damage = [
            Tls::DecryptError,
            Tls::AlertReceived(AlertDescription::BadRecordMac),
        ];
        for tls in damage {
            let why = meant(tls);
            assert!(!why.is_permanent(), "{why}");
        }
        let refused = Tls::AlertReceived(AlertDescription::CertificateUnknown);
        assert!(meant(refused).is_permanent());
    }
}
