//! The document of a firmware update, checked before anything is touched.

use core::fmt;

use heapless::String;
use jobs_agent_core::Refusal;
use jobs_proto::document::Document;

use super::platform::{VERSION_LEN_MAX, Version};
use crate::{field, line::line};

/// Most bytes of a URL: presigned S3 URLs with a session token have 1 400 to 1 900.
pub const URL_LEN_MAX: usize = 2_048;

/// Longest time limit, seconds: seven days, the longest job time-out of the service (AWS IoT
/// developer guide, jobs-configurations-details).
pub const TIMEOUT_SECONDS_MAX: u32 = 604_800;

/// What a checksum starts with.
const CHECKSUM_PREFIX: &str = "sha256:";

/// Longest checksum accepted for reading, bytes: the prefix and 64 hex digits.
const CHECKSUM_LEN: usize = CHECKSUM_PREFIX.len() + 2 * 32;

/// A SHA-256, shown in hex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What [`FirmwareUpdate`](crate::FirmwareUpdate) read out of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwarePlan {
    pub(crate) version: Version,
    pub(crate) url: String<URL_LEN_MAX>,
    pub(crate) digest: Digest,
    pub(crate) reboot: bool,
    /// `None` without `timeout`.
    pub(crate) time_limit_ms: Option<u32>,
}

impl FirmwarePlan {
    pub(crate) fn read(document: Document<'_>) -> Result<Self, Refusal> {
        let timeout_s = field::number(document, "timeout", 1, TIMEOUT_SECONDS_MAX)?;
        Ok(Self {
            version: version(document)?,
            url: url(document)?,
            digest: digest(document)?,
            // The safe reading: firmware does not run before a boot.
            reboot: field::flag(document, "rebootRequired", true)?,
            time_limit_ms: timeout_s.map(|seconds| seconds.saturating_mul(1_000)),
        })
    }
}

fn version(document: Document<'_>) -> Result<Version, Refusal> {
    let version = field::text::<VERSION_LEN_MAX>(document, "firmwareVersion")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    if version.is_empty() || !version.bytes().all(plain) {
        return Err(field::refuse(&line(format_args!(
            "`firmwareVersion` must have letters, digits and . _ + - only"
        ))));
    }
    Ok(version)
}

fn url(document: Document<'_>) -> Result<String<URL_LEN_MAX>, Refusal> {
    let url = field::text::<URL_LEN_MAX>(document, "downloadUrl")?;
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    if host.is_none_or(str::is_empty) {
        return Err(field::refuse(&line(format_args!(
            "`downloadUrl` must start with http:// or https:// and a host"
        ))));
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(field::refuse(&line(format_args!(
            "`downloadUrl` has a character that must be percent-encoded"
        ))));
    }
    Ok(url)
}

fn digest(document: Document<'_>) -> Result<Digest, Refusal> {
    let text = field::text::<CHECKSUM_LEN>(document, "checksum")?;
    match text.strip_prefix(CHECKSUM_PREFIX).and_then(unhex) {
        Some(digest) => Ok(digest),
        None => Err(field::refuse(&line(format_args!(
            "`checksum` must be `{CHECKSUM_PREFIX}` and 64 hex digits"
        )))),
    }
}

fn unhex(hex: &str) -> Option<Digest> {
    let mut digits = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|v| u8::try_from(v).ok()));
    let mut digest = Digest::default();
    for byte in &mut digest.0 {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = (high << 4) | low;
    }
    digits.next().is_none().then_some(digest)
}

#[cfg(test)]
mod tests {
    use std::{format, string::String, string::ToString};

    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    fn refusal(members: &str) -> String {
        let json = format!("{{{members}}}");
        match FirmwarePlan::read(Document(json.as_bytes())) {
            Err(Refusal::Reject(reason)) => reason.as_str().to_string(),
            other => panic!("{json}: {other:?}"),
        }
    }

    fn members(version: &str, url: &str, checksum: &str, rest: &str) -> String {
        format!(r#""firmwareVersion":{version},"downloadUrl":{url},"checksum":{checksum}{rest}"#)
    }

    #[test]
    fn a_full_document_is_read() {
        let checksum = format!("\"sha256:{HEX}\"");
        let json = format!(
            "{{{}}}",
            members(
                "\"1.1.0\"",
                r#""https:\/\/host\/a?b=c""#,
                &checksum,
                r#","rebootRequired":false,"timeout":300"#
            )
        );
        let plan = FirmwarePlan::read(Document(json.as_bytes())).unwrap();
        assert_eq!(plan.version, "1.1.0");
        assert_eq!(plan.url, "https://host/a?b=c");
        assert_eq!(plan.digest.to_string(), HEX.to_lowercase());
        assert!(!plan.reboot);
        assert_eq!(plan.time_limit_ms, Some(300_000));
    }

    #[test]
    fn a_document_without_options_reboots_and_has_no_time_limit() {
        let json = format!(
            "{{{}}}",
            members("\"2\"", "\"http://h/\"", &format!("\"sha256:{HEX}\""), "")
        );
        let plan = FirmwarePlan::read(Document(json.as_bytes())).unwrap();
        assert!(plan.reboot);
        assert_eq!(plan.time_limit_ms, None);
    }

    #[test]
    fn each_fault_is_refused_with_the_name_of_its_member() {
        let sum = format!("\"sha256:{HEX}\"");
        let (v, u) = ("\"1.1.0\"", "\"http://h/x\"");
        let long = format!("\"{}\"", "9".repeat(33));
        for (members, named) in [
            (String::new(), "firmwareVersion"),
            (
                members("17", u, &sum, ""),
                "`firmwareVersion` must be a string",
            ),
            (members("\"\"", u, &sum, ""), "firmwareVersion"),
            (members("\"1.1 beta\"", u, &sum, ""), "firmwareVersion"),
            (members("\"../1\"", u, &sum, ""), "firmwareVersion"),
            (members(&long, u, &sum, ""), "longer than 32"),
            (members(v, "\"ftp://h/x\"", &sum, ""), "http://"),
            (members(v, "\"http:///x\"", &sum, ""), "host"),
            (members(v, "\"file:///etc/passwd\"", &sum, ""), "http://"),
            (
                members(v, "\"http://h/x\\r\\nHost: y\"", &sum, ""),
                "percent-encoded",
            ),
            (
                members(v, "null", &sum, ""),
                "`downloadUrl` must be a string",
            ),
            (members(v, u, "\"md5:00\"", ""), "sha256"),
            (
                members(v, u, &format!("\"sha256:{}\"", &HEX[1..]), ""),
                "64 hex",
            ),
            (
                members(v, u, &format!("\"sha256:g{}\"", &HEX[1..]), ""),
                "64 hex",
            ),
            (members(v, u, &format!("\"sha256:{HEX}0\""), ""), "checksum"),
            (members(v, u, &sum, ",\"timeout\":0"), "`timeout` must be"),
            (
                members(v, u, &sum, ",\"timeout\":\"5\""),
                "`timeout` must be",
            ),
            (
                members(v, u, &sum, ",\"timeout\":604801"),
                "`timeout` must be",
            ),
            (
                members(v, u, &sum, ",\"timeout\":99999999999999999999"),
                "`timeout` must be",
            ),
            (
                members(v, u, &sum, ",\"rebootRequired\":\"no\""),
                "rebootRequired",
            ),
            (members(v, u, &sum, ",\"checksum\":\"x\""), "twice"),
        ] {
            let reason = refusal(&members);
            assert!(reason.contains(named), "{members}: {reason}");
        }
    }
}
