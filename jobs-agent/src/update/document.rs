//! The document of an update, checked before anything is touched.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::{Keys, Target, UpdatePolicy};
use crate::download::Sha256Digest;

/// Most bytes of a version.
const VERSION_LEN_MAX: usize = 64;

/// What [`Update`](super::Update) read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatePlan {
    /// The target's name.
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) version: String,
    pub(super) url: String,
    pub(super) digest: Sha256Digest,
    pub(super) resuming: bool,
}

impl std::fmt::Display for UpdatePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, version) = (&self.name, &self.version);
        let install = &self.target.install;
        write!(f, "update {name} to {version} by {install:?}")
    }
}

#[derive(Deserialize)]
struct Document {
    target: String,
    version: String,
    url: String,
    sha256: String,
    signature: Option<String>,
}

impl UpdatePlan {
    /// # Errors
    /// What is wrong with the document, or not allowed.
    pub(super) fn read(
        json: &[u8],
        policy: &UpdatePolicy,
        keys: &BTreeMap<String, Keys>,
    ) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(json).map_err(|error| format!("job document: {error}"))?;
        let Some(target) = policy.targets.get(&document.target) else {
            return Err(format!("no target {:?} on this device", document.target));
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        let version = document.version;
        if version.is_empty() || version.len() > VERSION_LEN_MAX || !version.bytes().all(plain) {
            return Err("`version` must have 1 to 64 letters, digits and . _ + -".to_owned());
        }
        let digest: Sha256Digest = document
            .sha256
            .parse()
            .map_err(|why| format!("`sha256`: {why}"))?;
        let fault = policy.download.check_url(&document.url);
        fault.map_err(|fault| format!("`url`: {fault}"))?;
        let Some(keys) = keys.get(&document.target) else {
            return Err(format!("the keys of {:?} were not read", document.target));
        };
        let signature = document.signature.as_deref();
        keys.check(&document.target, &version, digest, signature)?;
        Ok(Self {
            target: target.clone(),
            name: document.target,
            version,
            url: document.url,
            digest,
            resuming: false,
        })
    }

    /// Where the file is put: a name of the job's own, so that two updates never meet.
    pub(super) fn file(&self, job_id: &str) -> PathBuf {
        self.target.dir.join(format!("{job_id}.update"))
    }
}
