//! FNV-1a, for names that must keep their number across firmware versions.

/// Where a hash begins.
pub(crate) const FNV_START: u32 = 0x811C_9DC5;

const FNV_PRIME: u32 = 0x0100_0193;

/// Continues the hash `state` over `bytes`.
pub(crate) const fn fnv1a(state: u32, bytes: &[u8]) -> u32 {
    let mut state = state;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        state = (state ^ *byte as u32).wrapping_mul(FNV_PRIME);
        rest = tail;
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_hold() {
        // http://www.isthe.com/chongo/tech/comp/fnv/ (test vectors of the algorithm's authors)
        assert_eq!(fnv1a(FNV_START, b""), 0x811C_9DC5);
        assert_eq!(fnv1a(FNV_START, b"a"), 0xE40C_292C);
        assert_eq!(fnv1a(FNV_START, b"foobar"), 0xBF9C_F968);
    }
}
