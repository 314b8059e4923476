//! Time of every case, for people. It depends on the machine and on what else runs there; the
//! gate is on instructions (`cargo xtask bench`).

use std::sync::LazyLock;

use divan::Bencher;
use speed::cases;

static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| cases::all().into_iter().map(|case| case.name).collect());

fn main() {
    divan::main();
}

#[divan::bench(args = NAMES.iter())]
fn wall(bencher: Bencher<'_, '_>, name: &String) {
    let cases = cases::all();
    let case = cases.iter().find(|case| case.name == *name);
    let Some(case) = case else { return };
    bencher
        .with_inputs(|| case.prepare())
        .bench_local_refs(|work| work());
}
