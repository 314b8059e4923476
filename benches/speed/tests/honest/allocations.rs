//! The core does a whole job, and the protocol reads and writes every message, without a heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use speed::{cases, happy::Happy};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many there were so far. The compiler takes an allocation for something that changes no
/// memory of ours, and would compute a difference of two plain reads before the program runs.
fn count() -> usize {
    COUNT.with(|count| black_box(count).get())
}

fn allocations(work: impl FnOnce()) -> usize {
    let before = count();
    work();
    count() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new([0_u8; 64])))), 1);
}

#[test]
fn a_whole_happy_job_allocates_nothing() {
    let happy = Happy::new();
    let mut agent = happy.agent();
    let mut seen = None;
    assert_eq!(allocations(|| seen = Some(happy.run(&mut agent))), 0);
    assert!(agent.is_idle());
    assert_eq!(seen.map(|seen| seen.published), Some(2));
}

#[test]
fn no_case_of_protocol_or_core_allocates() {
    let ours = cases::all()
        .into_iter()
        .filter(|case| !case.name.contains('@'));
    let mut count = 0;
    for case in ours {
        let mut work = case.prepare();
        assert_eq!(allocations(&mut *work), 0, "{}", case.name);
        count += 1;
    }
    assert!(count > 40, "{count} cases");
}
