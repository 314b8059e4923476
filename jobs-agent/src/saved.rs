//! What a job of steps keeps over a restart.

use jobs_agent_core::{BODY_LEN_MAX, Checkpoint, CheckpointTooLong};

/// Version of the layout.
const FORMAT: u8 = 1;

/// Most bytes of each output in a checkpoint: both fit with what stands before them.
pub(crate) const OUTPUT_LEN_MAX: usize = 1_024;

/// Most bytes of a reason in a checkpoint.
pub(crate) const REASON_LEN_MAX: usize = 256;

/// Bytes before the texts: version, next step, ignored failures, lengths of the first two texts.
const HEAD_LEN: usize = 9;

const _: () = assert!(HEAD_LEN + REASON_LEN_MAX + 2 * OUTPUT_LEN_MAX <= BODY_LEN_MAX);

/// Where a job of steps is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The first step that was not done.
    pub(crate) next: u16,
    /// Steps that failed and were ignored.
    pub(crate) ignored: u16,
    /// Why the job failed; empty as long as it has not.
    pub(crate) reason: String,
    /// The end of what the steps said.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Saved {
    /// As bytes that ask for the document again: the steps are in it, with fresh URLs.
    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, CheckpointTooLong> {
        let reason = start(&self.reason, REASON_LEN_MAX);
        let (stdout, stderr) = (end(&self.stdout), end(&self.stderr));
        let mut bytes = vec![FORMAT];
        bytes.extend(self.next.to_le_bytes());
        bytes.extend(self.ignored.to_le_bytes());
        for text in [reason, stdout] {
            bytes.extend(u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
        }
        bytes.extend(reason.as_bytes());
        bytes.extend(stdout.as_bytes());
        bytes.extend(stderr.as_bytes());
        Ok(Checkpoint::new(&bytes)?.with_document())
    }

    /// `None` for the bytes of another version.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[format, n0, n1, i0, i1, r0, r1, s0, s1], rest) =
            bytes.split_first_chunk::<HEAD_LEN>()?;
        (format == FORMAT).then_some(())?;
        let (reason, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([r0, r1])))?;
        let (stdout, stderr) = rest.split_at_checked(usize::from(u16::from_le_bytes([s0, s1])))?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Self {
            next: u16::from_le_bytes([n0, n1]),
            ignored: u16::from_le_bytes([i0, i1]),
            reason: text(reason)?,
            stdout: text(stdout)?,
            stderr: text(stderr)?,
        })
    }
}

/// The first `len` bytes at most, cut between characters.
pub(crate) fn start(text: &str, len: usize) -> &str {
    let mut to = text.len().min(len);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    text.get(..to).unwrap_or_default()
}

/// The last [`OUTPUT_LEN_MAX`] bytes, cut between characters.
pub(crate) fn end(text: &str) -> &str {
    let mut from = text.len().saturating_sub(OUTPUT_LEN_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let saved = Saved {
            next: 3,
            ignored: 1,
            reason: "step 2 failed".into(),
            stdout: "out".into(),
            stderr: "ö".into(),
        };
        let checkpoint = saved.checkpoint().unwrap();
        assert!(checkpoint.needs_document());
        assert_eq!(Saved::read(checkpoint.bytes()), Some(saved));
    }

    #[test]
    fn of_long_outputs_the_end_is_kept() {
        let saved = Saved {
            stdout: "ä".repeat(5_000) + "end",
            stderr: "x".repeat(5_000),
            ..Saved::default()
        };
        let read = Saved::read(saved.checkpoint().unwrap().bytes()).unwrap();
        assert!(read.stdout.len() <= OUTPUT_LEN_MAX && read.stdout.ends_with("äend"));
        assert_eq!(read.stderr.len(), OUTPUT_LEN_MAX);
    }

    #[test]
    fn other_bytes_are_not_guessed_at() {
        for bytes in [
            &[][..],
            &[2, 0, 0, 0, 0, 0, 0, 0, 0],
            &[1, 0, 0, 0, 0, 9, 0, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 1, 0, 0xFF],
        ] {
            assert_eq!(Saved::read(bytes), None, "{bytes:?}");
        }
    }
}
