//! The jobs, and what must have come of each.

use std::{collections::BTreeMap, fs, time::Duration};

use super::device::Device;
use crate::rig::dice::Dice;

/// What must have come of a job.
struct Expected {
    status: &'static str,
    /// Names of the steps that must have run, each once.
    steps: &'static [&'static str],
    /// A file, and what it must hold.
    pushed: Option<(String, String)>,
}

/// All jobs of a device so far.
#[derive(Default)]
pub(super) struct Jobs {
    expected: BTreeMap<String, Expected>,
}

fn step(name: &str, handler: &str, args: &str) -> String {
    format!(
        "{{\"action\":{{\"name\":\"{name}\",\"type\":\"runHandler\",\
         \"input\":{{\"handler\":\"{handler}\",\"args\":[{args}]}}}}}}"
    )
}

/// A step that takes from 10 to 400 ms and ends with this status.
fn work(name: &str, dice: &mut Dice, exit: u8) -> String {
    let args = format!("\"{:02}\",\"{exit}\"", 1 + dice.below(40));
    step(name, "work.sh", &args)
}

fn steps(steps: &[String]) -> String {
    format!("{{\"version\":\"1.0\",\"steps\":[{}]}}", steps.join(","))
}

impl Jobs {
    /// One more job, of a kind that depends on its number; its name.
    pub(super) fn create(
        &mut self,
        device: &Device<'_>,
        dice: &mut Dice,
        number: u32,
    ) -> Result<String, String> {
        let mut pushed = None;
        let mut roll = |name: &str, exit| work(name, dice, exit);
        let (kind, document, status, ran): (_, _, _, &[&str]) = match number % 6 {
            0 | 3 => {
                let ran = &["s0", "s1", "s2"];
                let document = steps(&ran.map(|name| roll(name, 0)));
                ("steps", document, "SUCCEEDED", ran)
            }
            1 => {
                let document = steps(&[roll("s0", 0), roll("s1", 1), roll("never", 0)]);
                ("fails", document, "FAILED", &["s0", "s1"])
            }
            2 => {
                let document = steps(&[roll("../s0", 0), step("x", "sh", "")]);
                ("refused", document, "REJECTED", &[])
            }
            4 => {
                let content = format!("speed = {number}");
                let document = format!(
                    "{{\"operation\":\"config_push\",\"name\":\"pump{number}\",\
                     \"content\":\"{content}\"}}"
                );
                pushed = Some((format!("pump{number}.conf"), content));
                ("push", document, "SUCCEEDED", &[])
            }
            _ => {
                let reboot = step("reboot", "reboot.sh", "");
                let document = steps(&[roll("s0", 0), reboot, roll("s1", 0)]);
                ("reboot", document, "SUCCEEDED", &["s0", "s1"])
            }
        };
        let job = format!("{}-{number:03}-{kind}", device.thing);
        device.service.create_job(&device.thing, &job, &document)?;
        let expected = Expected {
            status,
            steps: ran,
            pushed,
        };
        self.expected.insert(job.clone(), expected);
        Ok(job)
    }

    /// How many there are, and what they do that can be counted.
    pub(super) fn counts(&self) -> (usize, usize) {
        let effects = self.expected.values().map(|expected| expected.steps.len());
        (self.expected.len(), effects.sum())
    }

    /// Waits until every job is over.
    pub(super) fn settle(&self, device: &mut Device<'_>, patience: Duration) -> Result<(), String> {
        for job in self.expected.keys() {
            let over = |device: &Device<'_>| {
                let status = device.status(job)?;
                Ok(!matches!(status.as_str(), "QUEUED" | "IN_PROGRESS"))
            };
            device.live_until(&format!("the end of {job}: lost"), patience, over)?;
        }
        Ok(())
    }

    /// Compares the service's books and the steps' own marks with what must be.
    pub(super) fn judge(&self, device: &Device<'_>) -> Result<(), String> {
        let mut marks: BTreeMap<String, u32> = BTreeMap::new();
        let effects = fs::read_to_string(device.path("effects"));
        for line in effects.map_err(|error| error.to_string())?.lines() {
            *marks.entry(line.to_owned()).or_default() += 1;
        }
        let mut faults = Vec::new();
        for (job, expected) in &self.expected {
            let execution = device.service.execution(&device.thing, job)?;
            faults.extend(execution.is(expected.status).err());
            for step in expected.steps {
                for mark in ["begins", "ends"] {
                    match marks.remove(&format!("{job} {step} {mark}")) {
                        Some(1) => {}
                        None => faults.push(format!("lost: {job} {step} never {mark}")),
                        Some(times) => {
                            faults.push(format!("doubled: {job} {step} {mark} {times} times"));
                        }
                    }
                }
            }
        }
        for (file, content) in self.expected.values().flat_map(|job| &job.pushed) {
            let found = fs::read_to_string(device.path(file)).unwrap_or_default();
            if found != *content {
                faults.push(format!("{file} holds {found:?}, not {content:?}"));
            }
        }
        faults.extend(marks.keys().map(|mark| format!("nobody asked for: {mark}")));
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("\n"))
        }
    }
}
