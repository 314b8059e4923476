//! A publish of the agent as a request over HTTPS.
//!
//! Source: the service model `iot-jobs-data` of botocore (methods, paths, members), and "Jobs device
//! HTTP API" of the AWS IoT developer guide.

use bytes::Bytes;
use hyper::Method;
use jobs_proto::ThingName;
use jobs_proto::topic::RequestTopic;
use serde_json::{Map, Value};

use crate::link::{SendError, SendId};

/// The member of a payload that this transport has no place for.
const CLIENT_TOKEN: &str = "clientToken";

/// What is asked, which decides how an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The lists of pending executions.
    List,
    /// The execution at the head of the queue.
    Next,
    /// One execution.
    Job,
    /// A report about one execution.
    Update,
    /// The head of the queue, begun.
    Start,
}

impl Ask {
    /// The policy action that allows it ("AWS IoT Core policies for HTTPS protocol").
    pub(super) const fn action(self) -> &'static str {
        match self {
            Self::List => "iotjobsdata:GetPendingJobExecutions",
            Self::Next | Self::Job => "iotjobsdata:DescribeJobExecution",
            Self::Update => "iotjobsdata:UpdateJobExecution",
            Self::Start => "iotjobsdata:StartNextPendingJobExecution",
        }
    }
}

/// One request over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) ask: Ask,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) body: Bytes,
}

impl Request {
    /// The lists of pending executions: what the link asks for by itself.
    pub(super) fn list(thing: &str) -> Self {
        Self {
            ask: Ask::List,
            method: Method::GET,
            target: format!("/things/{thing}/jobs"),
            body: Bytes::new(),
        }
    }
}

/// One publish of the agent, translated, and where its answer goes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: SendId,
    pub(super) request: Request,
    /// The topic it was published on: its replies are below.
    pub(super) topic: String,
    /// What the agent knows the answer by. The service never sees it: the link knows which request
    /// it answers, and puts it in.
    pub(super) token: Option<String>,
}

impl Call {
    /// Translates a publish.
    ///
    /// # Errors
    /// [`SendError::Invalid`] for a topic or payload that is no request of this thing.
    pub(super) fn new(
        id: SendId,
        thing: &str,
        topic: &str,
        payload: &[u8],
    ) -> Result<Self, SendError> {
        let invalid = |what| SendError::Invalid { what };
        let name = ThingName::new(thing).map_err(|_| invalid("no thing name"))?;
        let asked = RequestTopic::parse(topic, name)
            .map_err(|_| invalid("HTTPS carries requests about the jobs of this thing only"))?;
        let mut members: Map<String, Value> = serde_json::from_slice(payload)
            .map_err(|_| invalid("the payload of a request must be a JSON object"))?;
        let token = match members.remove(CLIENT_TOKEN) {
            Some(Value::String(token)) => Some(token),
            Some(_) => return Err(invalid("the clientToken must be a text")),
            None => None,
        };
        Ok(Self {
            id,
            request: translate(asked, thing, &members),
            topic: topic.to_owned(),
            token,
        })
    }
}

fn translate(asked: RequestTopic<'_>, thing: &str, members: &Map<String, Value>) -> Request {
    let list = Request::list(thing);
    let jobs = &list.target;
    let body = || Bytes::from(Value::Object(members.clone()).to_string());
    // Names and ids are made of letters, digits and `:_-`, which need no escape in a path.
    match asked {
        RequestTopic::GetPending => list,
        RequestTopic::StartNext => Request {
            ask: Ask::Start,
            method: Method::PUT,
            target: format!("{jobs}/$next"),
            body: body(),
        },
        RequestTopic::DescribeNext => Request {
            ask: Ask::Next,
            target: describe(jobs, "$next", members),
            ..list
        },
        RequestTopic::Describe(job) => Request {
            ask: Ask::Job,
            target: describe(jobs, job.as_str(), members),
            ..list
        },
        RequestTopic::Update(job) => Request {
            ask: Ask::Update,
            method: Method::POST,
            target: format!("{jobs}/{}", job.as_str()),
            body: body(),
        },
    }
}

/// Over MQTT the document comes unless it is declined, over HTTP only if it is asked for: always said.
fn describe(jobs: &str, job: &str, members: &Map<String, Value>) -> String {
    let document = members.get("includeJobDocument") != Some(&Value::Bool(false));
    let target = format!("{jobs}/{job}?includeJobDocument={document}");
    match members.get("executionNumber").and_then(Value::as_i64) {
        Some(number) => format!("{target}&executionNumber={number}"),
        None => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tail: &str, payload: &str) -> Result<Call, SendError> {
        let topic = format!("$aws/things/pump:7/jobs/{tail}");
        Call::new(SendId(1), "pump:7", &topic, payload.as_bytes())
    }

    fn line(tail: &str, payload: &str) -> String {
        let request = call(tail, payload).unwrap().request;
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        format!("{} {} {body}", request.method, request.target)
    }

    #[test]
    fn each_request_becomes_that_of_the_service_model() {
        let jobs = "/things/pump:7/jobs";
        for (tail, payload, wanted) in [
            ("get", "{}", format!("GET {jobs} ")),
            (
                "$next/get",
                "{}",
                format!("GET {jobs}/$next?includeJobDocument=true "),
            ),
            (
                "j-1/get",
                r#"{"executionNumber":2939653338,"includeJobDocument":false}"#,
                format!("GET {jobs}/j-1?includeJobDocument=false&executionNumber=2939653338 "),
            ),
            // A job may be called like an API.
            (
                "get/get",
                "{}",
                format!("GET {jobs}/get?includeJobDocument=true "),
            ),
            ("start-next", "{}", format!("PUT {jobs}/$next {{}}")),
            (
                "j-1/update",
                r#"{"status":"IN_PROGRESS","executionNumber":1}"#,
                format!(r#"POST {jobs}/j-1 {{"executionNumber":1,"status":"IN_PROGRESS"}}"#),
            ),
        ] {
            assert_eq!(line(tail, payload), wanted);
        }
    }

    #[test]
    fn the_token_stays_here() {
        let payload = r#"{"status":"FAILED","clientToken":"a-1"}"#;
        let call = call("j-1/update", payload).unwrap();
        assert_eq!(call.token.as_deref(), Some("a-1"));
        assert_eq!(call.request.body, r#"{"status":"FAILED"}"#);
    }

    #[test]
    fn what_is_no_request_of_this_thing_is_refused() {
        for (tail, payload) in [
            ("notify", "{}"),
            ("get/accepted", "{}"),
            ("$next/update", "{}"),
            ("j-1/update", "[]"),
            ("j-1/update", ""),
            ("j-1/update", r#"{"clientToken":7}"#),
        ] {
            assert!(
                matches!(call(tail, payload), Err(SendError::Invalid { .. })),
                "{tail}"
            );
        }
        let foreign = Call::new(SendId(1), "a", "$aws/things/b/jobs/get", b"{}");
        assert!(matches!(foreign, Err(SendError::Invalid { .. })));
    }
}
