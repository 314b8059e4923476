//! A device: a flash that outlives each start of QEMU, and everything its console ever said.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::rig::process::{Process, bound, until};

/// Bytes of the machine's PSRAM, the whole of which QEMU maps from a file.
const PSRAM_LEN: u64 = 16 << 20;

/// Bytes of it that the board uses as flash.
const FLASH_LEN: usize = 64 << 10;

/// Status with which the firmware leaves QEMU in place of a power cut.
pub(super) const STATUS_CUT: i32 = 42;

/// A board and the code for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// As rustc names it.
    pub(super) triple: &'static str,
    /// As QEMU names it.
    pub(super) machine: &'static str,
}

/// Both cores: ARMv6-M code runs on the Cortex-M3 with a trap for unaligned access.
pub(super) const TARGETS: [Target; 2] = [
    Target {
        triple: "thumbv6m-none-eabi",
        machine: "mps2-an385",
    },
    Target {
        triple: "thumbv7em-none-eabi",
        machine: "mps2-an386",
    },
];

/// A device between its starts.
pub(super) struct Device {
    /// Its name at the service.
    pub(super) thing: String,
    target: Target,
    firmware: PathBuf,
    flash: PathBuf,
    broker: SocketAddr,
    bridged: bool,
    word: Option<String>,
    starts: u32,
    console: Arc<Mutex<Vec<String>>>,
}

/// A started device; dropped, it is killed.
pub(super) struct Running {
    process: Process,
    reader: Option<JoinHandle<()>>,
}

impl Device {
    /// A device fresh from the factory: its flash is erased.
    pub(super) fn new(
        target: Target,
        firmware: &Path,
        folder: &Path,
        thing: &str,
        broker: SocketAddr,
    ) -> Result<Self, String> {
        let flash = folder.join(format!("{thing}.flash"));
        let made = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&flash)?;
            file.write_all(&vec![0xFF; FLASH_LEN])?;
            file.set_len(PSRAM_LEN)
        };
        made().map_err(|error| format!("{}: {error}", flash.display()))?;
        Ok(Self {
            thing: thing.into(),
            target,
            firmware: firmware.into(),
            flash,
            broker,
            bridged: false,
            word: None,
            starts: 0,
            console: Arc::default(),
        })
    }

    /// The same behind another broker: the agent subscribes to its replies.
    pub(super) fn bridged(mut self) -> Self {
        self.bridged = true;
        self
    }

    /// Gives it the flash that another device has now.
    pub(super) fn age_like(&self, other: &Self) -> Result<(), String> {
        let copied = fs::copy(&other.flash, &self.flash);
        copied
            .map(|_| ())
            .map_err(|error| format!("{}: {error}", self.flash.display()))
    }

    /// The same with one more word on its command line.
    pub(super) fn with(mut self, word: String) -> Self {
        self.word = Some(word);
        self
    }

    /// Switches it on; with `cut`, the power fails after so many units of flash activity.
    pub(super) fn start(&mut self, cut: Option<u32>) -> Result<Running, String> {
        self.starts += 1;
        let memory = format!(
            "memory-backend-file,id=psram,size=16M,mem-path={},share=on",
            self.flash.display()
        );
        let mut words = vec![
            String::from("fw"),
            format!("thing={}", self.thing),
            format!("port={}", self.broker.port()),
            format!("seed={}", self.starts),
            format!("bridged={}", u8::from(self.bridged)),
        ];
        words.extend(self.word.clone());
        words.extend(cut.map(|units| format!("cut={units}")));
        let words: String = words.iter().map(|word| format!(",arg={word}")).collect();
        let mut command = bound("qemu-system-arm");
        command
            .args([
                "-M",
                &format!("{},memory-backend=psram", self.target.machine),
            ])
            .args(["-object", &memory])
            .args(["-display", "none", "-monitor", "none", "-serial", "null"])
            .args(["-nic", "user,model=lan9118"])
            .arg("-semihosting-config")
            .arg(format!("enable=on,target=native{words}"))
            .arg("-kernel")
            .arg(&self.firmware)
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let stdout = process.child().stdout.take().ok_or("no console")?;
        let console = Arc::clone(&self.console);
        let reader = std::thread::spawn(move || listen(stdout, &console));
        Ok(Running {
            process,
            reader: Some(reader),
        })
    }

    /// Everything the console said so far, over all starts.
    pub(super) fn console(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.console)
    }

    /// How often the console said a line that begins so.
    pub(super) fn count(&self, start: &str) -> usize {
        let console = self.console();
        console
            .iter()
            .filter(|line| line.starts_with(start))
            .count()
    }

    /// The number behind the last line that begins so.
    pub(super) fn number_behind(&self, start: &str) -> Option<u32> {
        let console = self.console();
        let mut numbers = console.iter().filter_map(|line| line.strip_prefix(start));
        numbers.next_back()?.parse().ok()
    }

    /// Waits for a line that begins so, for the `nth` time.
    pub(super) fn await_line(&self, start: &str, nth: usize, wait: Duration) -> Result<(), String> {
        let found = until(Instant::now() + wait, || {
            (self.count(start) >= nth).then_some(())
        });
        found.ok_or_else(|| format!("{}: no {start:?} on the console", self.thing))
    }

    /// An error unless the firmware is free of faults of its own.
    pub(super) fn is_sound(&self) -> Result<(), String> {
        let console = self.console();
        let bad = |line: &&String| {
            ["PANIC", "HARDFAULT", "END"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        match console.iter().find(bad) {
            Some(line) => Err(format!("{}: {line}", self.thing)),
            None => Ok(()),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.flash);
    }
}

impl Running {
    /// SIGKILL: a power cut between two stores of the processor. What was printed is kept.
    pub(super) fn kill(mut self) {
        self.process.kill();
        self.drain();
    }

    /// The status with which QEMU ends by itself, if it does in time; a loss of patience kills.
    pub(super) fn ended(&mut self, wait: Duration) -> Option<i32> {
        let status = self.process.ended(Instant::now() + wait)?;
        self.drain();
        Some(status)
    }

    fn drain(&mut self) {
        if let Some(reader) = self.reader.take() {
            // It ends with the pipe; it does not panic.
            let _ = reader.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill();
        self.drain();
    }
}

/// Keeps whole lines: the last one of a killed machine may be torn, and then it was not said.
fn listen(stdout: impl Read, console: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        if line.pop() == Some(b'\n') {
            let text = String::from_utf8_lossy(&line).into_owned();
            if std::env::var_os("XTASK_QEMU_CONSOLE").is_some() {
                eprintln!("{text}");
            }
            lock(console).push(text);
        }
        line.clear();
    }
}

fn lock(console: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    console.lock().unwrap_or_else(PoisonError::into_inner)
}
