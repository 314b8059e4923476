//! Which operation a method and a path mean.
//!
//! Source: the service models `iot` and `iot-jobs-data` of botocore (paths, methods, names).

use hyper::Method;
use serde_json::{Map, Value};

use super::Failure;
use crate::model::{ControlOp, DataOp};

/// Operations on certificates; the fronts answer them, as the model has no certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertificateOp {
    CreateKeysAndCertificate,
    DescribeCertificate,
    ListCertificates,
    UpdateCertificate,
    DeleteCertificate,
    AttachThingPrincipal,
    DetachThingPrincipal,
    ListThingPrincipals,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Control(ControlOp),
    Data(DataOp),
    Certificate(CertificateOp),
}

/// An operation with the parameters of path and query.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) operation: Operation,
    pub(super) params: Map<String, Value>,
}

/// Finds the operation.
///
/// The two planes share paths; `scope`, the service the request was signed for, decides. A request
/// without a signature is for the control plane.
pub(super) fn route(
    method: &Method,
    path: &str,
    query: &str,
    scope: Option<&str>,
) -> Result<Route, Failure> {
    let mut params = parse_query(query)?;
    let segments = path
        .trim_start_matches('/')
        .trim_end_matches('/')
        .split('/');
    let segments = segments
        .map(decode)
        .collect::<Result<Vec<String>, Failure>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let found = match scope {
        None | Some("iot" | "execute-api") => control(method, &segments),
        Some("iot-jobs-data") => data(method, &segments),
        Some(other) => {
            return Err(Failure::unsupported(format!(
                "the request is signed for the service `{other}`; this emulator has `iot` and \
                 `iot-jobs-data`"
            )));
        }
    };
    let Some((operation, names)) = found else {
        return Err(Failure::unsupported(format!(
            "{method} {path} is no operation of this emulator; it has things, thing groups, jobs, \
             job executions, certificates and the jobs data plane, but no policies"
        )));
    };
    for (name, value) in names {
        params.insert(name.to_owned(), value.into());
    }
    Ok(Route { operation, params })
}

/// Finds the operation of the data plane, for a front that has nothing else.
pub(super) fn route_data(
    method: &Method,
    path: &str,
    query: &str,
) -> Result<(DataOp, Map<String, Value>), Failure> {
    match route(method, path, query, Some("iot-jobs-data"))? {
        Route {
            operation: Operation::Data(op),
            params,
        } => Ok((op, params)),
        Route {
            operation: Operation::Control(_) | Operation::Certificate(_),
            ..
        } => Err(Failure::unsupported("not an operation of the data plane")),
    }
}

type Found<'a> = Option<(Operation, Vec<(&'static str, &'a str)>)>;

fn data<'a>(method: &Method, segments: &[&'a str]) -> Found<'a> {
    use DataOp::{
        DescribeJobExecution, GetPendingJobExecutions, StartNextPendingJobExecution,
        UpdateJobExecution,
    };
    let (op, names) = match (method.as_str(), segments) {
        ("GET", ["things", thing, "jobs"]) => {
            (GetPendingJobExecutions, vec![("thingName", *thing)])
        }
        ("PUT", ["things", thing, "jobs", "$next"]) => {
            (StartNextPendingJobExecution, vec![("thingName", *thing)])
        }
        ("GET", ["things", thing, "jobs", job]) => (
            DescribeJobExecution,
            vec![("thingName", *thing), ("jobId", *job)],
        ),
        ("POST", ["things", thing, "jobs", job]) => (
            UpdateJobExecution,
            vec![("thingName", *thing), ("jobId", *job)],
        ),
        _ => return None,
    };
    Some((Operation::Data(op), names))
}

fn control<'a>(method: &Method, segments: &[&'a str]) -> Found<'a> {
    let found = match segments {
        ["jobs", ..] => jobs(method, segments),
        ["things", ..] | ["thing-groups", ..] => things(method, segments),
        ["endpoint"] if method == Method::GET => Some((ControlOp::DescribeEndpoint, Vec::new())),
        _ => None,
    };
    match found {
        Some((op, names)) => Some((Operation::Control(op), names)),
        None => certificates(method, segments),
    }
}

type Named<'a, T> = Option<(T, Vec<(&'static str, &'a str)>)>;

