//! A NOR flash that loses its power at a chosen byte.
//!
//! Rules of the part: whole pages are erased, programming only turns 1 into 0, offsets and lengths
//! are whole words. What it breaks, it reports as an error, so that no test passes by luck.

use std::{ops::Range, vec, vec::Vec};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// What the interrupted operation leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tear {
    /// The bytes before the cut are done, those after it untouched.
    Clean,
    /// As `Clean`, and the word at the cut has only some of its bits programmed.
    TornWord,
    /// As `Clean`, and *all* further bytes of the interrupted call have only some of their bits
    /// programmed, as in a serial flash that programs up to a page at once.
    TornCall,
    /// As `TornWord`, and an interrupted erase leaves any bits of the old contents in its page.
    MarginalErase,
    /// As `TornWord`, and an interrupted erase leaves anything at all in its page: many parts
    /// program a page to zeros before they erase it.
    ScrambledErase,
}

pub(super) const TEARS: [Tear; 5] = [
    Tear::Clean,
    Tear::TornWord,
    Tear::TornCall,
    Tear::MarginalErase,
    Tear::ScrambledErase,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NorError {
    OutOfBounds,
    NotAligned,
    /// A bit that is 0 was to be programmed to 1.
    NotErased,
    /// The power is gone.
    Dead,
}

impl core::fmt::Display for NorError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::NotErased | Self::Dead => NorFlashErrorKind::Other,
        }
    }
}

/// `WORD` and `PAGE` in bytes.
#[derive(Clone, Debug)]
pub(super) struct Nor<const WORD: usize, const PAGE: usize> {
    bytes: Vec<u8>,
    tear: Tear,
    random: u64,
    /// Bytes that will still be programmed or erased before the power goes.
    power: Option<u64>,
    dead: bool,
    /// Bytes programmed or erased so far.
    activity: u64,
    /// Which of that activity was inside an erase, by erase.
    erasing: Vec<Range<u64>>,
    /// Erases by page: wear.
    erases: Vec<u32>,
    programmed: u64,
    /// Program operations by word since its erase, and the most that any word had.
    programs: Vec<u8>,
    programs_max: u8,
}

impl<const WORD: usize, const PAGE: usize> Nor<WORD, PAGE> {
    /// An erased flash.
    pub(super) fn new(pages: usize) -> Self {
        Self {
            bytes: vec![0xFF; pages * PAGE],
            tear: Tear::Clean,
            random: 1,
            power: None,
            dead: false,
            activity: 0,
            erasing: Vec::new(),
            erases: vec![0; pages],
            programmed: 0,
            programs: vec![0; pages * PAGE / WORD],
            programs_max: 0,
        }
    }

    /// The power goes after `bytes` more bytes of activity, in the manner of `tear`; `seed`
    /// chooses the random bits.
    pub(super) fn cut_after(&mut self, bytes: u64, tear: Tear, seed: u64) {
        self.power = Some(bytes);
        self.tear = tear;
        self.random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let _ = (self.random_byte(), self.random_byte());
    }

    /// The power is back, and stays.
    pub(super) fn power_up(&mut self) {
        self.power = None;
        self.dead = false;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    pub(super) fn activity(&self) -> u64 {
        self.activity
    }

    /// Whether a cut after so much activity falls into the inside of an erase, where a `Clean`
    /// cut differs from its neighbours by one byte only.
    pub(super) fn is_inside_erase(&self, activity: u64) -> bool {
        let inside = |span: &Range<u64>| span.start + 8 < activity && activity + 8 < span.end;
        self.erasing.iter().any(inside)
    }

    pub(super) fn erases(&self) -> &[u32] {
        &self.erases
    }

    pub(super) fn programmed(&self) -> u64 {
        self.programmed
    }

    pub(super) fn programs_max(&self) -> u8 {
        self.programs_max
    }

    fn random_byte(&mut self) -> u8 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 24) as u8
    }

    /// One byte of activity; `false` when the power goes instead.
    fn step(&mut self) -> bool {
        match &mut self.power {
            Some(0) => {
                self.dead = true;
                false
            }
            Some(left) => {
                *left -= 1;
                self.activity += 1;
                true
            }
            None => {
                self.activity += 1;
                true
            }
        }
    }

    fn span(&self, offset: u32, len: usize, unit: usize) -> Result<Range<usize>, NorError> {
        let start = offset as usize;
        if self.dead {
            Err(NorError::Dead)
        } else if !start.is_multiple_of(unit) || !len.is_multiple_of(unit) {
            Err(NorError::NotAligned)
        } else if start + len > self.bytes.len() {
            Err(NorError::OutOfBounds)
        } else {
            Ok(start..start + len)
        }
    }

    /// What an interrupted program operation leaves from `at` on: some of the bits.
    fn tear_program(&mut self, at: usize, rest: &[u8]) {
        let torn = match self.tear {
            Tear::Clean => 0,
            Tear::TornCall => rest.len(),
            Tear::TornWord | Tear::MarginalErase | Tear::ScrambledErase => WORD - at % WORD,
        };
        for (place, byte) in (at..).zip(rest.iter().take(torn)) {
            let kept = self.random_byte();
            self.bytes[place] &= byte | kept;
        }
    }

    fn tear_erase(&mut self, page: Range<usize>) {
        for place in page {
            let random = self.random_byte();
            match self.tear {
                Tear::Clean | Tear::TornWord | Tear::TornCall => return,
                Tear::MarginalErase => self.bytes[place] |= random,
                Tear::ScrambledErase => self.bytes[place] = random,
            }
        }
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for Nor<WORD, PAGE> {
    type Error = NorError;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for Nor<WORD, PAGE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        let span = self.span(offset, bytes.len(), 1)?;
        bytes.copy_from_slice(&self.bytes[span]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for Nor<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        let len = to.checked_sub(from).ok_or(NorError::OutOfBounds)?;
        let span = self.span(from, len as usize, PAGE)?;
        for page in span.step_by(PAGE) {
            let begun = self.activity;
            for place in page..page + PAGE {
                if !self.step() {
                    self.tear_erase(page..page + PAGE);
                    return Err(NorError::Dead);
                }
                self.bytes[place] = 0xFF;
            }
            self.erasing.push(begun..self.activity);
            self.erases[page / PAGE] += 1;
            self.programs[page / WORD..(page + PAGE) / WORD].fill(0);
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        let span = self.span(offset, bytes.len(), WORD)?;
        for (done, place) in span.enumerate() {
            if !self.step() {
                self.tear_program(place, &bytes[done..]);
                return Err(NorError::Dead);
            }
            if self.bytes[place] & bytes[done] != bytes[done] {
                return Err(NorError::NotErased);
            }
            if place.is_multiple_of(WORD) {
                let programs = &mut self.programs[place / WORD];
                *programs += 1;
                self.programs_max = self.programs_max.max(*programs);
            }
            self.bytes[place] = bytes[done];
            self.programmed += 1;
        }
        Ok(())
    }
}

impl<const WORD: usize, const PAGE: usize> MultiwriteNorFlash for Nor<WORD, PAGE> {}
