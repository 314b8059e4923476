//! The end of what a source has.

use std::{
    collections::VecDeque,
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::ExitStatusExt,
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

use super::{Source, open};

/// Bytes taken from a command at a time.
const BLOCK_LEN: usize = 16 * 1_024;

/// Most bytes of what is said about files that were left out.
const SKIPPED_LEN_MAX: usize = 200;

/// What was read.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) bytes: Vec<u8>,
    pub(super) files: usize,
    /// Why files were left out.
    pub(super) skipped: Option<String>,
}

/// # Errors
/// Why there is nothing.
pub(super) async fn all(source: &Source) -> Result<Gathered, String> {
    if source.files.is_empty() {
        let bytes = command(source).await?;
        return Ok(Gathered {
            bytes,
            files: 0,
            skipped: None,
        });
    }
    let source = source.clone();
    // Disks can be slow, and the agent has one thread.
    let read = tokio::task::spawn_blocking(move || files(&source)).await;
    read.map_err(|error| error.to_string())?
}

/// The newest file first, and of the last one that fits its end; in the order of their age.
fn files(source: &Source) -> Result<Gathered, String> {
    let mut logs = Vec::new();
    let mut skipped = Vec::new();
    for pattern in &source.files {
        match open::all(pattern) {
            Ok((found, others)) => {
                logs.extend(found);
                skipped.extend(others);
            }
            Err(error) => skipped.push(format!("{}: {error}", pattern.display())),
        }
    }
    logs.sort_by_key(|log| std::cmp::Reverse(log.modified));
    let mut room = source.bytes_max;
    let mut parts = VecDeque::new();
    for mut log in logs {
        if room == 0 {
            break;
        }
        match tail(&mut log, room) {
            Ok(bytes) => {
                room -= bytes.len() as u64;
                parts.push_front((log.path, bytes));
            }
            Err(error) => skipped.push(format!("{}: {error}", log.path.display())),
        }
    }
    if parts.is_empty() {
        let why = skipped.join("; ");
        return Err(format!("no file of this source can be sent: {why}"));
    }
    let files = parts.len();
    let mut bytes = Vec::new();
    for (path, part) in parts {
        if files > 1 {
            bytes.extend(format!("==> {} <==\n", path.display()).into_bytes());
        }
        bytes.extend(part);
        if bytes.last().is_some_and(|&last| last != b'\n') {
            bytes.push(b'\n');
        }
    }
    let skipped = (!skipped.is_empty())
        .then(|| crate::saved::start(&skipped.join("; "), SKIPPED_LEN_MAX).to_owned());
    Ok(Gathered {
        bytes,
        files,
        skipped,
    })
}

/// The last `most` bytes, from the beginning of a line if it has one.
fn tail(log: &mut open::Log, most: u64) -> io::Result<Vec<u8>> {
    let from = log.len.saturating_sub(most);
    log.file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    (&log.file).take(most).read_to_end(&mut bytes)?;
    if from > 0
        && let Some(end) = bytes.iter().position(|&byte| byte == b'\n')
    {
        // Half a line could be the end of a secret that nobody recognises any more.
        bytes.drain(..=end);
    }
    Ok(bytes)
}

/// A process group that is ended when nobody waits for it any more.
struct Group(Child, Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.1.take() {
            // Gone already is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn command(source: &Source) -> Result<Vec<u8>, String> {
    let Some((program, args)) = source.command.split_first() else {
        return Err("the source has no command".to_owned());
    };
    let child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = Group(child, group.and_then(Pid::from_raw));
    let limit = Duration::from_secs(source.timeout_s);
    let work = async {
        let bytes = end_of_output(&mut group.0, source.bytes_max).await?;
        Ok::<_, io::Error>((bytes, group.0.wait().await?))
    };
    match timeout(limit, work).await {
        Err(_) => Err(format!("{program} took longer than {} s", limit.as_secs())),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Ok(Ok((bytes, status))) if status.success() => {
            // Its number may be somebody else's from now on.
            group.1 = None;
            Ok(bytes)
        }
        Ok(Ok((_, status))) => {
            group.1 = None;
            Err(match status.signal() {
                Some(signal) => format!("{program}: ended by signal {signal}"),
                None => format!("{program}: {status}"),
            })
        }
    }
}

async fn end_of_output(child: &mut Child, most: u64) -> io::Result<Vec<u8>> {
    let Some(mut output) = child.stdout.take() else {
        return Ok(Vec::new());
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut cut = false;
    let mut block = vec![0; BLOCK_LEN];
    loop {
        let count = output.read(&mut block).await?;
        if count == 0 {
            break;
        }
        kept.extend(block.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(most);
        cut |= over > 0;
        kept.drain(..over);
    }
    if cut && let Some(end) = kept.iter().position(|&byte| byte == b'\n') {
        kept.drain(..=end);
    }
    Ok(kept.into())
}
