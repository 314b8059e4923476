//! What every test needs: the service, the broker, firmware, and names for things and jobs.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::device::{Device, Target};
use crate::{
    rig::service::{Execution, Service},
    run::target as built,
};

/// The surroundings of a test.
pub(super) struct Bench<'s> {
    service: &'s Service,
    folder: &'s Path,
    broker: SocketAddr,
    naive: bool,
}

impl<'s> Bench<'s> {
    /// Devices connect to `broker`, and keep their flash in `folder`.
    pub(super) fn new(service: &'s Service, folder: &'s Path, broker: SocketAddr) -> Self {
        Self {
            service,
            folder,
            broker,
            naive: false,
        }
    }

    /// The same, with the firmware that keeps its records badly.
    pub(super) fn naive(mut self) -> Self {
        self.naive = true;
        self
    }

    /// Whether the records are kept badly.
    pub(super) fn is_naive(&self) -> bool {
        self.naive
    }

    /// The service.
    pub(super) fn service(&self) -> &Service {
        self.service
    }

    /// A new device, registered.
    pub(super) fn device(&self, target: Target, name: &str) -> Result<Device, String> {
        let (core, _) = target.triple.split_once('-').unwrap_or((target.triple, ""));
        let kind = if self.naive { "-naive" } else { "" };
        let thing = format!("{core}{kind}-{name}");
        self.service.create_thing(&thing)?;
        let firmware = firmware(target, self.naive);
        Device::new(target, &firmware, self.folder, &thing, self.broker)
    }

    /// The name of a device's job at the service: jobs are the account's, not the thing's.
    pub(super) fn name(&self, device: &Device, job: &str) -> String {
        format!("{}-{job}", device.thing)
    }

    /// Creates a job.
    pub(super) fn job(&self, device: &Device, job: &str, document: &str) -> Result<(), String> {
        let name = self.name(device, job);
        self.service.create_job(&device.thing, &name, document)
    }

    /// Waits for the end of a job.
    pub(super) fn end(
        &self,
        device: &Device,
        job: &str,
        wait: Duration,
    ) -> Result<Execution, String> {
        let name = self.name(device, job);
        self.service.await_end(&device.thing, &name, wait)
    }

    /// An error unless the console has said exactly so many lines that begin so.
    pub(super) fn saw(&self, device: &Device, start: &str, times: usize) -> Result<(), String> {
        let count = device.count(start);
        if count == times {
            Ok(())
        } else {
            Err(format!(
                "{}: {start:?} was seen {count} times, not {times}",
                device.thing
            ))
        }
    }
}

/// Where the built firmware is kept.
pub(super) fn firmware(target: Target, naive: bool) -> PathBuf {
    let kind = if naive { "naive" } else { "firmware" };
    built()
        .join("qemu")
        .join(format!("{kind}-{}", target.triple))
}
