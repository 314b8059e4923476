//! The agent on the store on the flash: the power is cut at every byte that a whole job writes,
//! the device comes back, and every promise must have been kept.

use std::{println, vec::Vec};

use jobs_testkit::{Medium, Report, Scenario, World, Written, stories};

use super::{
    super::{BOOT_SLOT, FlashError, FlashStore, Partition, Word4, Word4Error},
    nor::{Nor, NorError, Tear},
    records::{load, perform},
};

const SLOTS: u8 = 2;
const PAGES: usize = 4;
const PAGE: usize = 2048;

/// Inside an erase, one cut in so many bytes.
const ERASE_STRIDE: u64 = 128;

type Chip = Nor<1, PAGE>;
type Store = FlashStore<Word4<Chip>>;

/// A device's flash, and the cuts that are still to come: bytes of activity in each life.
struct Device {
    store: Option<Store>,
    tear: Tear,
    cuts: Vec<u64>,
    /// Cuts that have happened.
    happened: usize,
}

fn open(chip: Chip) -> Store {
    let range = 0..u32::try_from(PAGES * PAGE).unwrap();
    FlashStore::new(Word4::new(chip), Partition::new(range, SLOTS).unwrap()).unwrap()
}

type Records = Vec<(u8, Vec<u8>)>;

/// What the adapter does when the board comes up.
fn boot(store: &mut Store) -> Result<Records, FlashError<Word4Error<NorError>>> {
    let boots = load(store, BOOT_SLOT)?.map_or(0, |count| count[0]);
    perform(
        store,
        &(BOOT_SLOT, Some([boots.wrapping_add(1); 8].to_vec())),
    )?;
    let mut records = Vec::new();
    for slot in 0..SLOTS {
        records.extend(load(store, slot)?.map(|record| (slot, record)));
    }
    Ok(records)
}

impl Device {
    fn new(chip: Chip, tear: Tear, cuts: &[u64]) -> Self {
        let mut device = Self {
            store: Some(open(chip)),
            tear,
            cuts: cuts.iter().rev().copied().collect(),
            happened: 0,
        };
        device.arm();
        device
    }

    fn chip(&mut self) -> &mut Chip {
        &mut self.store.as_mut().unwrap().flash.flash
    }

    fn arm(&mut self) {
        let (tear, cut) = (self.tear, self.cuts.pop());
        self.chip().power_up();
        if let Some(cut) = cut {
            self.chip().cut_after(cut, tear, cut + 1);
        }
    }
}

impl Medium for Device {
    fn write(&mut self, slot: u8, record: Option<&[u8]>) -> Written {
        let store = self.store.as_mut().unwrap();
        match perform(store, &(slot, record.map(<[u8]>::to_vec))) {
            Ok(()) => Written::Durable,
            Err(FlashError::Flash(Word4Error::Flash(NorError::Dead))) => Written::PowerCut,
            Err(error) => panic!("the store failed: {error:?}"),
        }
    }

    fn reopen(&mut self) -> (Records, bool) {
        loop {
            let dead = self.chip().is_dead();
            let chip = self.store.take().unwrap().release().release();
            self.store = Some(open(chip));
            // A reset that the agent asked for leaves the power on, and the cut to come.
            if dead {
                self.happened += 1;
                self.arm();
            }
            let error = match boot(self.store.as_mut().unwrap()) {
                Ok(records) => return (records, false),
                Err(error) => error,
            };
            assert!(
                self.chip().is_dead(),
                "the device does not come up: {error:?}"
            );
        }
    }
}

/// A chip on which the story will change the page of both logs.
fn worn(story: &Scenario) -> Chip {
    let mut chip = Chip::new(PAGES);
    for _ in 0..400 {
        let mut device = Device::new(chip.clone(), Tear::Clean, &[]);
        let report = World::<{ SLOTS as usize }>::play_on(story, &mut device);
        report.assert_kept(story.name);
        let erases = |chip: &Chip| chip.erases().iter().sum::<u32>();
        if erases(device.chip()) >= erases(&chip) + 2 {
            return chip;
        }
        let mut store = open(chip);
        perform(&mut store, &(BOOT_SLOT, Some([1; 40].to_vec()))).unwrap();
        chip = store.release().release();
    }
    panic!("no page change");
}

/// Cuts at every byte of the story, one in three times a second time in the life after it.
fn cut_everywhere(story: &Scenario, tear: Tear, check: impl Fn(&Report, &str)) {
    let chip = worn(story);
    let mut whole = Device::new(chip.clone(), tear, &[]);
    let report = World::<{ SLOTS as usize }>::play_on(story, &mut whole);
    report.assert_kept(story.name);
    let begun = chip.activity();
    let all = whole.chip().activity() - begun;
    let mut played = 0;
    for cut in 0..all {
        let inside = whole.chip().is_inside_erase(begun + cut);
        if inside && !cut.is_multiple_of(ERASE_STRIDE) {
            continue;
        }
        // A second cut in one of three, ever later in what the next life writes.
        let lives = [cut, cut * 7 % 300];
        let lives = &lives[..if cut.is_multiple_of(3) { 2 } else { 1 }];
        let mut device = Device::new(chip.clone(), tear, lives);
        let report = World::<{ SLOTS as usize }>::play_on(story, &mut device);
        let name = std::format!("{} cut after {lives:?} bytes, {tear:?}", story.name);
        assert!(device.happened > 0, "{name}: no cut");
        report.assert_kept(&name);
        check(&report, &name);
        played += 1;
    }
    println!(
        "agent on flash: {}, {tear:?}: {played} stories cut, over {all} bytes of activity",
        story.name
    );
}

/// One piece may be repeated for each cut, none is left out, and the job succeeds.
fn pieces(report: &Report, job: &str, names: &[&str], name: &str) {
    assert_eq!(report.status(job), Some("SUCCEEDED"), "{name}");
    let done: Vec<usize> = names
        .iter()
        .map(|piece| report.effects(job, piece))
        .collect();
    assert!(done.iter().all(|times| *times >= 1), "{name}: {done:?}");
    assert!(
        done.iter().sum::<usize>() <= names.len() + 2,
        "{name}: {done:?}"
    );
}

#[test]
fn a_job_keeps_every_promise_over_a_cut_at_any_byte() {
    cut_everywhere(&stories::happy(), Tear::TornCall, |report, name| {
        pieces(report, "a", &["first", "second"], name);
    });
}

#[test]
fn a_job_with_a_reset_keeps_every_promise_over_a_cut_at_any_byte() {
    cut_everywhere(
        &stories::reboot_job(),
        Tear::ScrambledErase,
        |report, name| {
            pieces(report, "a", &["install", "switch", "self-test"], name);
        },
    );
}

#[test]
fn two_jobs_at_a_time_keep_every_promise_over_a_cut_at_any_byte() {
    cut_everywhere(&stories::two_jobs(), Tear::MarginalErase, |report, name| {
        pieces(report, "a", &["first", "second"], name);
        pieces(report, "b", &["first", "second"], name);
    });
}
