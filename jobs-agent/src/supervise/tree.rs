//! The processes below this one.

use std::{collections::HashMap, fs, time::Duration};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::time::{Instant, sleep};

/// How long ending a tree may take: processes that fork while they are being ended take several
/// rounds, one that hangs in the kernel would take for ever.
const SWEEP_LIMIT: Duration = Duration::from_secs(5);

/// Pause between two rounds.
const ROUND: Duration = Duration::from_millis(5);

/// All descendants of this process that are alive, zombies not counted.
///
/// Read from `/proc/*/stat`, because `/proc/*/task/*/children` is not there in every kernel.
pub(super) fn descendants() -> Vec<Pid> {
    let me = rustix::process::getpid();
    let mut parents: HashMap<i32, (i32, bool)> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // Gone between the two looks: no descendant any more.
        let stat = fs::read_to_string(entry.path().join("stat"));
        if let Some(found) = stat.ok().as_deref().and_then(parse) {
            parents.insert(pid, found);
        }
    }
    let mut found = Vec::new();
    for (&pid, &(_, zombie)) in &parents {
        if !zombie && leads_to(pid, me.as_raw_nonzero().get(), &parents) {
            found.extend(Pid::from_raw(pid));
        }
    }
    found
}

fn leads_to(from: i32, to: i32, parents: &HashMap<i32, (i32, bool)>) -> bool {
    let mut at = from;
    // The look is not atomic, so even a circle is possible.
    for _ in 0..parents.len() {
        match parents.get(&at) {
            Some(&(parent, _)) if parent == to => return true,
            Some(&(parent, _)) => at = parent,
            None => return false,
        }
    }
    false
}

/// Parent and whether it is a zombie, from `pid (name) state ppid …` (proc(5)); the name may hold
/// anything, so the last parenthesis counts.
fn parse(stat: &str) -> Option<(i32, bool)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((parent, matches!(state, "Z" | "X")))
}

/// Ends all descendants at once; answers how many there were in the first round.
pub(super) async fn sweep() -> u32 {
    let until = Instant::now() + SWEEP_LIMIT;
    let mut first = None;
    loop {
        let alive = descendants();
        first.get_or_insert_with(|| u32::try_from(alive.len()).unwrap_or(u32::MAX));
        if alive.is_empty() || Instant::now() >= until {
            break;
        }
        // Stopped first: what cannot run cannot fork while the others are being ended.
        for signal in [Signal::STOP, Signal::KILL] {
            for pid in &alive {
                // Gone already is as good.
                let _ = kill_process(*pid, signal);
            }
        }
        reap();
        sleep(ROUND).await;
    }
    reap();
    first.unwrap_or(0)
}

/// Takes the exit status of whatever was left to us. Only once the step's own process was waited
/// for: its status must not be taken here.
fn reap() {
    while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_call_itself_anything() {
        assert_eq!(parse("7 (sh) S 3 7 7 0"), Some((3, false)));
        assert_eq!(parse("7 (a) Z 1 (b) Z 5 7"), Some((5, true)));
        assert_eq!(parse("7 (x"), None);
    }

    #[test]
    fn descent_is_followed_over_several_generations() {
        let parents = HashMap::from([
            (2, (1, false)),
            (3, (2, false)),
            (4, (9, false)),
            (9, (4, false)),
        ]);
        assert!(leads_to(3, 1, &parents));
        assert!(!leads_to(4, 1, &parents), "a circle ends, too");
    }
}
