//! Programs beside the test: none outlives it.

use std::{
    ffi::OsStr,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Between two looks at something that is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A child that is killed when it is dropped, and by the kernel if this process dies first.
pub(crate) struct Process {
    child: Child,
}

/// A command whose process the kernel kills when the thread that started it ends.
///
/// `setpriv` is part of util-linux, which every Debian has, and replaces itself by the program.
pub(crate) fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.stdin(Stdio::null());
    // Where Debian puts mosquitto, which is in nobody's path but root's.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}

impl Process {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let child = command
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { child })
    }

    /// The child itself, to take its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its status, if it ends in time by itself; a signal counts as status -1.
    pub(crate) fn ended(&mut self, deadline: Instant) -> Option<i32> {
        until(deadline, || {
            let status = self.child.try_wait().ok()??;
            Some(status.code().unwrap_or(-1))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Looks again and again until there is something, or it is too late.
pub(crate) fn until<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// An address that is free at this moment.
pub(crate) fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}
