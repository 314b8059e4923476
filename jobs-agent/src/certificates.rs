//! `certificate_request` and `certificate_rotate`: a new certificate for the device, of which the
//! private key never leaves it.
//!
//! ```json
//! {"operation":"certificate_request"}
//! {"operation":"certificate_rotate","certificate":"-----BEGIN CERTIFICATE-----\n…"}
//! ```
//!
//! The first makes a key and answers with a signing request in the status details (`csr`: Base64 of
//! its DER form, one line). Whoever runs the fleet has it signed (`aws iot
//! create-certificate-from-csr`), attaches policy and thing, and sends the certificate with the
//! second.
//!
//! That one lays the new pair ready and asks for the agent's connection to be made again. In
//! between, while nobody is connected as this device, the new pair has to do everything the agent
//! will ever ask for; then it is used, and the job goes on when its document came over the new
//! connection. So its success is reported by the new certificate, and only then does the old pair
//! go. Until then every failure leads back to the old one, and the job says why. The certificate
//! at the service is not touched: deactivate the old one when the job has SUCCEEDED.

use std::{fs, path::PathBuf, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use jobs_agent_core::{
    Checkpoint, Details, JobHandler, JobPort, Offer, OperationTag, Outcome, Progress, Reason,
    Refusal,
};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::identity::{Identities, Pair, Stage};

/// The operation that makes a key.
pub const REQUEST: &str = "certificate_request";

/// The operation that uses a certificate.
pub const ROTATE: &str = "certificate_rotate";

/// How long a new pair has to prove itself unless the configuration says otherwise, seconds: some
/// attempts to connect, with the waits between them.
const TRIAL_S: u64 = 300;

/// Least of it.
const TRIAL_LEAST_S: u64 = 1;

/// Longest certificate chain, bytes: three certificates of RSA 4096, as PEM.
const CHAIN_LEN_MAX: usize = 16 * 1_024;

/// Longest signing request, characters of Base64: what one status detail holds.
const REQUEST_LEN_MAX: usize = 1_024;

/// Version of the checkpoint: its first byte.
const FORMAT: u8 = 1;

/// Whether the certificate may be changed by jobs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificatePolicy {
    /// Whether it may.
    pub rotate: bool,
    /// How long a new pair has to prove itself, seconds, before the old one is used again.
    pub trial_s: u64,
}

impl Default for CertificatePolicy {
    fn default() -> Self {
        Self {
            rotate: false,
            trial_s: TRIAL_S,
        }
    }
}

impl CertificatePolicy {
    /// # Errors
    /// What makes no sense, to be read behind the name of the table.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.trial_s < TRIAL_LEAST_S {
            return Err(format!("trial_s` must be at least {TRIAL_LEAST_S}"));
        }
        Ok(())
    }
}

/// Rotates certificates.
#[derive(Clone, Debug)]
pub struct Certificates {
    allowed: bool,
    thing: String,
    identities: Identities,
    /// The private key of the configuration.
    key: Option<PathBuf>,
    /// Told when the connection has to be made again.
    again: Arc<Notify>,
}

/// What [`Certificates`] read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificatePlan {
    /// Make a key and a request.
    Request,
    /// Use this certificate chain, PEM.
    Rotate(String),
}

impl std::fmt::Display for CertificatePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request => "make a new key, and report a signing request for it",
            Self::Rotate(_) => "use the certificate, if it works, instead of the present one",
        })
    }
}

#[derive(Deserialize)]
struct Document {
    certificate: String,
}

impl Certificates {
    /// Changes the pairs in `identities` if that is `allowed`, and tells `again` when the agent
    /// has to connect again. `key` is the configured private key.
    #[must_use]
    pub fn new(
        allowed: bool,
        thing: impl Into<String>,
        identities: Identities,
        key: Option<PathBuf>,
        again: Arc<Notify>,
    ) -> Self {
        Self {
            allowed,
            thing: thing.into(),
            identities,
            key,
            again,
        }
    }

