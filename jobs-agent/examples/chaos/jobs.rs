//! The jobs, and what must have come of each.

use std::{collections::BTreeMap, fs, time::Duration};

use serde_json::{Value, json};

use crate::{Dice, device::Device};

type Fault = Box<dyn std::error::Error>;

/// What must have come of a job.
struct Expected {
    status: &'static str,
    /// Names of the steps that must have run, each once.
    steps: Vec<String>,
}

/// All jobs so far.
#[derive(Default)]
pub(crate) struct Jobs {
    expected: BTreeMap<String, Expected>,
    pushed: Option<String>,
}

fn work(name: &str, dice: &mut Dice, exit: u8) -> Value {
    // From 10 to 400 ms.
    let hundredths = format!("{:02}", 1 + dice.below(40));
    json!({"action": {"name": name, "type": "runHandler",
        "input": {"handler": "work.sh", "args": [hundredths, exit.to_string()]}}})
}

fn reboot() -> Value {
    json!({"action": {"name": "reboot", "type": "runHandler", "input": {"handler": "reboot.sh"}}})
}

impl Jobs {
    /// One more job, of a kind that depends on its number.
    pub(crate) fn create(
        &mut self,
        device: &Device,
        dice: &mut Dice,
        number: u32,
    ) -> Result<(), Fault> {
        let names = |count: usize| {
            (0..count)
                .map(|step| format!("s{step}"))
                .collect::<Vec<_>>()
        };
        let (kind, document, status, steps) = match number % 6 {
            0 | 3 => {
                let steps = names(3);
                let work: Vec<Value> = steps.iter().map(|name| work(name, dice, 0)).collect();
                (
                    "steps",
                    json!({"version": "1.0", "steps": work}),
                    "SUCCEEDED",
                    steps,
                )
            }
            1 => {
                let steps = [
                    work("s0", dice, 0),
                    work("s1", dice, 1),
                    work("never", dice, 0),
                ];
                (
                    "fails",
                    json!({"version": "1.0", "steps": steps}),
                    "FAILED",
                    names(2),
                )
            }
            2 => {
                let document = json!({"version": "1.0", "steps": [work("../s0", dice, 0), {"action":
                    {"name": "x", "type": "runCommand", "input": {"command": "sh,-c,id"}}}]});
                ("refused", document, "REJECTED", Vec::new())
            }
            4 => {
                let content = format!("speed = {number}\n");
                let document =
                    json!({"operation": "config_push", "name": "pump", "content": content});
                self.pushed = Some(content);
                ("push", document, "SUCCEEDED", Vec::new())
            }
            _ => {
                let steps = [work("s0", dice, 0), reboot(), work("s1", dice, 0)];
                (
                    "reboot",
                    json!({"version": "1.0", "steps": steps}),
                    "SUCCEEDED",
                    names(2),
                )
            }
        };
        let job = format!("{number:03}-{kind}");
        device.create(&job, &document)?;
        self.expected.insert(job, Expected { status, steps });
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.expected.len()
    }

    pub(crate) fn effects(&self) -> usize {
        self.expected
            .values()
            .map(|expected| expected.steps.len())
            .sum()
    }

    /// Waits until every job is over.
    pub(crate) async fn settle(
        &self,
        device: &mut Device,
        patience: Duration,
    ) -> Result<(), Fault> {
        let began = std::time::Instant::now();
        loop {
            let open = |job: &&String| {
                matches!(device.status(job).as_str(), "QUEUED" | "IN_PROGRESS" | "")
            };
            let Some(job) = self.expected.keys().find(open) else {
                return Ok(());
            };
            if began.elapsed() > patience {
                return Err(format!("lost: {job} is still {}", device.status(job)).into());
            }
            device.live(Duration::from_millis(50)).await?;
        }
    }

    /// Compares the service's books and the steps' own marks with what must be.
    pub(crate) fn judge(&self, device: &Device) -> Result<(), Fault> {
        let mut marks: BTreeMap<String, u32> = BTreeMap::new();
        for line in fs::read_to_string(device.path("effects"))?.lines() {
            *marks.entry(line.to_owned()).or_default() += 1;
        }
        let mut faults = Vec::new();
        for (job, expected) in &self.expected {
            let status = device.status(job);
            if status != expected.status {
                let execution =
                    device
                        .emulator
                        .service()
                        .execution(crate::device::THING, job, None);
                let details = execution.map(|execution| json!(execution.status_details));
                faults.push(format!(
                    "{job} is {status}, not {}: {details:?}",
                    expected.status
                ));
            }
            for (step, mark) in expected
                .steps
                .iter()
                .flat_map(|step| [(step, "begins"), (step, "ends")])
            {
                match marks.remove(&format!("{job} {step} {mark}")) {
                    Some(1) => {}
                    None => faults.push(format!("lost: {job} {step} never {mark}")),
                    Some(times) => {
                        faults.push(format!("doubled: {job} {step} {mark} {times} times"));
                    }
                }
            }
        }
        faults.extend(marks.keys().map(|mark| format!("nobody asked for: {mark}")));
        let pushed = fs::read_to_string(device.path("pump.conf")).ok();
        if let Some(content) = &self.pushed
            && pushed.as_ref() != Some(content)
        {
            faults.push(format!(
                "the file pushed last is {pushed:?}, not {content:?}"
            ));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("\n").into())
        }
    }
}
