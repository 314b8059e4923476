//! Memory-mapped registers: the one place that turns an address into an access.

/// A block of 32-bit registers of the board.
#[derive(Clone, Copy)]
pub(crate) struct Block(usize);

/// Offset of the Configuration and Control Register in [`Block::SYSTEM_CONTROL`].
#[cfg(armv6m)]
pub(crate) const CCR: usize = 0x14;

impl Block {
    pub(crate) const TIMER0: Self = Self(0x4000_0000);
    pub(crate) const TIMER1: Self = Self(0x4000_1000);
    pub(crate) const FPGA_IO: Self = Self(0x4002_8000);
    pub(crate) const ETHERNET: Self = Self(0x4020_0000);
    #[cfg(armv6m)]
    pub(crate) const SYSTEM_CONTROL: Self = Self(0xE000_ED00);

    #[inline]
    pub(crate) fn read(self, offset: usize) -> u32 {
        let register = (self.0 + offset) as *const u32;
        // SAFETY: the constants above are device registers of this board, aligned to 4 and always
        // mapped; a device register may be read at any time.
        unsafe { register.read_volatile() }
    }

    #[inline]
    pub(crate) fn write(self, offset: usize, value: u32) {
        let register = (self.0 + offset) as *mut u32;
        // SAFETY: as in `read`; no Rust object lies at these addresses, and the devices in
        // question do not write to memory by themselves (no DMA).
        unsafe { register.write_volatile(value) }
    }
}
