//! The operator's side of the service: the HTTP API that the AWS CLI speaks.
//!
//! Source of paths and members: AWS IoT API reference, `CreateThing`, `CreateJob`,
//! `DescribeJobExecution`, `CancelJobExecution`.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use serde_json::{Value, json};

use jobs_agent::http::{self, HttpError, Reach};

/// Why the service did not do what the operator wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// No answer.
    #[error("the control plane cannot be reached: {0}")]
    Http(#[from] HttpError),
    /// The answer broke off.
    #[error("the control plane's answer broke off: {0}")]
    Body(#[from] hyper::Error),
    /// The answer is an error, or not what the API reference says.
    #[error("{operation}: HTTP {status}: {body}")]
    Refused {
        /// What was asked for.
        operation: String,
        /// HTTP status.
        status: u16,
        /// The answer.
        body: String,
    },
}

/// One execution as the service has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) status: String,
    pub(crate) details: BTreeMap<String, String>,
}

impl Execution {
    /// Whether nothing will change any more.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "QUEUED" | "IN_PROGRESS")
    }
}

/// A client of the control plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    address: SocketAddr,
}

impl Control {
    /// The control plane at this address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Registers a thing and answers its ARN.
    ///
    /// # Errors
    /// [`ControlError`]
    pub(crate) async fn create_thing(&self, thing: &str) -> Result<String, ControlError> {
        let path = format!("/things/{thing}");
        let answer = self.call(Method::POST, &path, &json!({})).await?;
        match answer["thingArn"].as_str() {
            Some(arn) => Ok(arn.to_owned()),
            None => Err(odd("CreateThing", &answer)),
        }
    }

    /// Creates a job for one thing.
    ///
    /// # Errors
    /// [`ControlError`]
    pub(crate) async fn create_job(
        &self,
        job_id: &str,
        target: &str,
        document: &Value,
    ) -> Result<(), ControlError> {
        let body = json!({ "targets": [target], "document": document.to_string() });
        self.call(Method::PUT, &format!("/jobs/{job_id}"), &body)
            .await
            .map(|_| ())
    }

    /// Shows the execution of a job on a thing.
    ///
    /// # Errors
    /// [`ControlError`]
    pub(crate) async fn execution(
        &self,
        thing: &str,
        job_id: &str,
    ) -> Result<Execution, ControlError> {
        let path = format!("/things/{thing}/jobs/{job_id}");
        let answer = self.call(Method::GET, &path, &Value::Null).await?;
        let execution = &answer["execution"];
        let Some(status) = execution["status"].as_str() else {
            return Err(odd("DescribeJobExecution", &answer));
        };
        let details = execution["statusDetails"]["detailsMap"].as_object();
        let details = details
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        Ok(Execution {
            status: status.to_owned(),
            details: details.collect(),
        })
    }

    /// Cancels the execution of a job, even while it runs.
    ///
    /// # Errors
    /// [`ControlError`]
    pub(crate) async fn force_cancel(&self, thing: &str, job_id: &str) -> Result<(), ControlError> {
        let path = format!("/things/{thing}/jobs/{job_id}/cancel?force=true");
        self.call(Method::PUT, &path, &json!({})).await.map(|_| ())
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, ControlError> {
        let operation = format!("{method} {path}");
        let content = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .header(hyper::header::CONNECTION, "close")
            .body(Full::new(content))
            .map_err(|_| HttpError::Url)?;
        let response = http::send(request, Reach::Any).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null));
        }
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Err(ControlError::Refused {
            operation,
            status: status.as_u16(),
            body,
        })
    }
}

fn odd(operation: &str, answer: &Value) -> ControlError {
    ControlError::Refused {
        operation: operation.to_owned(),
        status: 200,
        body: format!("not as the API reference says: {answer}"),
    }
}
