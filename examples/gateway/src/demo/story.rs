//! The jobs, one after the other, and what has to come of each.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    DemoError, THING,
    checks::Checks,
    control::{Control, ControlError, Execution},
    device::Device,
    firmware_server::{FirmwareServer, checksum},
    table::Row,
    timeline::{Source, Timeline},
};

/// The version that the device is told to find unfit.
pub(crate) const UNFIT_VERSION: &str = "1.3.0";

/// Length of an image: eight checkpoints and a rest that fills no block.
const IMAGE_LEN: usize = 2 * 1_024 * 1_024 + 12_345;

/// The text of the first job.
const HELLO: &str = "Hello from AWS IoT Device Management Jobs!";

/// How often the operator looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(40);

/// How long any one job may take. Only a hang gets there.
const JOB_LIMIT: Duration = Duration::from_secs(60);

/// The people and machines of the story.
#[derive(Debug)]
pub(crate) struct Story {
    timeline: Timeline,
    control: Control,
    files: FirmwareServer,
    device: Device,
    target: String,
}

impl Story {
    /// Everybody in place.
    pub(crate) fn new(
        timeline: Timeline,
        control: Control,
        files: FirmwareServer,
        device: Device,
        target: String,
    ) -> Self {
        Self {
            timeline,
            control,
            files,
            device,
            target,
        }
    }

    /// Tells the story; a line for each job.
    ///
    /// # Errors
    /// [`DemoError`]: the story hangs, or somebody died out of turn.
    pub(crate) async fn tell(&mut self) -> Result<Vec<Row>, DemoError> {
        Ok(vec![
            self.write_file().await?,
            self.write_outside().await?,
            self.update_with_a_kill().await?,
            self.wrong_checksum().await?,
            self.unfit_version().await?,
            self.unknown_operation().await?,
            self.cancel_while_it_runs().await?,
            self.still_alive().await?,
        ])
    }

    /// Stops the agent in good order.
    ///
    /// # Errors
    /// It does not stop.
    pub(crate) async fn end(self) -> Result<(), DemoError> {
        Ok(self.device.stop().await?)
    }

    async fn write_file(&mut self) -> Result<Row, DemoError> {
        let document = json!({
            "operation": "write_file", "path": "job-output.txt", "content": HELLO,
        });
        let ended = self.perform("1-write-file", &document).await?;
        let mut checks = Checks::default();
        checks.file(&self.device.sandbox().join("job-output.txt"), Some(HELLO));
        Ok(row("1-write-file", "SUCCEEDED", ended, checks))
    }

    async fn write_outside(&mut self) -> Result<Row, DemoError> {
        let document = json!({
            "operation": "write_file", "path": "../escaped.txt", "content": "never written",
        });
        let ended = self.perform("1b-write-outside", &document).await?;
        let mut checks = Checks::default();
        checks.detail(&ended.details, "reason", |why| why.contains("`path`"));
        checks.file(&self.device.sandbox().join("../escaped.txt"), None);
        Ok(row("1b-write-outside", "REJECTED", ended, checks))
    }

    async fn update_with_a_kill(&mut self) -> Result<Row, DemoError> {
        let job = "2-update";
        let (name, image) = ("firmware-v1.1.0.bin", image(11));
        let (url, sum) = self.files.offer(name, image);
        self.create(job, &update("1.1.0", &url, &sum)).await?;

        let (files, half) = (&self.files, IMAGE_LEN as u64 / 2);
        let followed = follow(self.control, &self.timeline, job);
        let halfway = async {
            while files.sent(name) < half {
                sleep(Duration::from_millis(2)).await;
            }
        };
        // The operator goes on watching while the file server counts.
        let early = self.device.until("half of the image", JOB_LIMIT, async {
            tokio::select! {
                ended = followed => Some(ended),
                () = halfway => None,
            }
        });
        if let Some(ended) = early.await? {
            let mut checks = Checks::default();
            checks.holds(false, "the job ended before half of the image was sent");
            return Ok(row(job, "SUCCEEDED", ended?, checks));
        }
        self.device.kill_and_restart().await?;
        let sent_before = self.files.sent(name);
        self.timeline.event(
            Source::Files,
            format_args!("had sent {sent_before} of {IMAGE_LEN} bytes at the kill"),
        );
        let ended = self.follow(job).await?;
        let served = self.files.served(name);
        for (index, served) in served.iter().enumerate() {
            self.timeline.event(
                Source::Files,
                format_args!(
                    "request {}: from byte {}, {} bytes",
                    index + 1,
                    served.start,
                    served.sent
                ),
            );
        }
        let mut checks = Checks::default();
        checks.resumed(&served, sent_before, IMAGE_LEN as u64);
        checks.detail(&ended.details, "version", |version| version == "1.1.0");
        checks.running(&self.device.firmware(), "1.1.0");
        checks.holds(
            self.device.boots() == 2,
            "the update took other than one reboot",
        );
        Ok(row(job, "SUCCEEDED", ended, checks))
    }

    async fn wrong_checksum(&mut self) -> Result<Row, DemoError> {
        let boots = self.device.boots();
        let (url, _) = self.files.offer("firmware-v1.2.0.bin", image(12));
        let document = update("1.2.0", &url, &checksum(b"what it should have been"));
        let ended = self.perform("3-wrong-checksum", &document).await?;
        let mut checks = Checks::default();
        checks.detail(&ended.details, "reason", |why| {
            why.starts_with("checksum mismatch: expected ") && why.contains(", got ")
        });
        checks.detail(&ended.details, "version", |version| version == "1.1.0");
        checks.running(&self.device.firmware(), "1.1.0");
        checks.holds(self.device.boots() == boots, "there was a reboot");
        Ok(row("3-wrong-checksum", "FAILED", ended, checks))
    }

