//! CRC-32 (IEEE 802.3), bit by bit: a record is a few hundred bytes, written a few times a job, so
//! a table of 1 KiB would cost more flash than it saves time.

const POLYNOMIAL: u32 = 0xEDB8_8320;

/// The checksum of `bytes`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..u8::BITS {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (POLYNOMIAL & carry.wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_check_value_of_the_catalogue_holds() {
        // "123456789" is the check input of the CRC catalogue for CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
