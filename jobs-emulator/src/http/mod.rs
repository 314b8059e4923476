//! The HTTP front: what the AWS CLI and SDKs speak to AWS IoT (REST with JSON).

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value};

use crate::hub::Hub;
use crate::model::{ApiError, DataOp};
use crate::tls::pki::Pki;

mod certificates;
mod data;
mod route;

pub(crate) use data::DataDoor;
use route::{Operation, route};

/// Largest request body in bytes (1 MiB). The largest valid request is a job with a document of
/// 32 KiB and 100 targets of 2 KiB each, well below.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// Header the CLI reads the exception name from.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Header with the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Header that certificate operations carry the certificate's ARN in.
const PRINCIPAL: &str = "x-amzn-principal";

/// A refusal on its way to the client.
struct Failure {
    status: u16,
    code: &'static str,
    message: String,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self {
            status: error.status,
            code: error.code,
            message: error.message,
        }
    }
}

impl Failure {
    fn invalid_request(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "InvalidRequestException",
            message: message.into(),
        }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: 404,
            code: "ResourceNotFoundException",
            message: message.into(),
        }
    }

    /// For what the emulator does not have. Never 5xx: AWS clients would repeat the request for
    /// half a minute.
    fn unsupported(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "UnsupportedOperationException",
            message: message.into(),
        }
    }
}

/// Answers one request.
pub(crate) async fn answer(
    request: Request<Incoming>,
    hub: &Hub,
    pki: Option<&Pki>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let answered = match collect(body).await {
        Ok(body) => perform(&head, &body, hub, pki),
        Err(failure) => Err(failure),
    };
    tell(&head, &answered);
    respond(answered)
}

/// The whole body, if it is not too long.
async fn collect(body: Incoming) -> Result<Bytes, Failure> {
    match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure {
            status: 413,
            code: "RequestEntityTooLargeException",
            message: format!("the body is larger than {BODY_MAX_BYTES} bytes"),
        }),
        Err(_) => Err(Failure::invalid_request("the body ended early")),
    }
}

/// Logs a refusal.
fn tell(head: &Parts, answered: &Result<Value, Failure>) {
    if let Err(failure) = answered {
        let path = head.uri.path();
        tracing::info!(method = %head.method, path, code = failure.code, failure.message, "refused");
    }
}

fn perform(head: &Parts, body: &[u8], hub: &Hub, pki: Option<&Pki>) -> Result<Value, Failure> {
    let scope = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let query = head.uri.query().unwrap_or_default();
    let found = route(
        &head.method,
        head.uri.path(),
        query,
        scope.and_then(signing_name),
    )?;
    let mut params = parse_body(body)?;
    // Path and query win: they say what the request is about.
    params.extend(found.params);
    if let Some(principal) = head
        .headers
        .get(PRINCIPAL)
        .and_then(|value| value.to_str().ok())
    {
        params.insert("principal".into(), principal.into());
    }
    match found.operation {
        Operation::Control(op) => {
            tracing::debug!(operation = op.name(), "control plane");
            let answer =
                hub.with_service(|service, now_ms| split(service.control(now_ms, op, &params)));
            Ok(answer?)
        }
        Operation::Data(op) => perform_data(op, &params, hub),
        Operation::Certificate(op) => {
            let answer = certificates::perform(op, &params, hub, pki);
            hub.changed();
            answer
        }
    }
}

fn perform_data(op: DataOp, params: &Map<String, Value>, hub: &Hub) -> Result<Value, Failure> {
    tracing::debug!(operation = op.name(), "data plane");
    let answer = hub.with_service(|service, now_ms| split(service.data_http(now_ms, op, params)));
    Ok(answer?)
}

fn split<M>(answer: Result<(Value, Vec<M>), ApiError>) -> (Result<Value, ApiError>, Vec<M>) {
    match answer {
        Ok((value, messages)) => (Ok(value), messages),
        Err(error) => (Err(error), Vec::new()),
    }
}

fn parse_body(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Failure::invalid_request("the body is JSON, but no object")),
        Err(error) => Err(Failure::invalid_request(format!(
            "the body is no JSON: {error}"
        ))),
    }
}

/// The service in the credential scope of a signature version 4:
/// `Credential=KEY/DATE/REGION/SERVICE/aws4_request`. The signature itself is not checked.
fn signing_name(authorization: &str) -> Option<&str> {
    let (_, scope) = authorization.split_once("Credential=")?;
    scope.split([',', ' ']).next()?.split('/').nth(3)
}

fn respond(answered: Result<Value, Failure>) -> Response<Full<Bytes>> {
    let (status, code, body) = match answered {
        Ok(body) => (200, None, body),
        Err(failure) => {
            let body = serde_json::json!({"message": failure.message});
            (failure.status, Some(failure.code), body)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(code) = code {
        headers.insert(ERROR_TYPE, HeaderValue::from_static(code));
    }
    if let Ok(id) = HeaderValue::from_str(&request_id()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// A number in the form of a UUID, different for every request of this process.
fn request_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    format!("{process:08x}-0000-4000-8000-{count:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_scope_names_the_service() {
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20261120/us-east-1/iot-jobs-data/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
        assert_eq!(signing_name(header), Some("iot-jobs-data"));
        assert_eq!(signing_name("Bearer x"), None);
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        assert!(parse_body(b" \n").is_ok_and(|params| params.is_empty()));
        assert!(parse_body(b"{\"a\":1}").is_ok_and(|params| params["a"] == 1));
        for bad in [&b"[]"[..], b"1", b"{", b"\xff"] {
            let refused = parse_body(bad).err().map(|failure| failure.code);
            assert_eq!(refused, Some("InvalidRequestException"));
        }
    }
}