fn jobs<'a>(method: &Method, segments: &[&'a str]) -> Named<'a, ControlOp> {
    Some(match (method.as_str(), segments) {
        ("GET", ["jobs"]) => (ControlOp::ListJobs, Vec::new()),
        ("PUT", ["jobs", job]) => (ControlOp::CreateJob, vec![("jobId", *job)]),
        ("GET", ["jobs", job]) => (ControlOp::DescribeJob, vec![("jobId", *job)]),
        ("PATCH", ["jobs", job]) => (ControlOp::UpdateJob, vec![("jobId", *job)]),
        ("DELETE", ["jobs", job]) => (ControlOp::DeleteJob, vec![("jobId", *job)]),
        ("GET", ["jobs", job, "job-document"]) => {
            (ControlOp::GetJobDocument, vec![("jobId", *job)])
        }
        ("PUT", ["jobs", job, "cancel"]) => (ControlOp::CancelJob, vec![("jobId", *job)]),
        ("POST", ["jobs", job, "targets"]) => {
            (ControlOp::AssociateTargetsWithJob, vec![("jobId", *job)])
        }
        ("GET", ["jobs", job, "things"]) => {
            (ControlOp::ListJobExecutionsForJob, vec![("jobId", *job)])
        }
        _ => return None,
    })
}

fn things<'a>(method: &Method, segments: &[&'a str]) -> Named<'a, ControlOp> {
    use ControlOp as Op;
    let group = "thingGroupName";
    Some(match (method.as_str(), segments) {
        ("GET", ["things"]) => (Op::ListThings, Vec::new()),
        ("POST", ["things", thing]) => (Op::CreateThing, vec![("thingName", *thing)]),
        ("GET", ["things", thing]) => (Op::DescribeThing, vec![("thingName", *thing)]),
        ("PATCH", ["things", thing]) => (Op::UpdateThing, vec![("thingName", *thing)]),
        ("DELETE", ["things", thing]) => (Op::DeleteThing, vec![("thingName", *thing)]),
        ("GET", ["things", thing, "thing-groups"]) => {
            (Op::ListThingGroupsForThing, vec![("thingName", *thing)])
        }
        ("GET", ["things", thing, "jobs"]) => {
            (Op::ListJobExecutionsForThing, vec![("thingName", *thing)])
        }
        ("GET", ["things", thing, "jobs", job]) => (
            Op::DescribeJobExecution,
            vec![("thingName", *thing), ("jobId", *job)],
        ),
        ("PUT", ["things", thing, "jobs", job, "cancel"]) => (
            Op::CancelJobExecution,
            vec![("thingName", *thing), ("jobId", *job)],
        ),
        ("DELETE", ["things", thing, "jobs", job, "executionNumber", number]) => (
            Op::DeleteJobExecution,
            vec![
                ("thingName", *thing),
                ("jobId", *job),
                ("executionNumber", *number),
            ],
        ),
        ("GET", ["thing-groups"]) => (Op::ListThingGroups, Vec::new()),
        ("PUT", ["thing-groups", "addThingToThingGroup"]) => (Op::AddThingToThingGroup, Vec::new()),
        ("PUT", ["thing-groups", "removeThingFromThingGroup"]) => {
            (Op::RemoveThingFromThingGroup, Vec::new())
        }
        ("POST", ["thing-groups", name]) => (Op::CreateThingGroup, vec![(group, *name)]),
        ("GET", ["thing-groups", name]) => (Op::DescribeThingGroup, vec![(group, *name)]),
        ("DELETE", ["thing-groups", name]) => (Op::DeleteThingGroup, vec![(group, *name)]),
        ("GET", ["thing-groups", name, "things"]) => {
            (Op::ListThingsInThingGroup, vec![(group, *name)])
        }
        _ => return None,
    })
}

