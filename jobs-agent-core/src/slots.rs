//! The slots of an agent, and the one way to go through them.

use crate::slot::Slot;

/// All slots, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slots<const JOBS: usize>([Slot; JOBS]);

impl<const JOBS: usize> Slots<JOBS> {
    pub(crate) fn new() -> Self {
        Self(core::array::from_fn(|number| {
            // Slot numbers are below `JOBS_MAX`.
            Slot::new(u8::try_from(number).unwrap_or(u8::MAX))
        }))
    }

    pub(crate) fn get(&self, number: u8) -> Option<&Slot> {
        self.0.get(usize::from(number))
    }

    pub(crate) fn get_mut(&mut self, number: u8) -> Option<&mut Slot> {
        self.0.get_mut(usize::from(number))
    }

    /// What `look` finds in the first slot where it finds something.
    ///
    /// The end is looked for behind each slot and not before it: so a build with one slot has no
    /// loop. Over an iterator it has a dozen.
    pub(crate) fn find<'s, R>(
        &'s mut self,
        mut look: impl FnMut(&'s mut Slot) -> Option<R>,
    ) -> Option<R> {
        let mut rest = self.0.as_mut_slice();
        loop {
            let (slot, tail) = rest.split_first_mut()?;
            if let Some(found) = look(slot) {
                return Some(found);
            }
            if tail.is_empty() {
                return None;
            }
            rest = tail;
        }
    }

    /// Does the same in every slot.
    pub(crate) fn each(&mut self, mut act: impl FnMut(&mut Slot)) {
        let _: Option<()> = self.find(|slot| {
            act(slot);
            None
        });
    }

    /// Whether this holds for every slot.
    pub(crate) fn all(&self, holds: impl Fn(&Slot) -> bool) -> bool {
        let mut rest = self.0.as_slice();
        while let Some((slot, tail)) = rest.split_first() {
            if !holds(slot) {
                return false;
            }
            if tail.is_empty() {
                break;
            }
            rest = tail;
        }
        true
    }

    /// All slots, to read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter()
    }
}
