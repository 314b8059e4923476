//! What `diagnostics` watches on Linux: the memory that this process has in use.

use std::io;

use handlers::Probe;

/// Resident memory, KiB, from `/proc/self/status` (proc_pid_status(5), `VmRSS`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResidentMemory;

impl Probe for ResidentMemory {
    type Error = io::Error;

    fn name(&self) -> &'static str {
        "resident-kib"
    }

    async fn sample(&self) -> Result<i32, io::Error> {
        let status = tokio::fs::read_to_string("/proc/self/status").await?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next())
            .and_then(|kib| kib.parse().ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no VmRSS in /proc"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_running_process_uses_memory() {
        assert!(ResidentMemory.sample().await.unwrap() > 0);
    }
}
