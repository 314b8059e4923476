//! Every corpus through its target, then mutations of it from a fixed seed: what a stable compiler can
//! do, the same on every machine. `JOBS_FUZZ_PERCENT` scales the number of mutations (100: seconds
//! for each target in release).

use std::path::PathBuf;

use jobs_fuzz::{
    Target,
    mutate::{Rng, mutate},
    seeds, target,
};

/// In an ordinary test run, one mutation in a hundred.
const PERCENT_DEFAULT: u32 = 1;

/// What is kept of a target: its corpus, and the inputs that once broke something.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for folder in ["corpus", "regressions"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join(name);
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.sort();
        inputs.extend(
            paths
                .iter()
                .map(|path| std::fs::read(path).expect("a corpus file")),
        );
    }
    inputs
}

/// Says which input it was when a target panics, so that it can be kept.
struct Last<'i>(&'i [u8]);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input: b\"{}\"", self.0.escape_ascii());
        }
    }
}

fn judge(target: Target, input: &[u8]) {
    let last = Last(input);
    (target.run)(input);
    drop(last);
}

fn replay(name: &str) {
    let target = target(name).expect("a target");
    let mut corpus = seeds::of(name);
    corpus.extend(kept(name));
    assert!(!corpus.is_empty());
    judge(target, &[]);
    for input in &corpus {
        judge(target, input);
    }
    let percent = std::env::var("JOBS_FUZZ_PERCENT")
        .ok()
        .and_then(|text| text.parse().ok());
    let share = u64::from(target.mutations) * u64::from(percent.unwrap_or(PERCENT_DEFAULT)) / 100;
    let rounds = share * 40;
    let words = seeds::words();
    let mut rng = Rng(0x0BAD_5EED);
    for _ in 0..rounds {
        let mut input = corpus[rng.below(corpus.len())].clone();
        let other = &corpus[rng.below(corpus.len())];
        mutate(&mut input, other, &words, target.len_max, &mut rng);
        judge(target, &input);
    }
    println!("{name}: {} kept, {rounds} mutations", corpus.len());
}

macro_rules! replays {
    ($($name:ident),+) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name));
        }
    )+

        #[test]
        fn no_target_is_forgotten() {
            let replayed = [$(stringify!($name)),+];
            let targets: Vec<&str> = jobs_fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(targets, replayed);
        }
    };
}

replays!(
    topic, inbound, encode, record, hostile, agent, emulator, wire
);
