//! Certificates by HTTP, so that a device can be set up with the AWS CLI as in the cloud.
//!
//! A certificate may act for the things it is attached to. Policies are not evaluated.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Failure;
use super::route::CertificateOp;
use crate::certificates::Certificate;
use crate::hub::{Hub, State};
use crate::model::ControlOp;
use crate::tls::pki::Pki;

/// Performs an operation on certificates.
pub(super) fn perform(
    op: CertificateOp,
    params: &Map<String, Value>,
    hub: &Hub,
    pki: Option<&Pki>,
) -> Result<Value, Failure> {
    let now_ms = hub.clock.now_ms();
    let mut state = hub.lock();
    let state = &mut *state;
    match op {
        CertificateOp::CreateKeysAndCertificate => {
            let pki = pki.ok_or_else(|| {
                Failure::unsupported("certificates need the TLS front: start with --mqtts ADDR")
            })?;
            create(params, now_ms, state, pki)
        }
        CertificateOp::DescribeCertificate => {
            let id = text(params, "certificateId")?;
            let known = state.certificates.find(id).ok_or_else(|| unknown(id))?;
            let mut description = summary(state, id, known);
            description["certificatePem"] = known.pem.as_str().into();
            Ok(json!({ "certificateDescription": description }))
        }
        CertificateOp::ListCertificates => {
            let all = state
                .certificates
                .iter()
                .map(|(id, known)| summary(state, id, known));
            Ok(json!({ "certificates": all.collect::<Vec<_>>() }))
        }
        CertificateOp::UpdateCertificate => {
            let id = text(params, "certificateId")?;
            let active = match text(params, "newStatus")? {
                "ACTIVE" => true,
                "INACTIVE" | "REVOKED" => false,
                other => {
                    return Err(Failure::invalid_request(format!("newStatus `{other}`")));
                }
            };
            state
                .certificates
                .find_mut(id)
                .ok_or_else(|| unknown(id))?
                .active = active;
            Ok(json!({}))
        }
        CertificateOp::DeleteCertificate => delete(params, state),
        CertificateOp::AttachThingPrincipal | CertificateOp::DetachThingPrincipal => {
            let attach = op == CertificateOp::AttachThingPrincipal;
            attach_or_detach(params, now_ms, state, attach)
        }
        CertificateOp::ListThingPrincipals => {
            let thing = text(params, "thingName")?;
            let attached = state
                .certificates
                .iter()
                .filter(|(_, known)| known.things.contains(thing));
            let arns: Vec<String> = attached.map(|(id, _)| arn(state, id)).collect();
            Ok(json!({ "principals": arns }))
        }
    }
}

fn create(
    params: &Map<String, Value>,
    now_ms: u64,
    state: &mut State,
    pki: &Pki,
) -> Result<Value, Failure> {
    let issued = pki
        .issue_client()
        .map_err(|error| Failure::unsupported(error.to_string()))?;
    let active = match params.get("setAsActive") {
        Some(Value::Bool(active)) => *active,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let answer = json!({
        "certificateArn": arn(state, &issued.id),
        "certificateId": issued.id,
        "certificatePem": issued.certificate_pem,
        "keyPair": {"PublicKey": issued.public_key_pem, "PrivateKey": issued.private_key_pem},
    });
    let certificate = Certificate {
        pem: issued.certificate_pem,
        active,
        created_ms: now_ms,
        things: BTreeSet::new(),
        any_thing: false,
    };
    state.certificates.register(issued.id, certificate);
    Ok(answer)
}

fn delete(params: &Map<String, Value>, state: &mut State) -> Result<Value, Failure> {
    let id = text(params, "certificateId")?;
    let known = state.certificates.find(id).ok_or_else(|| unknown(id))?;
    if known.active {
        return Err(Failure {
            status: 406,
            code: "CertificateStateException",
            message: "the certificate is ACTIVE; make it INACTIVE before deleting it".into(),
        });
    }
    if !known.things.is_empty() {
        return Err(Failure {
            status: 409,
            code: "DeleteConflictException",
            message: "the certificate is attached to a thing; detach it before".into(),
        });
    }
    state.certificates.remove(id);
    Ok(json!({}))
}

fn attach_or_detach(
    params: &Map<String, Value>,
    now_ms: u64,
    state: &mut State,
    attach: bool,
) -> Result<Value, Failure> {
    let thing = text(params, "thingName")?;
    let principal = text(params, "principal")?;
    // An ARN ends in `cert/ID`.
    let id = principal.rsplit('/').next().unwrap_or_default();
    let only_thing = Map::from_iter([("thingName".to_owned(), Value::from(thing))]);
    state
        .service
        .control(now_ms, ControlOp::DescribeThing, &only_thing)?;
    let known = state
        .certificates
        .find_mut(id)
        .ok_or_else(|| unknown(principal))?;
    if attach {
        known.things.insert(thing.to_owned());
    } else {
        known.things.remove(thing);
    }
    Ok(json!({}))
}

fn summary(state: &State, id: &str, known: &Certificate) -> Value {
    json!({
        "certificateArn": arn(state, id),
        "certificateId": id,
        "status": if known.active { "ACTIVE" } else { "INACTIVE" },
        // Epoch seconds with a fraction, as the control plane has its times.
        "creationDate": known.created_ms as f64 / 1000.0,
    })
}

fn arn(state: &State, id: &str) -> String {
    let settings = state.service.settings();
    format!(
        "arn:aws:iot:{}:{}:cert/{id}",
        settings.region, settings.account
    )
}

fn text<'a>(params: &'a Map<String, Value>, name: &str) -> Result<&'a str, Failure> {
    let value = params.get(name).and_then(Value::as_str);
    value.ok_or_else(|| Failure::invalid_request(format!("{name} is missing")))
}

fn unknown(what: &str) -> Failure {
    Failure::not_found(format!("certificate {what} is not registered"))
}
