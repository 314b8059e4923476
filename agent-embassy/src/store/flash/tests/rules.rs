//! What is refused: partitions that cannot work, words that are none, records that are none.

use std::vec;

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};

use super::{
    super::{
        BOOT_SLOT, FlashError, FlashStore, Partition, PartitionError, RecordStore, Word4,
        Word4Error,
    },
    nor::{Nor, NorError},
};

type Flash = Word4<Nor<1, 4096>>;

/// Checked by the compiler. Pages that hold the records of builds with `large-details`, too.
const CHECKED: Partition<Word4<Nor<1, 32_768>>> = match Partition::new(32_768..163_840, 2) {
    Ok(partition) => partition,
    Err(_) => panic!("the records' partition"),
};

fn four_pages() -> Partition<Flash> {
    Partition::new(4096..20_480, 2).unwrap()
}

#[test]
fn a_partition_is_an_even_number_of_pages_at_least_four_and_within_the_flash() {
    let refused = |range| Partition::<Flash>::new(range, 1).err();
    assert_eq!(refused(1..16_385), Some(PartitionError::NotAligned));
    assert_eq!(refused(0..16_383), Some(PartitionError::NotAligned));
    assert_eq!(refused(0..20_480), Some(PartitionError::NotAligned));
    assert_eq!(refused(0..8192), Some(PartitionError::TooShort));
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = 8192..0;
    assert_eq!(refused(backwards), Some(PartitionError::TooShort));
    assert_eq!(refused(0..16_384), None);
    let store = FlashStore::new(Word4::new(Nor::new(4)), CHECKED);
    assert_eq!(store.err(), Some(PartitionError::BeyondFlash));
}

#[test]
fn a_page_holds_the_largest_record_of_each_slot_and_two_more() {
    let fits = Partition::<Flash>::records_per_page();
    let slots = u8::try_from(fits).unwrap();
    assert!(Partition::<Flash>::new(0..16_384, slots - 2).is_ok());
    let refused = Partition::<Flash>::new(0..16_384, slots - 1).err();
    assert_eq!(refused, Some(PartitionError::PagesTooSmall));
    let refused = Partition::<Word4<Nor<1, 256>>>::new(0..16_384, 1).err();
    assert_eq!(refused, Some(PartitionError::PagesTooSmall));
}

#[test]
fn numbers_that_are_the_stores_own_are_no_slots() {
    type Wide = Word4<Nor<1, 131_072>>;
    assert!(Partition::<Wide>::records_per_page() > usize::from(u8::MAX));
    assert!(Partition::<Wide>::new(0..524_288, 32).is_ok());
    for slots in [33, u8::MAX] {
        let refused = Partition::<Wide>::new(0..524_288, slots).err();
        assert_eq!(refused, Some(PartitionError::TooManySlots));
    }
}

#[test]
fn the_largest_records_of_all_slots_can_be_replaced_for_ever() {
    let slots = u8::try_from(Partition::<Flash>::records_per_page()).unwrap() - 2;
    let partition = Partition::new(0..16_384, slots).unwrap();
    let mut store = FlashStore::new(Word4::new(Nor::<1, 4096>::new(4)), partition).unwrap();
    for round in 0..20 {
        for slot in (0..slots).chain([BOOT_SLOT]) {
            let record = [round ^ slot ^ 1; jobs_agent_core::RECORD_LEN_MAX];
            block_on(store.save(slot, &record)).unwrap();
        }
        let mut found = [0; jobs_agent_core::RECORD_LEN_MAX];
        for slot in 0..slots {
            let len = block_on(store.load(slot, &mut found)).unwrap();
            assert_eq!(len, found.len());
            assert!(found.iter().all(|byte| *byte == round ^ slot ^ 1));
        }
    }
}

#[test]
fn a_part_of_a_word_is_refused_and_touches_nothing() {
    let mut flash = Flash::new(Nor::new(2));
    assert_eq!((Flash::READ_SIZE, Flash::WRITE_SIZE), (4, 4));
    let refused = Err(Word4Error::NotAligned);
    assert_eq!(block_on(flash.write(2, &[0; 4])), refused);
    assert_eq!(block_on(flash.write(4, &[0; 3])), refused);
    assert_eq!(block_on(flash.read(2, &mut [0; 4])), refused);
    assert_eq!(block_on(flash.read(4, &mut [0; 2])), refused);
    let mut bytes = [0; 8];
    block_on(flash.read(0, &mut bytes)).unwrap();
    assert_eq!(bytes, [0xFF; 8]);
    let below = block_on(flash.erase(1, 4097));
    assert_eq!(below, Err(Word4Error::Flash(NorError::NotAligned)));
}

#[test]
fn the_store_refuses_what_is_too_long_and_slots_it_has_not() {
    let mut store = FlashStore::new(Word4::new(Nor::<1, 4096>::new(5)), four_pages()).unwrap();
    let too_long = [1; jobs_agent_core::RECORD_LEN_MAX + 1];
    assert_eq!(block_on(store.save(0, &too_long)), Err(FlashError::TooLong));
    assert_eq!(block_on(store.save(2, b"x")), Err(FlashError::NoSuchSlot));
    block_on(store.save(1, b"a record")).unwrap();
    let short = block_on(store.load(1, &mut [0; 7]));
    assert_eq!(short, Err(FlashError::TooLong));
    block_on(store.save(0, &[])).unwrap();
    assert_eq!(block_on(store.load(0, &mut [])), Ok(0));
}

#[test]
fn a_range_of_foreign_bytes_is_reported_and_works_after_a_reset() {
    let mut nor = Nor::<1, 4096>::new(4);
    // Firmware was here before: no mark is in its place, and both pages look used.
    block_on(nor.write(0, &vec![0x5A; 16_384])).unwrap();
    let partition = Partition::new(0..16_384, 1).unwrap();
    let mut store = FlashStore::new(Word4::new(nor), partition).unwrap();
    for _ in 0..2 {
        let refused = block_on(store.load(0, &mut []));
        assert_eq!(refused, Err(FlashError::Unreadable));
        assert_eq!(block_on(store.save(0, b"x")), Err(FlashError::Unreadable));
    }
    block_on(store.reset()).unwrap();
    assert_eq!(block_on(store.load(0, &mut [])), Ok(0));
    block_on(store.save(0, b"a record")).unwrap();
    let mut found = [0; 8];
    assert_eq!(block_on(store.load(0, &mut found)), Ok(8));
    assert_eq!(&found, b"a record");
}

#[test]
fn a_copy_that_becomes_unreadable_between_calls_is_made_anew_from_the_other() {
    for copy in [0, 8192] {
        let partition = Partition::new(0..16_384, 1).unwrap();
        let nor = Nor::<1, 4096>::new(4);
        let mut store = FlashStore::new(Word4::new(nor), partition).unwrap();
        block_on(store.save(BOOT_SLOT, &[7; 8])).unwrap();
        block_on(store.save(0, b"a record")).unwrap();
        let mut found = [0; 8];
        for record in [b"a record", b"another!"] {
            // A stray write of other firmware, or cells that lost their charge.
            let nor = &mut store.flash.flash;
            block_on(nor.erase(copy, copy + 8192)).unwrap();
            block_on(nor.write(copy, &[0x5A; 8192])).unwrap();
            if record == b"another!" {
                block_on(store.save(0, record)).unwrap();
            }
            assert_eq!(block_on(store.load(0, &mut found)), Ok(8));
            assert_eq!(&found, record);
        }
        assert_eq!(block_on(store.load(BOOT_SLOT, &mut found)), Ok(8));
        assert_eq!(found, [7; 8]);
    }
}
