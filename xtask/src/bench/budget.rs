//! The committed instruction counts: one line for each case, so that a change is easy to read.

use std::{collections::BTreeMap, fmt::Write as _};

/// Growth that is not worth a word, in percent: what a changed inlining elsewhere can cost.
const MARGIN_PERCENT: u64 = 3;

/// Instructions by case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Budget(BTreeMap<String, u64>);

impl Budget {
    /// What was counted becomes the budget; peers have none.
    pub(super) fn of(counts: &[(String, u64)]) -> Self {
        let ours = counts.iter().filter(|(name, _)| !name.contains('@'));
        Self(ours.cloned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Cases over their budget, without one, or gone.
    pub(super) fn faults(&self, counts: &[(String, u64)]) -> Vec<String> {
        let new = Self::of(counts);
        let mut faults = Vec::new();
        for (name, count) in &new.0 {
            match self.get(name) {
                None => faults.push(format!("{name} has no budget")),
                Some(budget) if count * 100 > budget * (100 + MARGIN_PERCENT) => {
                    faults.push(format!("{name} grew from {budget} to {count} instructions"));
                }
                Some(_) => {}
            }
        }
        let gone = self.0.keys().filter(|name| new.get(name).is_none());
        faults.extend(gone.map(|name| format!("{name} is in the budget and was not measured")));
        faults
    }

    pub(super) fn json(&self) -> String {
        let mut text = String::from("{");
        for (nth, (name, count)) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}\n  \"{name}\": {count}");
        }
        text.push_str("\n}\n");
        text
    }

    /// Reads what [`json`](Self::json) writes.
    ///
    /// # Errors
    /// The line that it cannot read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !matches!(*line, "{" | "}"));
        let entry = |line: &str| {
            let (name, count) = line.trim().trim_end_matches(',').split_once("\": ")?;
            Some((name.strip_prefix('"')?.to_string(), count.parse().ok()?))
        };
        let entries: Result<_, String> = lines
            .map(|line| entry(line).ok_or_else(|| format!("budget.json: cannot read {line:?}")))
            .collect();
        Ok(Self(entries?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(a: u64) -> Vec<(String, u64)> {
        vec![("a/b".into(), a), ("a/b@peer".into(), 9), ("c".into(), 7)]
    }

    #[test]
    fn a_budget_is_read_as_it_was_written_and_has_no_peers() {
        let budget = Budget::of(&counts(1_000));
        assert_eq!(
            Budget::parse(&budget.json()),
            Ok(Budget::of(&counts(1_000)))
        );
        assert_eq!(budget.get("a/b@peer"), None);
        assert!(Budget::parse("{\n  nonsense\n}\n").is_err());
    }

    #[test]
    fn three_percent_pass_and_more_does_not() {
        let budget = Budget::of(&counts(1_000));
        assert!(budget.faults(&counts(1_030)).is_empty());
        assert!(budget.faults(&counts(10)).is_empty());
        assert_eq!(budget.faults(&counts(1_031)).len(), 1);
    }

    #[test]
    fn a_case_without_budget_and_one_that_is_gone_are_told() {
        let budget = Budget::of(&counts(1_000));
        assert_eq!(
            budget.faults(&counts(1_000)[..1]),
            ["c is in the budget and was not measured"]
        );
        assert_eq!(Budget::default().faults(&counts(1)).len(), 2);
    }
}
