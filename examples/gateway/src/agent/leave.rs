//! How the agent process ends: asked to stop, or in place of a reboot.

use std::io::Read;

use agent_std::{Reboot, RebootError};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::platform::system::say;

/// Exit code that asks a supervisor to start the agent again under another boot identity. Taken by
/// no shell, no signal and no `sysexits.h`.
pub(crate) const REBOOT_EXIT_CODE: u8 = 85;

/// Ends the process and says what has to follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExitForReboot;

impl Reboot for ExitForReboot {
    fn reboot(&self) -> Result<(), RebootError> {
        say(format_args!(
            "a job wants a reboot: ending with code {REBOOT_EXIT_CODE}; reboot the machine, or \
             start me with another --boot-id, and the job goes on"
        ));
        std::process::exit(i32::from(REBOOT_EXIT_CODE))
    }
}

/// Resolves on SIGTERM or SIGINT, and when standard input is closed if that is wanted.
///
/// # Cancel safety
/// Safe: it only listens.
pub(crate) async fn shutdown(with_stdin: bool) {
    let terminated = async {
        // Where signals cannot be had, they end the process, which the jobs survive.
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = terminated => {}
        () = interrupted => {}
        () = stdin_closed(), if with_stdin => {}
    }
}

async fn stdin_closed() {
    let (closed, wait) = oneshot::channel();
    // A thread of its own: a read that never ends must not hold up the end of the runtime.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        let mut stdin = std::io::stdin().lock();
        while matches!(stdin.read(&mut ignored), Ok(1..)) {}
        let _ = closed.send(());
    });
    // The sender is dropped only after it has sent.
    let _ = wait.await;
}
