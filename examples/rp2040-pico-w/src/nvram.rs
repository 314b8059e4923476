//! What the Wi-Fi chip must be told about the board it is on.
//!
//! The chip's program reads `name=value` texts, each with a zero byte behind. The names are the
//! chip maker's; the values are properties of the module on the Pico W (crystal, antenna, power
//! amplifier), as its makers publish them.

use cyw43::{A4, Aligned};

type Fact = (&'static str, &'static str);

const MODULE: &[Fact] = &[
    ("manfid", "0x2d0"),
    ("prodid", "0x0727"),
    ("vendid", "0x14e4"),
    ("devid", "0x43e2"),
    ("boardtype", "0x0887"),
    ("boardrev", "0x1100"),
    ("boardnum", "22"),
    ("sromrev", "11"),
    ("boardflags", "0x00404001"),
    ("boardflags3", "0x04000000"),
    ("nocrc", "1"),
    ("wl0id", "0x431b"),
    // A module's own address in its one-time memory takes precedence.
    ("macaddr", "00:A0:50:b5:59:5e"),
    ("il0macaddr", "00:90:4c:c5:12:38"),
];

/// Crystal in kHz, antenna, country: any.
const RADIO: &[Fact] = &[
    ("xtalfreq", "37400"),
    ("ag0", "255"),
    ("aa2g", "1"),
    ("ccode", "ALL"),
    ("spurconfig", "0x3"),
    ("glitch_based_crsmin", "1"),
];

/// Power amplifier at 2.4 GHz: calibration, limits, back-off for each modulation.
const AMPLIFIER: &[Fact] = &[
    ("pa0itssit", "0x20"),
    ("extpagain2g", "0"),
    ("pa2ga0", "-168,6649,-778"),
    ("AvVmid_c0", "0x0,0xc8"),
    ("maxp2ga0", "84"),
    ("txpwrbckof", "6"),
    ("cckpwroffset0", "5"),
    ("cckbw202gpo", "0"),
    ("legofdmbw202gpo", "0x66111111"),
    ("mcsbw202gpo", "0x77711111"),
    ("propbw202gpo", "0xdd"),
    ("ofdmdigfilttype", "18"),
    ("ofdmdigfilttypebe", "18"),
    ("papdmode", "1"),
    ("papdvalidtest", "1"),
    ("pacalidx2g", "45"),
    ("papdepsoffset", "-30"),
    ("papdendidx", "58"),
];

/// Pins beside LTE, pin functions, and the sharing of the antenna with Bluetooth.
const PINS: &[Fact] = &[
    ("ltecxmux", "0"),
    ("ltecxpadnum", "0x0102"),
    ("ltecxfnsel", "0x44"),
    ("ltecxgcigpio", "0x01"),
    ("muxenab", "0x100"),
    ("btc_mode", "1"),
    ("deadman_to", "0xffffffff"),
];

const GROUPS: [&[Fact]; 4] = [MODULE, RADIO, AMPLIFIER, PINS];

/// `=`, and the zero byte behind each text.
const MARKS_LEN: usize = 2;

/// All texts and one more zero byte, in whole words.
const LEN: usize = {
    let (mut len, mut group) = (1, 0);
    while group < GROUPS.len() {
        let mut fact = 0;
        while fact < GROUPS[group].len() {
            let (name, value) = GROUPS[group][fact];
            len += name.len() + value.len() + MARKS_LEN;
            fact += 1;
        }
        group += 1;
    }
    len.next_multiple_of(4)
};

/// The texts, made while compiling.
pub(crate) static NVRAM: Aligned<A4, [u8; LEN]> = Aligned(texts());

const fn texts() -> [u8; LEN] {
    let mut bytes = [0; LEN];
    let (mut at, mut group) = (0, 0);
    while group < GROUPS.len() {
        let mut fact = 0;
        while fact < GROUPS[group].len() {
            let (name, value) = GROUPS[group][fact];
            at = put(&mut bytes, at, name);
            at = put(&mut bytes, at, "=");
            at = put(&mut bytes, at, value) + 1;
            fact += 1;
        }
        group += 1;
    }
    bytes
}

const fn put(bytes: &mut [u8; LEN], at: usize, text: &str) -> usize {
    let mut done = 0;
    while done < text.len() {
        bytes[at + done] = text.as_bytes()[done];
        done += 1;
    }
    at + done
}
