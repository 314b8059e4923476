//! tweedegolf/sequential-storage#136: on flash with words of one byte, two cuts in the headers of
//! two items make the log lose a third one that it has acknowledged. Words of four bytes do not.
//!
//! This looks at one log and does not read back: the store's second copy would hide the loss.

use core::ops::Range;
use std::vec::Vec;

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::NorFlash;

use super::{
    super::{
        Word4,
        log::{BUFFER_LEN, Buffer, map},
    },
    nor::{Nor, Tear},
};

/// Small pages: nothing here depends on their size, and the search is faster.
const PAGE: usize = 128;

/// Records that are tried; about one in forty shows the loss.
const SEEDS: u32 = 600;

/// Longest part of an item's header that a cut leaves, bytes.
const HEADER_LEN: u64 = 8;

type Chip = Nor<1, PAGE>;

/// Eight bytes that look like nothing in particular.
fn record(seed: u32, number: u32) -> Vec<u8> {
    let mut bits = (seed * 3 + number).wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        bits ^= bits << 13;
        bits ^= bits >> 17;
        bits ^= bits << 5;
        bits.to_le_bytes()[1]
    };
    (0..8).map(|_| next()).collect()
}

/// The pages of the only log.
const PAGES: Range<u32> = 0..2 * PAGE as u32;

/// Stores a record without reading it back; whether it was acknowledged.
fn store<F: NorFlash>(flash: &mut F, record: &[u8]) -> bool {
    let mut buffer = Buffer([0; BUFFER_LEN]);
    let mut map = map(flash, PAGES).unwrap();
    block_on(map.store_item(&mut buffer.0, &0, &record)).is_ok()
}

fn is_there<F: NorFlash>(flash: &mut F, record: &[u8]) -> bool {
    let mut buffer = Buffer([0; BUFFER_LEN]);
    let mut map = map(flash, PAGES).unwrap();
    let found = block_on(map.fetch_item::<&[u8]>(&mut buffer.0, &0));
    found.is_ok_and(|found| found == Some(record))
}

/// Two stores are cut in their headers, a third is acknowledged: how often is it gone?
fn lost(through_word4: bool) -> usize {
    let stores = |chip: &mut Chip, record: &[u8]| {
        if through_word4 {
            store(&mut Word4::new(chip), record)
        } else {
            store(chip, record)
        }
    };
    let finds = |chip: &mut Chip, record: &[u8]| {
        if through_word4 {
            is_there(&mut Word4::new(chip), record)
        } else {
            is_there(chip, record)
        }
    };
    let mut lost = 0;
    for seed in 0..SEEDS {
        for first in 1..=HEADER_LEN {
            for second in 1..=HEADER_LEN {
                let mut chip = Chip::new(2);
                for (cut, number) in [(first, 0), (second, 1)] {
                    chip.cut_after(cut, Tear::Clean, 1);
                    assert!(!stores(&mut chip, &record(seed, number)));
                    chip.power_up();
                }
                let last = record(seed, 2);
                if stores(&mut chip, &last) && !finds(&mut chip, &last) {
                    lost += 1;
                }
            }
        }
    }
    lost
}

#[test]
fn a_log_on_words_of_one_byte_loses_what_it_acknowledged() {
    let lost = lost(false);
    std::println!(
        "sequential-storage#136, words of 1: {lost} acknowledged records lost in {} pairs of cuts",
        u64::from(SEEDS) * HEADER_LEN * HEADER_LEN
    );
    assert!(
        lost > 0,
        "fixed upstream? Then Word4 may not be needed any more"
    );
}

#[test]
fn a_log_on_words_of_four_bytes_does_not() {
    assert_eq!(lost(true), 0);
}
