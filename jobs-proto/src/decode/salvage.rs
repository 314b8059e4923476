//! What can still be said about a message that is broken.
//!
//! A job whose document cannot be read would stand at the head of the queue for ever if nobody
//! answered it. To answer it takes its job id, and that stands outside of the document.

use super::shape::{self, SALVAGE, SALVAGED, Shape};
use super::{ErrorKind, Message};
use crate::scan::{Fault, Scanner};
use crate::words::member;

impl Message<'_, '_> {
    /// Makes the most of a message that is broken: what was read of it before the fault, or what
    /// a second reading finds that steps over broken values.
    #[cold]
    pub(super) fn salvage(&mut self, shape: &Shape, fault: Fault) {
        let mut keep = 0;
        if shape.has_execution() {
            let job = shape::bit(member::JOB_ID);
            // A name that comes twice leaves a choice, and a guess could hit the wrong job.
            if !self.has_met(job) && fault.kind != ErrorKind::DuplicateKey {
                self.retain(0);
                self.object_at = 0;
                self.rewind();
                self.object(&SALVAGE, true);
            }
            if self.has(job) {
                keep = SALVAGED;
            }
        }
        self.retain(keep);
        self.object_at = 0;
        self.scanner().overrule(fault.kind, fault.at);
    }
}

/// Steps over a value that may be broken, with brackets and strings as the only landmarks;
/// returns it if it is sound.
#[cold]
#[inline(never)]
pub(super) fn value<'a>(scanner: &mut Scanner<'a>) -> &'a [u8] {
    let (bytes, at) = (scanner.bytes(), scanner.at());
    let value = scanner.value();
    if scanner.is_sound() {
        return value;
    }
    scanner.begin(bytes, at);
    let mut depth: u32 = 0;
    loop {
        let byte = scanner.next_token();
        match byte {
            b'{' | b'[' => depth = depth.wrapping_add(1),
            b'}' | b']' | b',' if depth == 0 => return &[],
            b'}' | b']' => depth = depth.wrapping_sub(1),
            b'"' => {
                scanner.bump();
                while !matches!(scanner.peek(), b'"') && !scanner.is_at_end() {
                    if scanner.peek() == b'\\' {
                        scanner.bump();
                    }
                    scanner.bump();
                }
            }
            _ if scanner.is_at_end() => return &[],
            _ => {}
        }
        scanner.bump();
    }
}
