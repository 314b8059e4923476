//! Numbers that look random.

use rand_core::{CryptoRng, Error, RngCore};

/// **Not random**: QEMU's boards have no source of randomness, so this is a generator (SplitMix64)
/// that starts at what the command line says. A board uses its own: `RoscRng` on the RP2040, the
/// RNG peripheral on an nRF.
#[derive(Clone, Debug)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) const fn new(seed: u32) -> Self {
        Self(seed as u64)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl RngCore for Noise {
    fn next_u32(&mut self) -> u32 {
        self.next() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.next()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            for (place, byte) in piece.iter_mut().zip(next) {
                *place = byte;
            }
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// A lie that only a test may tell.
impl CryptoRng for Noise {}
