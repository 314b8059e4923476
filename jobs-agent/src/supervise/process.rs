//! The supervisor process.

use std::{
    io::{self, Read},
    path::Path,
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, set_child_subreaper, setrlimit,
};
use tokio::{
    process::{Child, ChildStderr, ChildStdout, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    End, Leftovers, Limits, SPEC_LEN_MAX, Spec, StepResult, folder::Held, tail::Tail, tree,
};

/// How often the processes of a step are counted.
const COUNT_INTERVAL: Duration = Duration::from_millis(200);

/// Exit code of a supervisor that did not get its folder: somebody else does the step, or did.
const EXIT_TAKEN: u8 = 3;

/// Does one step: reads its [`Spec`] from standard input, leaves its [`StepResult`] in `folder`.
///
/// Says nothing on its own outputs; where it cannot even write its result, the agent finds none.
#[must_use]
pub fn main(folder: &Path) -> ExitCode {
    let held = match Held::take(folder) {
        Ok(Some(held)) => held,
        Ok(None) => return ExitCode::from(EXIT_TAKEN),
        Err(_) => return ExitCode::FAILURE,
    };
    let Ok(spec) = read_spec() else {
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return ExitCode::FAILURE;
    };
    let result = match runtime.block_on(supervise(&spec, &held)) {
        Ok(result) => result,
        Err(error) => StepResult::not_started(error.to_string()),
    };
    match held.finished(&result) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn read_spec() -> io::Result<Spec> {
    let mut json = Vec::new();
    io::stdin()
        .lock()
        .take(SPEC_LEN_MAX)
        .read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

async fn supervise(spec: &Spec, held: &Held) -> io::Result<StepResult> {
    // Before anything is started, so that no stop is missed.
    let mut stop = signal(SignalKind::terminate())?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    limit(&spec.limits, spec.user.map(|user| user.uid))?;
    let mut command = command(spec);
    held.started()?;
    let began = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(StepResult::not_started(error.to_string())),
    };
    let mut outputs = Outputs::of(&mut child);
    let end = tokio::select! {
        () = outputs.fill_and_wait() => End::Stopped,
        end = wait(&mut child, spec) => end?,
        _ = stop.recv() => End::Stopped,
    };
    let leftovers = finish(&mut child, &end, spec, &mut outputs).await;
    Ok(StepResult {
        end,
        stdout: outputs.stdout.1.text(),
        stderr: outputs.stderr.1.text(),
        stdout_bytes: outputs.stdout.1.bytes,
        stderr_bytes: outputs.stderr.1.bytes,
        stderr_lines: outputs.stderr.1.lines(),
        leftovers_ended: leftovers,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn command(spec: &Spec) -> Command {
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&spec.working_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(user) = spec.user {
        // As root, the standard library drops the supplementary groups with it.
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// The limits are this process's own, so that everything below inherits them.
fn limit(limits: &Limits, uid: Option<u32>) -> io::Result<()> {
    let hard = |resource, value: Option<u64>| match value {
        None => Ok(()),
        Some(value) => {
            // Only root may go beyond what this process was given itself.
            let value = getrlimit(resource)
                .maximum
                .map_or(value, |most| value.min(most));
            let limit = Rlimit {
                current: Some(value),
                maximum: Some(value),
            };
            setrlimit(resource, limit)
        }
    };
    // A core file would hold whatever secrets the step had.
    hard(Resource::Core, Some(0))?;
    hard(Resource::Fsize, limits.file_bytes)?;
    hard(Resource::Nofile, limits.open_files)?;
    hard(Resource::As, limits.memory_bytes)?;
    if uid.is_some_and(|uid| uid != 0) {
        hard(Resource::Nproc, limits.processes.map(u64::from))?;
    }
    if limits.no_new_privileges {
        rustix::thread::set_no_new_privs(true)?;
    }
    Ok(())
}

/// Waits for the step's own process, its time limit, or too many processes.
async fn wait(child: &mut Child, spec: &Spec) -> io::Result<End> {
    let crowded = async {
        let Some(most) = spec.limits.processes else {
            return std::future::pending().await;
        };
        let mut look = interval(COUNT_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if tree::descendants().len() > most as usize {
                return;
            }
        }
    };
    tokio::select! {
        status = child.wait() => Ok(end_of(status?)),
        () = sleep(Duration::from_millis(spec.limit_ms)) => Ok(End::TimedOut),
        () = crowded => Ok(End::TooManyProcesses),
    }
}

fn end_of(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signaled(signal),
        (None, None) => End::Signaled(0),
    }
}

/// Ends what has to be ended and takes the rest of the output; answers how many processes were
/// left behind.
async fn finish(child: &mut Child, end: &End, spec: &Spec, outputs: &mut Outputs) -> u32 {
    let grace = Duration::from_millis(spec.grace_ms);
    let drain = Duration::from_millis(spec.drain_ms);
    match end {
        // No grace for a bomb.
        End::TooManyProcesses => {
            signal_group(child, Signal::KILL);
        }
        End::TimedOut | End::Stopped => {
            signal_group(child, Signal::TERM);
            let ended = async {
                tokio::select! {
                    // Polled for as long as the step may say its last words.
                    () = outputs.fill_and_wait() => {}
                    _ = child.wait() => {}
                }
            };
            if timeout(grace, ended).await.is_err() {
                signal_group(child, Signal::KILL);
            }
        }
        End::Exited(_) | End::Signaled(_) | End::NotStarted(_) => {
            // Whoever has an output open may still be writing.
            let _ = timeout(drain, outputs.fill()).await;
            return match spec.leftovers {
                Leftovers::Kill => tree::sweep().await,
                Leftovers::Keep => 0,
            };
        }
    }
    let _ = timeout(grace, child.wait()).await;
    let left = tree::sweep().await;
    let _ = timeout(drain, outputs.fill()).await;
    left
}

fn signal_group(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // Gone already is as good.
        let _ = kill_process_group(pid, signal);
    }
}

/// Both outputs and what was kept of them.
struct Outputs {
    stdout: (Option<ChildStdout>, Tail),
    stderr: (Option<ChildStderr>, Tail),
}

impl Outputs {
    fn of(child: &mut Child) -> Self {
        Self {
            stdout: (child.stdout.take(), Tail::default()),
            stderr: (child.stderr.take(), Tail::default()),
        }
    }

    /// Takes both at the same time until both are closed.
    async fn fill(&mut self) {
        let (out, out_tail) = (&mut self.stdout.0, &mut self.stdout.1);
        let (err, err_tail) = (&mut self.stderr.0, &mut self.stderr.1);
        let out = async {
            if let Some(out) = out {
                out_tail.fill(out).await;
            }
        };
        let err = async {
            if let Some(err) = err {
                err_tail.fill(err).await;
            }
        };
        tokio::join!(out, err);
    }

    /// As `fill`, and never ends.
    async fn fill_and_wait(&mut self) {
        self.fill().await;
        std::future::pending::<()>().await;
    }
}
