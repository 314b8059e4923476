//! Presigned-URL placeholders of job documents.
//!
//! The service makes the URLs when a document is read, so two reads of one execution differ;
//! agents that compare documents byte by byte break on that.
//!
//! Source: AWS IoT developer guide, create-manage-jobs.

use super::service::Service;

const OPENING: &str = "${aws:iot:s3-presigned-url";
/// Characters of a SigV4 signature: 256 bits in hex, 64 bits at a time.
const SIGNATURE_WORDS: u64 = 4;

impl Service {
    /// The document of a job with its URLs filled in, for one execution.
    pub(crate) fn resolved_document(
        &mut self,
        thing: &str,
        job_id: &str,
        number: u64,
    ) -> Option<String> {
        let job = self.jobs.get(job_id)?;
        let expires = job.presigned_expires_sec;
        let mut rest = job.document.clone();
        let mut resolved = String::with_capacity(rest.len());
        while let Some((before, placeholder)) = split_at_opening(&rest) {
            resolved.push_str(before);
            let Some((inside, after)) = split_at_closing(placeholder) else {
                // Not closed: it stays as it is.
                resolved.push_str(placeholder);
                return Some(resolved);
            };
            match target_of(inside) {
                Some(target) => {
                    let target = target
                        .replace("${thingName}", thing)
                        .replace("${jobId}", job_id)
                        .replace("${executionNumber}", &number.to_string());
                    resolved.push_str(&self.presigned_url(&target, expires));
                }
                None => resolved.push_str(inside),
            }
            rest = after.to_owned();
        }
        resolved.push_str(&rest);
        Some(resolved)
    }

    fn presigned_url(&mut self, target: &str, expires_sec: u64) -> String {
        self.url_serial = self.url_serial.saturating_add(1);
        let region = &self.settings.region;
        let place = match &self.settings.presigned_base {
            Some(base) => match target
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('/'))
            {
                Some((_, path)) => format!("{}/{path}", base.trim_end_matches('/')),
                None => base.clone(),
            },
            None => target.to_owned(),
        };
        let separator = if place.contains('?') { '&' } else { '?' };
        let signature: String = (0..SIGNATURE_WORDS)
            .map(|word| {
                let seed = self
                    .url_serial
                    .wrapping_mul(SIGNATURE_WORDS)
                    .wrapping_add(word);
                format!("{:016x}", scrambled(seed))
            })
            .collect();
        format!(
            "{place}{separator}X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=EMULATOR%2F{region}%2Fs3%2Faws4_request\
             &X-Amz-Expires={expires_sec}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
        )
    }
}

fn split_at_opening(text: &str) -> Option<(&str, &str)> {
    text.find(OPENING).and_then(|at| text.split_at_checked(at))
}

/// Splits `${…}rest` behind the brace that closes the first one; upload keys nest placeholders.
fn split_at_closing(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return text.split_at_checked(at + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The address inside a placeholder of one of the three forms.
fn target_of(placeholder: &str) -> Option<&str> {
    let body = placeholder.strip_prefix(OPENING)?.strip_suffix('}')?;
    let target = ["-upload:", "-v2:", ":"]
        .into_iter()
        .find_map(|form| body.strip_prefix(form))?;
    // A brace that closes in another JSON string would make the document broken JSON.
    (!target.contains(['"', '\\'])).then_some(target)
}

/// The SplitMix64 finaliser: looks like a signature, is the same in every run.
const fn scrambled(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{split_at_closing, target_of};

    #[test]
    fn nested_placeholders_of_an_upload_key_stay_inside() {
        let text = "${aws:iot:s3-presigned-url-upload:https://s3.r.amazonaws.com/b/${jobId}}tail";
        let (inside, after) = split_at_closing(text).unwrap();
        assert_eq!(after, "tail");
        assert_eq!(
            target_of(inside),
            Some("https://s3.r.amazonaws.com/b/${jobId}")
        );
    }
}