    async fn unfit_version(&mut self) -> Result<Row, DemoError> {
        let boots = self.device.boots();
        let (url, sum) = self.files.offer("firmware-v1.3.0.bin", image(13));
        let ended = self
            .perform("3b-unfit", &update(UNFIT_VERSION, &url, &sum))
            .await?;
        let mut checks = Checks::default();
        checks.detail(&ended.details, "reason", |why| {
            why.contains("failed its self-test")
        });
        checks.detail(&ended.details, "version", |version| version == "1.1.0");
        checks.running(&self.device.firmware(), "1.1.0");
        checks.holds(
            self.device.boots() == boots + 2,
            "there and back takes two reboots",
        );
        Ok(row("3b-unfit", "FAILED", ended, checks))
    }

    async fn unknown_operation(&mut self) -> Result<Row, DemoError> {
        let ended = self
            .perform("4-unknown", &json!({ "operation": "selfDestruct" }))
            .await?;
        let mut checks = Checks::default();
        checks.detail(&ended.details, "reason", |why| !why.is_empty());
        Ok(row("4-unknown", "REJECTED", ended, checks))
    }

    async fn cancel_while_it_runs(&mut self) -> Result<Row, DemoError> {
        let job = "5-cancel";
        self.create(job, &json!({ "operation": "diagnostics", "seconds": 600 }))
            .await?;
        let control = self.control;
        let runs = async {
            // Its first measurement has reached the service: the handler is at work.
            while !control
                .execution(THING, job)
                .await?
                .details
                .contains_key("latest")
            {
                sleep(LOOK_INTERVAL).await;
            }
            Ok::<_, ControlError>(())
        };
        self.device
            .until("the first measurement", JOB_LIMIT, runs)
            .await??;
        self.timeline.event(
            Source::Service,
            format_args!("{job}: IN_PROGRESS, with a measurement"),
        );
        self.control.force_cancel(THING, job).await?;
        self.timeline
            .event(Source::Operator, format_args!("cancels {job} by force"));
        let ended = self.follow(job).await?;
        let stopped = self.device.has_said(&format!("{job}: diagnostics stopped"));
        let stopped = self
            .device
            .until("the handler to stop", JOB_LIMIT, stopped)
            .await?;
        let mut checks = Checks::default();
        // A describe of an execution that is over names no status (AWS IoT developer guide,
        // jobs-api, TerminalStateReached), so the agent may know no more than that it is over.
        let told = stopped.ends_with(": Canceled") || stopped.ends_with(": Over");
        checks.holds(told, "the handler stopped for another reason");
        Ok(row(job, "CANCELED", ended, checks))
    }

    async fn still_alive(&mut self) -> Result<Row, DemoError> {
        let document =
            json!({ "operation": "write_file", "path": "last/words.txt", "content": "." });
        let ended = self.perform("6-next-job", &document).await?;
        let mut checks = Checks::default();
        checks.file(&self.device.sandbox().join("last/words.txt"), Some("."));
        Ok(row("6-next-job", "SUCCEEDED", ended, checks))
    }

    /// Creates a job and waits for its end.
    async fn perform(&mut self, job: &str, document: &Value) -> Result<Execution, DemoError> {
        self.create(job, document).await?;
        self.follow(job).await
    }

    async fn create(&self, job: &str, document: &Value) -> Result<(), DemoError> {
        self.timeline
            .event(Source::Operator, format_args!("creates {job}: {document}"));
        Ok(self.control.create_job(job, &self.target, document).await?)
    }

    async fn follow(&mut self, job: &str) -> Result<Execution, DemoError> {
        let followed = follow(self.control, &self.timeline, job);
        Ok(self
            .device
            .until(&format!("the end of {job}"), JOB_LIMIT, followed)
            .await??)
    }
}

/// Shows an execution's changes until it is over.
async fn follow(
    control: Control,
    timeline: &Timeline,
    job: &str,
) -> Result<Execution, ControlError> {
    let mut last = Execution::default();
    loop {
        let now = control.execution(THING, job).await?;
        if now != last {
            let details: Vec<_> = now
                .details
                .iter()
                .map(|(key, value)| format!(" {key}={value}"))
                .collect();
            let details = details.concat();
            timeline.event(
                Source::Service,
                format_args!("{job}: {}{details}", now.status),
            );
            last = now;
        }
        if last.is_over() {
            return Ok(last);
        }
        sleep(LOOK_INTERVAL).await;
    }
}

fn row(job: &str, expected: &'static str, ended: Execution, checks: Checks) -> Row {
    Row {
        job: job.to_owned(),
        expected,
        got: ended.status,
        details: ended.details,
        faults: checks.into_faults(),
    }
}

fn update(version: &str, url: &str, checksum: &str) -> Value {
    json!({
        "operation": "firmwareUpdate",
        "firmwareVersion": version,
        "downloadUrl": url,
        "checksum": checksum,
        "rebootRequired": true,
        "timeout": 300,
    })
}

/// Bytes that do not repeat, so that none can stand for others.
fn image(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    let mut image = Vec::with_capacity(IMAGE_LEN + 8);
    while image.len() < IMAGE_LEN {
        image.extend_from_slice(&next());
    }
    image.truncate(IMAGE_LEN);
    image
}
