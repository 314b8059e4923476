//! The power is cut at every byte of every call, in five manners, once and twice.
//!
//! After each cut every slot must hold its old or its new record, the other slots theirs, and all
//! later calls must work: also after an erase that was cut short and left random bits.

use std::{collections::BTreeSet, format, println, string::String, vec, vec::Vec};

use super::{
    super::{BOOT_SLOT, FlashError, FlashStore, Partition, Word4, Word4Error},
    nor::{Nor, NorError, TEARS, Tear},
    records::{Call, calls, in_words, load, perform},
};

const SLOTS: u8 = 2;

/// Records by slot.
type Records = [Option<Vec<u8>>; SLOTS as usize];

/// Calls that follow a cut, to see that life goes on.
const LATER_CALLS: usize = 2;

/// How much of it all is tried.
#[derive(Clone, Copy)]
struct Extent {
    /// Rounds of the three stories for each page: more rounds, more page changes.
    rounds_per_page: usize,
    /// Inside an erase, one cut in so many bytes; 1 for each.
    erase_stride: u64,
    /// One in so many pairs of cuts; 0 for none.
    pair_stride: u64,
    /// Whether calls that only append are cut too, those of the first round.
    appends: bool,
}

/// A few page changes; inside an erase, and of the pairs, a spread.
const BRIEF: Extent = Extent {
    rounds_per_page: 4,
    erase_stride: 64,
    pair_stride: 997,
    appends: false,
};

/// Every byte, and a wider spread of the pairs.
const LONG: Extent = Extent {
    rounds_per_page: 9,
    erase_stride: 1,
    pair_stride: 97,
    appends: true,
};

#[derive(Debug, Default)]
struct Findings {
    cuts: u64,
    pairs: u64,
    old: u64,
    new: u64,
    page_changes: u64,
    wrong: BTreeSet<String>,
}

type OnFlash<'n, const WORD: usize, const PAGE: usize> = FlashStore<Word4<&'n mut Nor<WORD, PAGE>>>;

fn open<const WORD: usize, const PAGE: usize>(
    nor: &mut Nor<WORD, PAGE>,
    pages: u32,
) -> OnFlash<'_, WORD, PAGE> {
    let range = 0..pages * u32::try_from(PAGE).unwrap();
    FlashStore::new(Word4::new(nor), Partition::new(range, SLOTS).unwrap()).unwrap()
}

/// What a device does when it comes up: it counts the boot, and loads all records.
fn boot<const WORD: usize, const PAGE: usize>(
    store: &mut OnFlash<'_, WORD, PAGE>,
) -> Result<Records, FlashError<Word4Error<NorError>>> {
    let boots = load(store, BOOT_SLOT)?.map_or(0, |count| count[0]);
    perform(store, &(BOOT_SLOT, Some(vec![boots.wrapping_add(1); 8])))?;
    Ok([load(store, 0)?, load(store, 1)?])
}

fn apply(records: &mut Records, (slot, record): &Call) {
    records[usize::from(*slot)].clone_from(record);
}

struct Lab {
    pages: u32,
    tear: Tear,
    extent: Extent,
    findings: Findings,
}

impl Lab {
    fn wrong(&mut self, what: &str, call: &Call, cut: (u64, Option<u64>)) {
        let text = format!("{what}; {} cut after {cut:?} bytes", in_words(call));
        self.findings.wrong.insert(text);
    }

    /// The power is back after a cut in `calls[0]`: what is there, and does life go on?
    fn examine<const WORD: usize, const PAGE: usize>(
        &mut self,
        mut nor: Nor<WORD, PAGE>,
        (before, after): (&Records, &Records),
        calls: &[Call],
        cut: (u64, Option<u64>),
    ) {
        nor.power_up();
        let call = &calls[0];
        let mut store = open(&mut nor, self.pages);
        let mut records = match boot(&mut store) {
            Err(error) => return self.wrong(&format!("{error:?}"), call, cut),
            Ok(records) => {
                if &records == after {
                    self.findings.new += 1;
                } else if &records == before {
                    self.findings.old += 1;
                } else {
                    return self.wrong("neither the old nor the new records", call, cut);
                }
                records
            }
        };
        for later in calls.iter().take(LATER_CALLS) {
            if let Err(error) = perform(&mut store, later) {
                return self.wrong(&format!("later: {error:?}"), call, cut);
            }
            apply(&mut records, later);
        }
        let mut store = open(&mut nor, self.pages);
        let found = [0, 1].map(|slot| load(&mut store, slot));
        if found != records.map(Ok) {
            self.wrong("later calls were lost", call, cut);
        }
    }

