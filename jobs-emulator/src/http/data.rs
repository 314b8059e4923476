//! The data plane alone, for devices: who asks is told by the connection and not by a signature.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use serde_json::{Map, Value};

use super::route::route_data;
use super::{Failure, collect, parse_body, perform_data, respond, tell};
use crate::certificates::Identity;
use crate::faults::Cut;
use crate::hub::Hub;
use crate::model::DataOp;
use crate::trace::DataRequest;

/// One connection to the data plane.
pub(crate) struct DataDoor {
    identity: Identity,
    hub: Arc<Hub>,
    connection: u64,
}

impl DataDoor {
    pub(crate) fn open(identity: Identity, hub: Arc<Hub>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self {
            identity,
            hub,
            connection: COUNT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When a fault cuts the connection, before or after the service acted.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        let (head, body) = request.into_parts();
        let body = collect(body).await;
        let cut = self.hub.lock().faults.next_cut();
        let answered = match cut {
            Some(Cut::BeforeTaken) => None,
            Some(Cut::BeforePuback | Cut::AfterPuback) | None => {
                let asked = body.and_then(|body| self.asked(&head, &body));
                let answered = asked.and_then(|(op, params)| perform_data(op, &params, &self.hub));
                tell(&head, &answered);
                Some(respond(answered)).filter(|_| cut.is_none())
            }
        };
        let status = answered
            .as_ref()
            .map_or(0, |answer| answer.status().as_u16());
        self.hub.trace.record_request(DataRequest {
            at_ms: self.hub.clock.now_ms(),
            connection: self.connection,
            method: head.method.to_string(),
            target: head.uri.to_string(),
            status,
        });
        answered.ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }

    /// What is asked for, if this identity may.
    fn asked(&self, head: &Parts, body: &[u8]) -> Result<(DataOp, Map<String, Value>), Failure> {
        let query = head.uri.query().unwrap_or_default();
        let (op, found) = route_data(&head.method, head.uri.path(), query)?;
        let mut params = parse_body(body)?;
        params.extend(found);
        let thing = params.get("thingName").and_then(Value::as_str);
        let may_use = |thing| self.hub.lock().certificates.may_use(&self.identity, thing);
        if thing.is_some_and(may_use) {
            Ok((op, params))
        } else {
            Err(Failure {
                status: 403,
                code: "ForbiddenException",
                message: "Forbidden".into(),
            })
        }
    }
}
