//! SHA-256 of a file.

use std::{fmt, fs::File, io, os::unix::fs::FileExt, str::FromStr};

use sha2::{Digest, Sha256};

/// Bytes hashed at a time.
const BLOCK_LEN: usize = 64 * 1_024;

/// A SHA-256; written as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Sha256Digest {
    type Err = &'static str;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        let wrong = "a SHA-256 has 64 hex digits";
        let mut digits = hex.chars().map(|digit| digit.to_digit(16));
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else {
                return Err(wrong);
            };
            *byte = u8::try_from(high * 16 + low).map_err(|_| wrong)?;
        }
        if digits.next().is_some() {
            return Err(wrong);
        }
        Ok(Self(bytes))
    }
}

/// Of the whole file, wherever it was read or written last.
pub(super) fn of(file: &File) -> io::Result<Sha256Digest> {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK_LEN];
    let mut offset = 0;
    loop {
        let count = file.read_at(&mut block, offset)?;
        if count == 0 {
            return Ok(Sha256Digest(hash.finalize().into()));
        }
        hash.update(block.get(..count).unwrap_or_default());
        offset += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let text = "00ff".repeat(16);
        let digest: Sha256Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        for wrong in [
            "",
            "0",
            &text[1..],
            &format!("{text}0"),
            &text.replace('f', "g"),
        ] {
            assert!(wrong.parse::<Sha256Digest>().is_err(), "{wrong}");
        }
    }
}