    /// A second cut, in what the device does first after the first: it loads, and calls again.
    fn cut_again<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        after: &Records,
        calls: &[Call],
        first: u64,
    ) {
        let mut whole = nor.clone();
        whole.power_up();
        let begun = whole.activity();
        let mut store = open(&mut whole, self.pages);
        let Ok(between) = boot(&mut store) else {
            return;
        };
        if perform(&mut store, &calls[0]).is_err() {
            return;
        }
        for second in 0..whole.activity() - begun {
            if !(first * 769 + second).is_multiple_of(self.extent.pair_stride) {
                continue;
            }
            let mut nor = nor.clone();
            nor.power_up();
            nor.cut_after(second, self.tear, first * 31 + second);
            let mut store = open(&mut nor, self.pages);
            let _ = boot(&mut store).map(|_| perform(&mut store, &calls[0]));
            if !nor.is_dead() {
                self.wrong(
                    "the second cut did not happen",
                    &calls[0],
                    (first, Some(second)),
                );
            }
            self.findings.pairs += 1;
            self.examine(nor, (&between, after), calls, (first, Some(second)));
        }
    }

    fn cut_call<const WORD: usize, const PAGE: usize>(
        &mut self,
        nor: &Nor<WORD, PAGE>,
        before: &Records,
        calls: &[Call],
    ) {
        let mut after = before.clone();
        apply(&mut after, &calls[0]);
        let mut whole = nor.clone();
        perform(&mut open(&mut whole, self.pages), &calls[0]).unwrap();
        for cut in 0..whole.activity() - nor.activity() {
            let inside = whole.is_inside_erase(nor.activity() + cut);
            if inside && !cut.is_multiple_of(self.extent.erase_stride) {
                continue;
            }
            let mut torn = nor.clone();
            torn.cut_after(cut, self.tear, cut);
            let died = perform(&mut open(&mut torn, self.pages), &calls[0]);
            if !(matches!(died, Err(FlashError::Flash(_))) && torn.is_dead()) {
                self.wrong(&format!("no cut: {died:?}"), &calls[0], (cut, None));
            }
            self.findings.cuts += 1;
            if self.extent.pair_stride > 0 {
                self.cut_again(&torn, &after, calls, cut);
            }
            self.examine(torn, (before, &after), calls, (cut, None));
        }
    }
}

/// Cuts everywhere in the calls of the first round and in those that change the page; the others
/// append as those of the first round do. Fails on anything wrong, and tells the extent.
fn cut_everywhere<const WORD: usize, const PAGE: usize>(pages: u32, tear: Tear, extent: Extent) {
    let mut nor = Nor::<WORD, PAGE>::new(pages as usize);
    let rounds = extent.rounds_per_page * pages as usize / 2;
    let calls = calls(rounds);
    let first_round = calls.len() / rounds;
    let findings = Findings::default();
    let mut lab = Lab {
        pages,
        tear,
        extent,
        findings,
    };
    let mut records = Records::default();
    for begin in 0..calls.len() - LATER_CALLS {
        let mut next = nor.clone();
        perform(&mut open(&mut next, pages), &calls[begin]).unwrap();
        let changes_page = next.erases() != nor.erases();
        lab.findings.page_changes += u64::from(changes_page);
        if changes_page || (extent.appends && begin < first_round) {
            lab.cut_call(&nor, &records, &calls[begin..]);
        }
        apply(&mut records, &calls[begin]);
        nor = next;
    }
    let found = lab.findings;
    println!(
        "flash cuts: {pages} pages of {PAGE}, words of {WORD}, {tear:?}: {} cuts, {} pairs, {} page \
         changes; old {}, new {}",
        found.cuts, found.pairs, found.page_changes, found.old, found.new,
    );
    assert!(found.wrong.is_empty(), "{:#?}", found.wrong);
    assert!(found.page_changes > 0 && found.old > 0 && found.new > 0);
    assert_eq!(nor.programs_max(), 1, "no word is programmed twice");
}

#[test]
fn a_clean_cut_at_any_byte_leaves_the_old_or_the_new_record() {
    let extent = Extent {
        appends: true,
        ..BRIEF
    };
    cut_everywhere::<1, 2048>(4, Tear::Clean, extent);
}

#[test]
fn a_cut_that_tears_a_word_leaves_the_old_or_the_new_record() {
    cut_everywhere::<4, 2048>(6, Tear::TornWord, BRIEF);
}

#[test]
fn a_cut_that_tears_the_whole_call_leaves_the_old_or_the_new_record() {
    let extent = Extent {
        appends: true,
        ..BRIEF
    };
    cut_everywhere::<1, 2048>(4, Tear::TornCall, extent);
}

#[test]
fn an_erase_cut_short_among_old_bits_leaves_the_old_or_the_new_record() {
    cut_everywhere::<1, 2048>(4, Tear::MarginalErase, BRIEF);
}

#[test]
fn an_erase_cut_short_that_leaves_anything_leaves_the_old_or_the_new_record() {
    cut_everywhere::<4, 2048>(4, Tear::ScrambledErase, BRIEF);
}

/// The flash of an RP2040 and of an nRF52840, in the least partition and in a wider one.
#[test]
#[ignore = "hours of one core: every byte of every erase in five manners, and many pairs"]
fn every_cut_in_every_manner_at_length() {
    for tear in TEARS {
        cut_everywhere::<1, 4096>(4, tear, LONG);
        cut_everywhere::<4, 4096>(8, tear, LONG);
    }
}
