//! What all images share: the panic handler, and values that the compiler knows nothing about.
#![no_std]

pub mod agent;
pub mod proto;

use core::hint::black_box;
use core::panic::PanicInfo;

use jobs_proto::ThingName;

/// An image in which nothing panics does not contain it.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// The entry point of an image: runs the body once.
#[macro_export]
macro_rules! image {
    ($body:block) => {
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $body
            loop {}
        }
    };
}

/// Bytes of unknown length and content.
#[inline(never)]
pub fn bytes() -> &'static [u8] {
    black_box(&[])
}

/// Text of unknown length and content.
#[inline(never)]
pub fn text() -> &'static str {
    black_box("")
}

/// A buffer of unknown length.
#[inline(never)]
pub fn buffer() -> &'static mut [u8] {
    black_box(&mut [])
}

/// A number that is not known.
#[inline(never)]
pub fn number() -> u32 {
    black_box(0)
}

/// A thing name that is not known. It is a literal, so that its check is not part of every image.
#[inline(never)]
pub fn thing() -> ThingName<'static> {
    const THING: ThingName<'_> = match ThingName::new("thing") {
        Ok(thing) => thing,
        Err(_) => panic!(),
    };
    black_box(THING)
}

/// Hands out a value of which nothing is known; none stands in the image.
#[inline(always)]
pub fn any<T: 'static>(take: impl FnOnce(&'static T)) {
    if let Some(value) = black_box(None::<&T>) {
        take(value);
    }
}

/// Uses a value in a way that the compiler cannot see through.
pub fn keep<T>(value: T) {
    black_box(value);
}
