//! What happened lately, on the disk: the source of `explain`.
//!
//! One line of JSON for each entry, appended and synced by a thread of its own, so that the agent
//! never waits for it. When there are twice as many lines as wanted, the file is replaced by its
//! newer half. Entries hold ids, decisions and reasons; never a document, never a URL's query.

mod entry;

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::warn;

use crate::durable;

pub use entry::{Entry, What, now_ms};

/// Entries that may wait for the disk: a burst that a slow card takes a minute for, in about 300 KB.
const WAITING_MAX: usize = 1_024;

/// Writes a journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: Sender<Entry>,
    /// Entries for which there was no room.
    lost: Arc<AtomicU64>,
}

/// The thread that writes; wait for it at the end, so that the last entries are there.
#[derive(Debug)]
pub struct Writing(JoinHandle<()>);

impl Writing {
    /// Waits until everything is written. All clones of the [`Journal`] must be gone.
    pub fn finish(self) {
        // It says nothing when it panics, and nothing could be done.
        let _ = self.0.join();
    }
}

impl Journal {
    /// Begins to write to this file, of which the last `kept` entries stay.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(path: &Path, kept: usize) -> io::Result<(Self, Writing)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = Ring::open(path, kept)?;
        let (journal, written) = Self::channel();
        let lost = Arc::clone(&journal.lost);
        let write = move || write_all(written, &lost, &mut file);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(write)?;
        Ok((journal, Writing(thread)))
    }

    /// One that nobody writes down.
    #[must_use]
    pub fn closed() -> Self {
        Self::channel().0
    }

    fn channel() -> (Self, Receiver<Entry>) {
        // Takes room for what waits, and not for what could: the standard library's takes 80 KiB.
        let (entries, written) = channel(WAITING_MAX);
        let lost = Arc::default();
        (Self { entries, lost }, written)
    }

    /// Notes something. Never waits: lost if the disk fails, which is logged, and if
    /// a thousand others still wait for it, which is counted in the journal.
    pub fn note(&self, what: What) {
        let entry = Entry {
            at_ms: now_ms(),
            repeated: 0,
            what,
        };
        // Full: the thread lives as long as there is a sender.
        if self.entries.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The entries of a journal, oldest first; a line that cannot be read is left out.
///
/// # Errors
/// The file cannot be read; one that is not there has no entries.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // Bytes, not text: what a cut of the power left in one line must not hide the others.
    let entries = bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok());
    Ok(entries.collect())
}

fn write_all(mut entries: Receiver<Entry>, lost: &AtomicU64, file: &mut Ring) {
    let mut held: Option<Entry> = None;
    let mut broken = false;
    let mut write = |file: &mut Ring, entry: &Entry| {
        let result = file.append(entry);
        if let Err(error) = &result
            && !broken
        {
            warn!(%error, "the journal cannot be written");
        }
        broken = result.is_err();
    };
    while let Some(mut entry) = entries.blocking_recv() {
        if let Some(gap) = gap(lost) {
            write(file, &gap);
        }
        // What only says the same again is counted: a flood must not wear the disk.
        if let Some(last) = &mut held {
            if entry.what.is_noise() && last.what == entry.what {
                last.repeated += 1;
                continue;
            }
            if last.repeated > 0 {
                last.at_ms = entry.at_ms;
                write(file, last);
            }
        }
        entry.repeated = 0;
        write(file, &entry);
        held = Some(entry);
    }
    if let Some(last) = held.filter(|last| last.repeated > 0) {
        write(file, &last);
    }
    if let Some(gap) = gap(lost) {
        write(file, &gap);
    }
}

/// What says that entries are missing, if some are.
fn gap(lost: &AtomicU64) -> Option<Entry> {
    let count = lost.swap(0, Ordering::Relaxed);
    (count > 0).then(|| Entry {
        at_ms: now_ms(),
        repeated: 0,
        what: What::Lost { count },
    })
}

/// A file of lines that does not grow without bound.
#[derive(Debug)]
struct Ring {
    path: PathBuf,
    file: File,
    kept: usize,
    lines: usize,
}

