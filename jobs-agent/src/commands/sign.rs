//! `sign-document`: makes a signed document out of a document.

use std::{path::Path, process::ExitCode, time::Duration};

use jobs_agent::{
    journal::now_ms,
    signed::{Signer, Statement, is_signed},
};

use super::{
    complain, say,
    validate::{DOCUMENT_LEN_MAX, read},
};

pub(super) fn document(
    key: &Path,
    things: &[String],
    job_id: Option<&str>,
    valid_for: Option<Duration>,
    url: Option<&str>,
    file: &Path,
) -> ExitCode {
    match sign(key, things, job_id, valid_for, url, file) {
        Ok(signed) => {
            say(&format!("{signed}\n"));
            ExitCode::SUCCESS
        }
        Err(why) => complain(&why),
    }
}

fn sign(
    key: &Path,
    things: &[String],
    job_id: Option<&str>,
    valid_for: Option<Duration>,
    url: Option<&str>,
    file: &Path,
) -> Result<String, String> {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let signer = Signer::read(key).map_err(|fault| named(key, &fault))?;
    let json = read(file).map_err(|error| named(file, &error))?;
    if is_signed(&json) {
        return Err("the document is signed already".to_owned());
    }
    let json = String::from_utf8(json).map_err(|error| named(file, &error))?;
    let statement = Statement {
        // A line break at the end of the file is none of the document's.
        document: json.trim().to_owned(),
        things: (!things.is_empty()).then(|| things.to_vec()),
        job_id: job_id.map(str::to_owned),
        not_after: valid_for.map(|time| (now_ms() / 1_000).saturating_add(time.as_secs())),
    };
    let signed = signer
        .sign(&statement, url)
        .map_err(|fault| fault.to_string())?;
    if signed.len() > DOCUMENT_LEN_MAX {
        return Err(format!(
            "signed, it has {} bytes, and the service takes {DOCUMENT_LEN_MAX}",
            signed.len()
        ));
    }
    Ok(signed)
}
