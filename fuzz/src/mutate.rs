//! Mutations from a fixed seed, for compilers that have no coverage-guided fuzzer: the same inputs on
//! every machine.

/// A small generator (`SplitMix64`); the same numbers for ever.
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Changes `data` in one to four places; `words` are the dictionary, `other` is another input.
pub fn mutate(data: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>], len_max: usize, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(data.len() + 1);
        match rng.below(9) {
            0 if !data.is_empty() => {
                let at = rng.below(data.len());
                data[at] ^= 1 << rng.below(8);
            }
            1 if !data.is_empty() => {
                let at = rng.below(data.len());
                data[at] = rng.next() as u8;
            }
            2 => data.insert(at, rng.next() as u8),
            3 if !data.is_empty() => {
                let end = at + rng.below(data.len() - at.min(data.len()) + 1).min(8);
                data.drain(at.min(data.len())..end.min(data.len()));
            }
            4 => {
                let len = rng.below(data.len() - at + 1).min(64);
                let copy = data[at..at + len].to_vec();
                let to = rng.below(data.len() + 1);
                data.splice(to..to, copy);
            }
            5 | 6 if !words.is_empty() => {
                let word = words[rng.below(words.len())].iter().copied();
                let end = if rng.below(2) == 0 {
                    at
                } else {
                    (at + word.len()).min(data.len())
                };
                data.splice(at..end, word);
            }
            7 => {
                let from = rng.below(other.len() + 1);
                let len = rng.below(other.len() - from + 1).min(128);
                data.splice(at..at, other[from..from + len].iter().copied());
            }
            _ => {
                let fill: Vec<u8> = (0..rng.below(16)).map(|_| rng.next() as u8).collect();
                data.splice(at..at, fill);
            }
        }
    }
    data.truncate(len_max);
}
