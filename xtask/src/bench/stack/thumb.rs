//! Calls and pushes in Thumb code.

use std::collections::BTreeSet;

use super::Symbol;

/// Where a function holds data among its code: the mapping symbols `$d` and `$t` tell (ELF for the
/// Arm architecture, section 5.5.5).
pub(super) fn data_ranges(others: &[Symbol], start: u32, size: u32) -> Vec<(u32, u32)> {
    let within = |symbol: &&Symbol| (start..start + size).contains(&(symbol.value & !1));
    let mut marks: Vec<(u32, bool)> = others
        .iter()
        .filter(within)
        .filter(|symbol| symbol.name.starts_with("$d") || symbol.name.starts_with("$t"))
        .map(|symbol| (symbol.value & !1, symbol.name.starts_with("$d")))
        .collect();
    marks.sort_unstable();
    let ends = marks
        .iter()
        .skip(1)
        .map(|mark| mark.0)
        .chain([start + size]);
    let ranges = marks.iter().zip(ends);
    ranges
        .filter(|((_, data), _)| *data)
        .map(|((from, _), to)| (*from, to))
        .collect()
}

/// What a function does.
#[derive(Default)]
pub(super) struct Scan {
    /// Where it branches to.
    pub(super) targets: BTreeSet<u32>,
    /// What it pushes, in bytes.
    pub(super) pushed: u32,
    /// Whether it calls through a register.
    pub(super) indirect: bool,
}

/// Reads the calls and pushes of a function (Armv7-M Architecture Reference Manual, chapter A5).
pub(super) fn scan(text: &[u8], start: u32, data: &[(u32, u32)]) -> Scan {
    let mut scan = Scan::default();
    let half = |at: usize| Some(u16::from_le_bytes(*text.get(at..)?.first_chunk()?));
    let mut at = 0;
    while let Some(first) = half(at) {
        let address = start + u32::try_from(at).unwrap_or(u32::MAX);
        if data
            .iter()
            .any(|(from, to)| (*from..*to).contains(&address))
        {
            at += 2;
            continue;
        }
        let first = u32::from(first);
        if first >> 11 >= 0b11101 {
            let second = half(at + 2).map_or(0, u32::from);
            wide(first, second, address, &mut scan);
            at += 4;
            continue;
        }
        match first {
            // PUSH {registers, LR}
            0xB400..=0xB5FF => scan.pushed += 4 * (first & 0x1FF).count_ones(),
            // SUB SP, #imm
            0xB080..=0xB0FF => scan.pushed += 4 * (first & 0x7F),
            // B: a short tail call
            0xE000..=0xE7FF => {
                scan.targets
                    .insert(relative(address, (first & 0x7FF) << 1, 12));
            }
            // BLX register
            0x4780..=0x47FF => scan.indirect = true,
            _ => {}
        }
        at += 2;
    }
    scan
}

/// An instruction of two halfwords.
fn wide(first: u32, second: u32, address: u32, scan: &mut Scan) {
    let branches = first & 0xF800 == 0xF000 && second & 0x9000 == 0x9000;
    if branches {
        // BL, or B.W as a tail call: both have their offset in the same places.
        let sign = first >> 10 & 1;
        let (j1, j2) = (second >> 13 & 1, second >> 11 & 1);
        let (i1, i2) = (!(j1 ^ sign) & 1, !(j2 ^ sign) & 1);
        let offset =
            sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1;
        scan.targets.insert(relative(address, offset, 25));
    } else if first == 0xE92D {
        // PUSH.W {registers}
        scan.pushed += 4 * second.count_ones();
    } else if matches!(first, 0xF1AD | 0xF2AD) && second >> 8 & 0xF == 0xD {
        // SUB.W SP, SP, #imm: small ones only, which is all that memory routines have.
        scan.pushed += second & 0xFF;
    }
}

/// The target of a branch: the offset counts from two instructions on.
fn relative(address: u32, offset: u32, bits: u32) -> u32 {
    let unused = u32::BITS - bits;
    let signed = (offset << unused).cast_signed() >> unused;
    address.wrapping_add(4).wrapping_add_signed(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_branch_is_followed_forwards_and_backwards() {
        // bl +0x100 and bl -8, as an assembler writes them.
        let forwards = [0x00, 0xF0, 0x80, 0xF8];
        assert_eq!(
            scan(&forwards, 0x1000, &[]).targets,
            BTreeSet::from([0x1104])
        );
        let backwards = [0xFF, 0xF7, 0xFC, 0xFF];
        assert_eq!(
            scan(&backwards, 0x1000, &[]).targets,
            BTreeSet::from([0xFFC])
        );
    }

    #[test]
    fn pushes_are_counted_and_data_is_no_code() {
        // push {r4, r5, lr}; sub sp, #16; blx r3
        let text = [0x30, 0xB5, 0x84, 0xB0, 0x98, 0x47];
        let all = scan(&text, 0, &[]);
        assert_eq!((all.pushed, all.indirect), (28, true));
        let half = scan(&text, 0, &[(2, 6)]);
        assert_eq!((half.pushed, half.indirect), (12, false));
    }
}
