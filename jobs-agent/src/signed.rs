//! Job documents that are done only if somebody whose key is configured signed them.
//!
//! ```json
//! {"signed":"<Base64 of the statement>","signature":"<Base64>"}
//! ```
//!
//! The statement is JSON: the document itself, and for whom, as which job and until when it is
//! meant. Each of the last three is left out where it does not matter.
//!
//! ```json
//! {"document":{"operation":"…"},"things":["pump-17"],"jobId":"fix-7","notAfter":1767225600}
//! ```
//!
//! What is signed is [`MARK`] and then the bytes of the statement, exactly as they are: nothing is
//! parsed before the signature was found good, no two parsers have to agree on anything, and a
//! signature of this kind is none of any other kind, whoever uses the key for what. A document
//! inside a document is not unwrapped a second time.
//!
//! The service fills in placeholders (presigned URLs, parameters of templates) in the text of a
//! document; in a statement there is no such text. So the URL of an update may stand beside what
//! was signed, and is taken where the signed document has none and has a checksum:
//!
//! ```json
//! {"signed":"…","signature":"…","url":"${aws:iot:s3-presigned-url:https://…}"}
//! ```

mod sign;
mod url;

use base64::{Engine, engine::general_purpose::STANDARD};
use jobs_proto::document::Document;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::update::Keys;
pub use sign::{SignFault, Signer};

/// What stands before the statement in the bytes that are signed.
pub const MARK: &str = "jobs-agent document\n";

/// Before this, seconds since 1970, a clock was never set: the beginning of 2026.
const CLOCK_LEAST_S: u64 = 1_767_225_600;

/// The member that makes a document a signed one.
const SIGNED_KEY: &str = "signed";

/// Whose documents are done; without keys, everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignedPolicy {
    /// Public keys, PEM (P-256 or Ed25519), of which one must have signed.
    pub keys: Vec<std::path::PathBuf>,
    /// Refuses statements without `notAfter`, which can be sent again for ever.
    pub expiry_required: bool,
}

/// Opens signed documents.
#[derive(Clone, Debug)]
pub struct Signed {
    keys: Keys,
    expiry_required: bool,
    thing: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    signed: String,
    signature: String,
    /// Where the file of an update is; nobody signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// What is signed.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The document, JSON; it is signed and opened to the byte.
    pub document: String,
    /// The things that may do it; `None`: all.
    pub things: Option<Vec<String>>,
    /// The job as which it may be done; `None`: any.
    pub job_id: Option<String>,
    /// When it may be begun at the latest, seconds since 1970; `None`: no end.
    pub not_after: Option<u64>,
}

/// The name of the document in a statement.
const DOCUMENT_KEY: &str = "document";

/// A statement as serde sees it. The document's bytes are cut out beside it: `RawValue` would do
/// it, but its feature of `serde_json` changes how every hostile document is read.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Terms {
    #[serde(skip_serializing)]
    #[expect(dead_code, reason = "it has to be there, and to be JSON")]
    document: IgnoredAny,
    #[serde(skip_serializing_if = "Option::is_none")]
    things: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<u64>,
}

impl Statement {
    /// Reads the bytes that were signed.
    fn read(json: &[u8]) -> Result<Self, String> {
        let terms: Terms = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let document = Document(json).raw_field(DOCUMENT_KEY);
        let document = document.and_then(|bytes| std::str::from_utf8(bytes).ok());
        Ok(Self {
            document: document.ok_or("no document that can be read")?.to_owned(),
            things: terms.things,
            job_id: terms.job_id,
            not_after: terms.not_after,
        })
    }

    /// The bytes to sign.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let terms = serde_json::to_string(&Terms {
            document: serde_json::from_str(&self.document)?,
            things: self.things.clone(),
            job_id: self.job_id.clone(),
            not_after: self.not_after,
        })?;
        let terms = terms.trim_start_matches('{');
        let comma = if terms == "}" { "" } else { "," };
        let document = self.document.trim();
        Ok(format!("{{\"{DOCUMENT_KEY}\":{document}{comma}{terms}").into_bytes())
    }
}

/// A job for which a document is opened.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'j> {
    /// Its id; `None` where nobody knows yet, and then every id is right.
    pub job_id: Option<&'j str>,
    /// It was begun before a restart: an end that has passed meanwhile does not stop it.
    pub resuming: bool,
    /// Seconds since 1970 by the clock of this machine.
    pub now_s: u64,
}

/// Whether a document has the form of a signed one.
#[must_use]
pub fn is_signed(document: &[u8]) -> bool {
    Document(document).raw_field(SIGNED_KEY).is_some()
}

impl Signed {
    /// Opens what one of these keys signed for this thing.
    #[must_use]
    pub fn new(keys: Keys, expiry_required: bool, thing: impl Into<String>) -> Self {
        Self {
            keys,
            expiry_required,
            thing: thing.into(),
        }
    }

    /// Whether unsigned documents are refused.
    #[must_use]
    pub fn is_required(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The document in a signed one; of an update with the URL from beside it, if there is one.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn open(&self, document: &[u8], asked: Asked<'_>) -> Result<Vec<u8>, String> {
        let envelope: Envelope = serde_json::from_slice(document)
            .map_err(|error| format!("signed job document: {error}"))?;
        let statement = STANDARD.decode(&envelope.signed);
        let statement = statement.map_err(|_| "`signed` is no Base64".to_owned())?;
        self.keys
            .verify(&marked(&statement), &envelope.signature)
            .map_err(|why| format!("`signature` {why} that this device knows"))?;
        let statement =
            Statement::read(&statement).map_err(|why| format!("signed statement: {why}"))?;
        self.check(&statement, asked)?;
        let inner = statement.document.into_bytes();
        if is_signed(&inner) {
            return Err("a signed document within a signed document".to_owned());
        }
        match envelope.url {
            Some(url) => url::complete(&inner, &url),
            None => Ok(inner),
        }
    }

    fn check(&self, statement: &Statement, asked: Asked<'_>) -> Result<(), String> {
        if let Some(things) = &statement.things
            && !things.contains(&self.thing)
        {
            return Err("signed for other things".to_owned());
        }
        if let (Some(meant), Some(job)) = (&statement.job_id, asked.job_id)
            && meant != job
        {
            return Err(format!("signed for the job {meant}"));
        }
        match statement.not_after {
            None if self.expiry_required => Err("signed without `notAfter`".to_owned()),
            Some(_) if asked.resuming => Ok(()),
            Some(_) if asked.now_s < CLOCK_LEAST_S => {
                Err("signed with an end, and the clock of this device is not set".to_owned())
            }
            Some(end_s) if asked.now_s > end_s => {
                Err(format!("its signature ended {} s ago", asked.now_s - end_s))
            }
            None | Some(_) => Ok(()),
        }
    }
}

/// The bytes that are signed.
fn marked(statement: &[u8]) -> Vec<u8> {
    [MARK.as_bytes(), statement].concat()
}

#[cfg(test)]
mod tests;