    fn request(&self) -> Result<Outcome, String> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        let key = key.map_err(|error| format!("no key could be made: {error}"))?;
        let unmade = |error: rcgen::Error| format!("no request could be made: {error}");
        let mut params = CertificateParams::new(Vec::new()).map_err(unmade)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.thing.as_str());
        let request = params.serialize_request(&key).map_err(unmade)?;
        let text = STANDARD.encode(request.der());
        if text.len() > REQUEST_LEN_MAX {
            return Err("the request is too long for the status details".to_owned());
        }
        // Durable before anybody can have a certificate for it.
        let kept = self.identities.keep_request(key.serialize_pem().as_bytes());
        kept.map_err(|error| format!("the key cannot be kept: {error}"))?;
        Ok(Outcome::Succeeded(Details::new().with("csr", &text)))
    }

    /// Lays the pair ready and waits for the end of this connection.
    async fn begin<P: JobPort>(&self, chain: &str, port: &mut P) -> Result<Outcome, String> {
        port.report(Progress::new().with("step", "connect"));
        let configured = self.key.as_ref().and_then(|path| fs::read(path).ok());
        let pair = self
            .identities
            .with_key(chain.as_bytes(), configured.as_deref())?;
        if let Some(other) = self.trial()?.filter(|trial| trial.job != port.job_id()) {
            return Err(format!("the job {} changes the certificate", other.job));
        }
        let current = self.identities.current();
        let current = current.map_err(|error| error.to_string())?;
        if current.is_some_and(|current| current.id() == pair.id()) {
            return Ok(succeeded(&pair));
        }
        let checkpoint = Checkpoint::new(&[FORMAT]).map_err(|fault| fault.to_string())?;
        if let Err(stopped) = port.checkpoint(checkpoint.with_document()).await {
            return Err(format!("stopped ({:?})", stopped.0));
        }
        let proposed = self.identities.propose(port.job_id(), &pair);
        proposed.map_err(|error| format!("the new pair cannot be kept: {error}"))?;
        Ok(self.wait(port).await)
    }

    /// Until this run is dropped with the connection; resumed over the next one.
    async fn wait<P: JobPort>(&self, port: &mut P) -> Outcome {
        self.again.notify_one();
        let reason = port.stopped().await;
        failed(&format!("stopped ({reason:?})"))
    }

    /// What became of the change, now that there is a connection.
    async fn conclude<P: JobPort>(&self, chain: &str, port: &mut P) -> Result<Outcome, String> {
        let trial = self.trial()?;
        let Some(trial) = trial.filter(|trial| trial.job == port.job_id()) else {
            return self.begin(chain, port).await;
        };
        match trial.stage {
            Stage::Refused(why) => Err(format!("{why}; the old certificate is in use")),
            Stage::Wanted => Ok(self.wait(port).await),
            Stage::Running(_) | Stage::Proven => {
                let current = self.identities.current();
                let current = current.map_err(|error| error.to_string())?;
                let Some(pair) = current.filter(|pair| pair.id() == trial.id) else {
                    return Ok(self.wait(port).await);
                };
                // The document came over the new connection. New attempts for what is left to do.
                let checkpoint = Checkpoint::new(&[FORMAT]).map_err(|fault| fault.to_string())?;
                let kept = port.checkpoint(checkpoint.with_document()).await;
                kept.map_err(|stopped| format!("stopped ({:?})", stopped.0))?;
                let proven = self.identities.prove();
                proven.map_err(|error| format!("cannot be written down: {error}"))?;
                Ok(succeeded(&pair))
            }
        }
    }

    fn trial(&self) -> Result<Option<crate::identity::Trial>, String> {
        self.identities.trial().map_err(|error| error.to_string())
    }
}

fn succeeded(pair: &Pair) -> Outcome {
    Outcome::Succeeded(Details::new().with("certificateId", pair.id()))
}

fn failed(why: &str) -> Outcome {
    Outcome::failed(&agent_std::redact::redact(why))
}

impl JobHandler for Certificates {
    type Plan = CertificatePlan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, CertificatePlan), Refusal> {
        let reject = |why: &str| Refusal::Reject(Reason::new(why));
        let Some(named) = offer.document.str_field(jobs_agent_core::OPERATION_KEY) else {
            return Err(Refusal::Unknown);
        };
        if self.allowed && named.eq_str(REQUEST) {
            return Ok((OperationTag::of(REQUEST), CertificatePlan::Request));
        }
        if !self.allowed || !named.eq_str(ROTATE) {
            return Err(Refusal::Unknown);
        }
        match serde_json::from_slice::<Document>(offer.document.0) {
            Err(error) => Err(reject(&format!("job document: {error}"))),
            Ok(document) if document.certificate.len() > CHAIN_LEN_MAX => {
                Err(reject("`certificate` is too long"))
            }
            Ok(document) if !document.certificate.contains("-----BEGIN CERTIFICATE-----") => {
                Err(reject("`certificate` is no certificate in PEM form"))
            }
            // A private key in a document has been seen by others.
            Ok(document) if document.certificate.contains("PRIVATE KEY") => Err(reject(
                "`certificate` holds a private key, which must never leave its device",
            )),
            Ok(document) => Ok((
                OperationTag::of(ROTATE),
                CertificatePlan::Rotate(document.certificate),
            )),
        }
    }

    async fn run<P: JobPort>(&self, plan: CertificatePlan, port: &mut P) -> Outcome {
        let outcome = match plan {
            CertificatePlan::Request => self.request(),
            CertificatePlan::Rotate(chain) => self.begin(&chain, port).await,
        };
        outcome.unwrap_or_else(|why| failed(&why))
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        plan: Option<CertificatePlan>,
        port: &mut P,
    ) -> Outcome {
        let outcome = match (from.bytes(), plan) {
            ([FORMAT], Some(CertificatePlan::Rotate(chain))) => self.conclude(&chain, port).await,
            _ => Err("the checkpoint is of another version of this agent".to_owned()),
        };
        outcome.unwrap_or_else(|why| failed(&why))
    }
}
