//! What the service manager is told.

use agent_std::Happening;
use sd_notify::NotifyState;
use tracing::debug;

/// Beats as long as it is polled: on the thread that does everything, so that it stops if that hangs.
pub(super) async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut beat = tokio::time::interval(limit / 2);
    loop {
        beat.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

/// What `systemctl status` shows.
pub(super) fn tell(what: &Happening<'_>) {
    match what {
        Happening::Connected { .. } => notify(&[NotifyState::Status("connected")]),
        Happening::Disconnected { why, .. } => {
            notify(&[NotifyState::Status(&format!("not connected: {why}"))]);
        }
        _ => {}
    }
}

/// Tells the service manager, if there is one.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    // Without a service manager nobody listens.
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager was not told");
    }
}
