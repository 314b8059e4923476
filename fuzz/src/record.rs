//! The stored record: any bytes are a record or an error, what is read is written back, and an agent
//! that restores it drives on.

use jobs_agent_core::{RECORD_LEN_MAX, Record, RecordError};

use crate::{hostile, input::Input};

/// CRC-32 (IEEE 802.3) of the record format, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

pub(crate) fn run(data: &[u8]) {
    let _ = judge(data);
    // A fuzzer does not find a checksum by itself: the same with the right one.
    let covered = &data[..data.len().saturating_sub(4)];
    let mut sealed = covered.to_vec();
    sealed.extend(crc32(covered).to_le_bytes());
    if let Ok(record) = judge(&sealed) {
        // What a later version appends is passed over, so that a firmware can be rolled back.
        let mut later = covered.to_vec();
        later.extend_from_slice(b"\x07a field of a later version");
        later[1] = later[1].wrapping_add(1).max(1);
        let crc = crc32(&later);
        later.extend(crc.to_le_bytes());
        assert_eq!(judge(&later), Ok(record));
        hostile::restored(&sealed);
    }
}

fn judge(bytes: &[u8]) -> Result<Record, RecordError> {
    let record = Record::decode(bytes)?;
    let mut out = [0; RECORD_LEN_MAX];
    let written = record
        .encode(&mut out)
        .expect("a record that was read has room");
    assert_eq!(Record::decode(written).as_ref(), Ok(&record));
    let len = written.len();
    assert_eq!(record.encode(&mut vec![0; len]).map(<[u8]>::len), Some(len));
    assert_eq!(record.encode(&mut vec![0; len - 1]), None);
    // Each flipped bit is noticed, and each cut.
    let written = written.to_vec();
    let mut input = Input::new(bytes);
    let place = usize::from(input.u16()) % written.len();
    let mut damaged = written.clone();
    damaged[place] ^= 1 << input.below(8);
    assert!(Record::decode(&damaged).is_err());
    assert!(Record::decode(&written[..place]).is_err());
    Ok(record)
}
