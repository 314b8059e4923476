//! The one thing that may stand beside what was signed: where the file of an update is.
//!
//! A presigned URL is filled in by the service when it hands the document out, so nobody can have
//! signed it before. It need not be: the checksum of the file is signed, so whoever changes the URL
//! can keep the update from happening, which they could anyway, and no other file is installed.
//! Of no other operation is that true. A URL that logs are sent to decides who reads them.

use serde_json::{Map, Value};

use crate::{download::Sha256Digest, update};

/// Name of the member, in both places.
const URL_KEY: &str = "url";

/// The document that was signed without a URL, with it.
///
/// # Errors
/// Why an unsigned URL is not for this document.
pub(super) fn complete(document: &[u8], url: &str) -> Result<Vec<u8>, String> {
    let fault = |error: serde_json::Error| format!("signed job document: {error}");
    // Read and written anew: what comes out says each thing once, to every reader.
    let mut document: Map<String, Value> = serde_json::from_slice(document).map_err(fault)?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if text(jobs_agent_core::OPERATION_KEY) != Some(update::OPERATION) {
        return Err("an unsigned `url` is for updates only".to_owned());
    }
    if document.contains_key(URL_KEY) {
        return Err("a `url` was signed, and another one is beside it".to_owned());
    }
    let digest = text("sha256").map(str::parse::<Sha256Digest>);
    if !matches!(digest, Some(Ok(_))) {
        return Err("an unsigned `url` needs the `sha256` of its file to be signed".to_owned());
    }
    document.insert(URL_KEY.to_owned(), url.into());
    serde_json::to_vec(&document).map_err(fault)
}