fn certificates<'a>(method: &Method, segments: &[&'a str]) -> Found<'a> {
    use CertificateOp as Op;
    let (op, names) = match (method.as_str(), segments) {
        ("POST", ["keys-and-certificate"]) => (Op::CreateKeysAndCertificate, Vec::new()),
        ("GET", ["certificates"]) => (Op::ListCertificates, Vec::new()),
        ("GET", ["certificates", id]) => (Op::DescribeCertificate, vec![("certificateId", *id)]),
        ("PUT", ["certificates", id]) => (Op::UpdateCertificate, vec![("certificateId", *id)]),
        ("DELETE", ["certificates", id]) => (Op::DeleteCertificate, vec![("certificateId", *id)]),
        ("PUT", ["things", thing, "principals"]) => {
            (Op::AttachThingPrincipal, vec![("thingName", *thing)])
        }
        ("DELETE", ["things", thing, "principals"]) => {
            (Op::DetachThingPrincipal, vec![("thingName", *thing)])
        }
        ("GET", ["things", thing, "principals"]) => {
            (Op::ListThingPrincipals, vec![("thingName", *thing)])
        }
        _ => return None,
    };
    Some((Operation::Certificate(op), names))
}

/// Query parameters as strings; the model is the one to say what they should be.
fn parse_query(query: &str) -> Result<Map<String, Value>, Failure> {
    let mut params = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(&value.replace('+', " "))?;
        params.insert(decode(name)?, value.into());
    }
    Ok(params)
}

/// Undoes percent encoding.
fn decode(text: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(Failure::invalid_request(
                "a `%` in the URL is not followed by two digits",
            ));
        };
        // Two hexadecimal digits are at most 255.
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
    }
    String::from_utf8(bytes).map_err(|_| Failure::invalid_request("the URL is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str, scope: Option<&str>) -> Result<Route, Failure> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        route(&method.parse().unwrap_or_default(), path, query, scope)
    }

    #[test]
    fn the_credential_scope_tells_the_planes_apart() {
        let path = "/things/t1/jobs";
        for (scope, wanted) in [
            (
                None,
                Operation::Control(ControlOp::ListJobExecutionsForThing),
            ),
            (
                Some("iot"),
                Operation::Control(ControlOp::ListJobExecutionsForThing),
            ),
            (
                Some("execute-api"),
                Operation::Control(ControlOp::ListJobExecutionsForThing),
            ),
            (
                Some("iot-jobs-data"),
                Operation::Data(DataOp::GetPendingJobExecutions),
            ),
        ] {
            let operation = found("GET", path, scope).map(|route| route.operation);
            assert_eq!(operation.ok(), Some(wanted), "{scope:?}");
        }
        assert_eq!(
            found("GET", path, Some("s3"))
                .err()
                .map(|failure| failure.status),
            Some(400)
        );
    }

    #[test]
    fn next_is_understood_with_and_without_encoding() {
        for (method, path, wanted) in [
            (
                "PUT",
                "/things/t/jobs/$next",
                DataOp::StartNextPendingJobExecution,
            ),
            (
                "PUT",
                "/things/t/jobs/%24next",
                DataOp::StartNextPendingJobExecution,
            ),
            (
                "GET",
                "/things/t/jobs/%24next",
                DataOp::DescribeJobExecution,
            ),
        ] {
            let operation = found(method, path, Some("iot-jobs-data")).map(|route| route.operation);
            assert_eq!(operation.ok(), Some(Operation::Data(wanted)));
        }
    }

    #[test]
    fn path_and_query_become_parameters_by_their_model_names() {
        let route = found(
            "DELETE",
            "/things/a%3Ab/jobs/j1/executionNumber/3?force=true",
            None,
        );
        let route = route.unwrap_or_else(|failure| panic!("{}", failure.message));
        assert_eq!(
            route.operation,
            Operation::Control(ControlOp::DeleteJobExecution)
        );
        assert_eq!(
            Value::Object(route.params),
            serde_json::json!({
                "thingName": "a:b", "jobId": "j1", "executionNumber": "3", "force": "true"
            })
        );
    }

    #[test]
    fn an_unknown_operation_is_refused_in_words_and_below_500() {
        let failure = found("POST", "/policies/p1", None).err();
        let failure = failure.unwrap_or_else(|| panic!("policies are not supported"));
        assert_eq!(
            (failure.status, failure.code),
            (400, "UnsupportedOperationException")
        );
        assert!(failure.message.contains("POST /policies/p1"));
    }

    #[test]
    fn broken_percent_encoding_is_an_invalid_request() {
        for path in ["/jobs/%2", "/jobs/%zz", "/jobs/%ff"] {
            let failure = found("GET", path, None).err();
            assert_eq!(
                failure.map(|f| f.code),
                Some("InvalidRequestException"),
                "{path}"
            );
        }
    }
}