impl Ring {
    fn open(path: &Path, kept: usize) -> io::Result<Self> {
        let lines = read(path)?.len();
        let mut ring = Self {
            path: path.to_owned(),
            file: append_to(path)?,
            kept: kept.max(1),
            lines,
        };
        // A line that was cut by a crash ends here, so that the next one is a line of its own.
        // On a full disk it does not: a journal is no reason not to start.
        if let Err(error) = ring.file.write_all(b"\n") {
            warn!(%error, "the journal cannot be written");
        }
        Ok(ring)
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.lines += 1;
        if self.lines >= self.kept.saturating_mul(2) {
            self.halve()?;
        }
        Ok(())
    }

    fn halve(&mut self) -> io::Result<()> {
        let entries = read(&self.path)?;
        let newer: VecDeque<&Entry> = entries.iter().rev().take(self.kept).collect();
        let mut text = Vec::new();
        for entry in newer.iter().rev() {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        durable::replace(&self.path, &text)?;
        self.file = append_to(&self.path)?;
        self.lines = newer.len();
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: usize) -> What {
        What::Started {
            job: format!("job-{id}"),
            attempt: 1,
        }
    }

    fn jobs(path: &Path) -> Vec<String> {
        let entries = read(path).unwrap().into_iter();
        entries
            .filter_map(|entry| entry.what.job().map(str::to_owned))
            .collect()
    }

    #[test]
    fn the_last_entries_stay_and_the_file_does_not_grow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/journal.jsonl");
        let (journal, writing) = Journal::open(&path, 10).unwrap();
        (0..95).for_each(|id| journal.note(job(id)));
        drop(journal);
        writing.finish();
        let jobs = jobs(&path);
        assert!((10..20).contains(&jobs.len()), "{}", jobs.len());
        assert_eq!(jobs.last().unwrap(), "job-94");
    }

    #[test]
    fn a_line_cut_by_a_crash_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        for round in 0..2 {
            let (journal, writing) = Journal::open(&path, 10).unwrap();
            journal.note(job(round));
            drop(journal);
            writing.finish();
            let mut file = append_to(&path).unwrap();
            file.write_all(b"{\"at_ms\":17,\"wh").unwrap();
        }
        assert_eq!(jobs(&path), ["job-0", "job-1"]);
    }

    #[test]
    fn what_a_power_cut_left_in_the_file_does_not_keep_the_agent_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        for round in 0..3 {
            let (journal, writing) = Journal::open(&path, 1).unwrap();
            journal.note(job(round));
            drop(journal);
            writing.finish();
            // A block that was allocated and never written, or written with something else.
            let mut file = append_to(&path).unwrap();
            file.write_all(b"\0\0\xff\xfe{\"at_ms\":17").unwrap();
        }
        assert_eq!(jobs(&path).last().unwrap(), "job-2");
    }

    #[test]
    fn a_disk_that_is_slower_than_the_agent_costs_entries_and_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let mut file = Ring::open(&path, 10_000).unwrap();
        let (journal, written) = Journal::channel();
        // Nothing is taken meanwhile, as by a disk that hangs.
        (0..5_000).for_each(|id| journal.note(job(id)));
        let lost = Arc::clone(&journal.lost);
        drop(journal);
        write_all(written, &lost, &mut file);
        let entries = read(&path).unwrap();
        let count = 5_000 - WAITING_MAX as u64;
        assert!(entries.iter().any(|e| e.what == What::Lost { count }));
        assert_eq!(entries.len(), WAITING_MAX + 1);
        assert_eq!(jobs(&path).first().unwrap(), "job-0");
    }

    #[test]
    fn a_flood_of_one_kind_is_counted_and_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let (journal, writing) = Journal::open(&path, 10).unwrap();
        let noise = || What::Ignored {
            job: Some("job-1".into()),
            why: "twice".into(),
        };
        (0..1_000).for_each(|_| journal.note(noise()));
        journal.note(job(2));
        drop(journal);
        writing.finish();
        let entries = read(&path).unwrap();
        let counts: Vec<u64> = entries.iter().map(|entry| entry.repeated).collect();
        assert_eq!(counts, [0, 999, 0]);
    }
}
