//! libFuzzer over one target, named by the variable `JOBS_FUZZ_TARGET`.
#![no_main]

use std::sync::OnceLock;

static TARGET: OnceLock<jobs_fuzz::Target> = OnceLock::new();

fn chosen() -> jobs_fuzz::Target {
    let name = std::env::var("JOBS_FUZZ_TARGET").unwrap_or_default();
    jobs_fuzz::target(&name).unwrap_or_else(|| panic!("JOBS_FUZZ_TARGET={name:?} is no target"))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.get_or_init(chosen).run)(data));
