//! The end of an output, in bounded room.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::TAIL_LEN;

/// Bytes read at a time: the capacity of a pipe is 64 KiB, a quarter of it keeps a writer going.
const READ_LEN: usize = 16 * 1_024;

/// The last [`TAIL_LEN`] bytes of what went through, and counts of all of it.
#[derive(Debug, Default)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    pub(super) bytes: u64,
    newlines: u64,
    open_line: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.newlines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if let Some(last) = bytes.last() {
            self.open_line = *last != b'\n';
        }
        let new = bytes.get(bytes.len().saturating_sub(TAIL_LEN)..);
        self.kept.extend(new.unwrap_or_default());
        let over = self.kept.len().saturating_sub(TAIL_LEN);
        self.kept.drain(..over);
    }

    /// Lines in all, the last one whether ended or not.
    pub(super) fn lines(&self) -> u64 {
        self.newlines + u64::from(self.open_line)
    }

    /// What was kept, as text. A character that was cut at the front is left out.
    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.kept.iter().copied().collect();
        let cut = if self.bytes > bytes.len() as u64 {
            let continues = |byte: &&u8| **byte & 0xC0 == 0x80;
            bytes.iter().take(3).take_while(continues).count()
        } else {
            0
        };
        String::from_utf8_lossy(bytes.get(cut..).unwrap_or_default()).into_owned()
    }

    /// Takes everything that comes until the writers are gone.
    ///
    /// # Cancel safety
    /// What was read is kept; dropping it and calling it again goes on.
    pub(super) async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut buffer = vec![0; READ_LEN];
        // An error ends the output as its end does: nothing more will come.
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            self.push(buffer.get(..count).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_and_everything_is_counted() {
        let mut tail = Tail::default();
        tail.push(&[b'a'; 3 * TAIL_LEN]);
        tail.push(b"\nthe end");
        assert_eq!(tail.bytes, 3 * TAIL_LEN as u64 + 8);
        assert_eq!(tail.lines(), 2);
        let text = tail.text();
        assert_eq!(text.len(), TAIL_LEN);
        assert!(text.ends_with("a\nthe end"));
    }

    #[test]
    fn a_character_cut_in_two_is_left_out() {
        let mut tail = Tail::default();
        tail.push("ä".repeat(TAIL_LEN).as_bytes());
        tail.push(b"x");
        assert!(tail.text().starts_with('ä'), "{:?}", &tail.text()[..4]);
    }

    #[test]
    fn a_line_counts_whether_it_was_ended_or_not() {
        let mut tail = Tail::default();
        assert_eq!(tail.lines(), 0);
        for (bytes, lines) in [(&b"a"[..], 1), (b"b\n", 1), (b"\n", 2), (b"c", 3)] {
            tail.push(bytes);
            assert_eq!(tail.lines(), lines, "{bytes:?}");
        }
    }
}
