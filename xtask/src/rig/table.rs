//! The table at the end, and whether all of it is as it should be.

use std::time::{Duration, Instant};

/// A line of the table.
struct Row {
    place: String,
    what: &'static str,
    result: Result<String, String>,
    took: Duration,
}

/// What was tried and what came of it.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    only: Option<String>,
}

impl Table {
    /// An empty one that takes only tests with this word in their names.
    pub(crate) fn only(word: Option<String>) -> Self {
        Self {
            rows: Vec::new(),
            only: word,
        }
    }

    /// Tries something, if it is wanted, and keeps what came of it.
    pub(crate) fn attempt(
        &mut self,
        place: &str,
        what: &'static str,
        attempt: impl FnOnce() -> Result<String, String>,
    ) {
        let is_wanted = |word: &String| what.contains(word.as_str());
        if !self.only.as_ref().is_none_or(is_wanted) {
            return;
        }
        let started = Instant::now();
        let result = attempt();
        let (mark, words) = match &result {
            Ok(words) => ("ok", words),
            Err(words) => ("FAILED", words),
        };
        println!("{place}: {what}: {mark}: {words}");
        self.rows.push(Row {
            place: place.into(),
            what,
            result,
            took: started.elapsed(),
        });
    }

    /// Adds the rows of another table.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
    }

    /// Prints it.
    ///
    /// # Errors
    /// How many rows failed.
    pub(crate) fn conclude(&self) -> Result<(), String> {
        println!("\n{:<11}  {:<36}  {:>6}  result", "where", "test", "s");
        for row in &self.rows {
            let (mark, words) = match &row.result {
                Ok(words) => ("", words.as_str()),
                Err(words) => ("FAILED ", words.lines().next().unwrap_or_default()),
            };
            let seconds = row.took.as_secs_f32();
            println!(
                "{:<11}  {:<36}  {seconds:>6.1}  {mark}{words}",
                row.place, row.what
            );
        }
        let failed = self.rows.iter().filter(|row| row.result.is_err()).count();
        match failed {
            _ if self.rows.is_empty() => Err("no test has such a name".into()),
            0 => Ok(()),
            failed => Err(format!("{failed} of {} tests failed", self.rows.len())),
        }
    }
}
