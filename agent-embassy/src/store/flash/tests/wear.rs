//! What a job costs the flash: the figures of `docs/decisions/0013-flash-store.md`.

use std::println;

use embassy_futures::block_on;
use jobs_agent_core::RECORD_LEN_MAX;
use jobs_testkit::stories;

use super::{
    super::{BOOT_SLOT, FlashStore, Partition, RecordStore, Word4},
    nor::Nor,
    records::{calls_of, load, perform},
};

type Chip = Nor<1, 4096>;

const JOBS: usize = 1_000;

/// Erases of the most worn page, and bytes programmed, over a thousand jobs with one boot each.
fn wear(pages: usize) -> (u32, u64) {
    let mut chip = Chip::new(pages);
    let job = calls_of(&stories::happy());
    assert_eq!(job.len(), 4, "start, checkpoint, outcome, erase");
    for _ in 0..JOBS {
        // Each job in a boot of its own: the copies are compared once for each.
        let range = 0..u32::try_from(pages * 4096).unwrap();
        let partition = Partition::new(range, 2).unwrap();
        let mut store = FlashStore::new(Word4::new(&mut chip), partition).unwrap();
        block_on(store.save(BOOT_SLOT, &[1; 8])).unwrap();
        for call in &job {
            perform(&mut store, call).unwrap();
        }
    }
    let worst = chip.erases().iter().max().copied().unwrap();
    (worst, chip.programmed())
}

#[test]
fn a_thousand_jobs_cost_each_page_few_erases() {
    for pages in [4, 8] {
        let (erases, programmed) = wear(pages);
        println!(
            "flash wear: {JOBS} jobs, {pages} pages of 4096: {erases} erases of the most worn page, \
             {programmed} bytes programmed"
        );
        let most = if pages == 4 { 60 } else { 32 };
        assert!((1..=most).contains(&erases), "{erases} erases");
    }
}

#[test]
fn a_thousand_boots_without_a_job_cost_each_page_few_erases() {
    let mut chip = Chip::new(4);
    for _ in 0..1_000 {
        let partition = Partition::new(0..16_384, 1).unwrap();
        let mut store = FlashStore::new(Word4::new(&mut chip), partition).unwrap();
        block_on(crate::start_boot(&mut store, 0)).unwrap();
        assert_eq!(load(&mut store, 0), Ok(None));
    }
    let erases = chip.erases().iter().max().copied().unwrap();
    println!(
        "flash wear: 1000 boots, 4 pages of 4096: {erases} erases of the most worn page, {} bytes \
         programmed",
        chip.programmed()
    );
    assert!((1..=12).contains(&erases), "{erases} erases");
}

#[test]
fn the_worst_save_erases_two_pages_and_moves_what_they_held() {
    let mut chip = Chip::new(4);
    let (mut erases, mut programmed) = (0, 0);
    for round in 0..200_u8 {
        let before = (chip.erases().iter().sum::<u32>(), chip.programmed());
        let partition = Partition::new(0..16_384, 1).unwrap();
        let mut store = FlashStore::new(Word4::new(&mut chip), partition).unwrap();
        block_on(store.save(0, &[round | 1; RECORD_LEN_MAX])).unwrap();
        erases = erases.max(chip.erases().iter().sum::<u32>() - before.0);
        programmed = programmed.max(chip.programmed() - before.1);
    }
    println!("flash wear: worst save, one slot: {erases} erases, {programmed} bytes programmed");
    assert_eq!(erases, 2);
    assert!(programmed <= 1_700, "{programmed} bytes");
}
