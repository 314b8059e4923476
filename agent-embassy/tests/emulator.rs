//! The whole adapter over MQTT 5 on TCP, against the emulator and with the handlers that the
//! gateway uses.

mod support;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use agent_embassy::{
    AgentResources, Board, Config, Connect, JobHandler, MqttLink, MqttOptions, NoRoute, Parts,
    RamStore, ResetFailed, Runner, TX_LEN_MIN, ThingName, start_boot,
};
use embassy_futures::select::{Either, select};
use handlers::{Files, Reboot, RelativePath, WriteFile, operation};
use jobs_emulator::model::ExecutionStatus::{self, InProgress, Rejected, Succeeded};
use jobs_emulator::{Cut, Emulator, Faults, Options, PacketKind};
use serde_json::{Value, json};
use support::tcp::{Line, Tcp, let_time_pass};
use support::{THING, Work};

/// Real time that no story takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Names and contents, in the order written.
type Written = Rc<RefCell<Vec<(String, Vec<u8>)>>>;

struct Disk(Written);

impl Files for Disk {
    type Error = Infallible;

    async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().push((path.to_string(), content.into()));
        Ok(())
    }
}

struct Switch<'s>(&'s Cell<bool>);

impl Board for Switch<'_> {
    async fn reset(&mut self) -> ResetFailed {
        self.0.set(true);
        std::future::pending().await
    }
}

/// A board on a real broker.
struct Lab {
    emulator: Emulator,
    store: RamStore<3>,
    reset: Cell<bool>,
    config: Config<'static>,
}

impl Lab {
    async fn new() -> Self {
        let_time_pass();
        let emulator = Emulator::start(Options::default()).await.unwrap();
        emulator
            .with_service(|service, now| service.create_thing(now, THING))
            .unwrap();
        Self {
            emulator,
            store: RamStore::new(),
            reset: Cell::new(false),
            config: Config::new(ThingName::new(THING).unwrap()),
        }
    }

    fn create_job(&self, id: &str, document: &Value) {
        self.emulator
            .with_service(|service, now| service.create_job(now, id, &[THING], document))
            .unwrap();
    }

    fn status(&self, id: &str) -> Option<ExecutionStatus> {
        let service = self.emulator.service();
        service.execution(THING, id, None).map(|found| found.status)
    }

    /// One boot of the board on TCP, until the condition or a reset.
    async fn boot<const RX: usize>(
        &mut self,
        handlers: impl JobHandler,
        until: impl AsyncFn(&Emulator, &Cell<bool>),
    ) {
        let tcp = Tcp(self.emulator.mqtt_addr());
        self.boot_over::<RX>(tcp, handlers, until).await;
    }

    /// The same over any stream.
    async fn boot_over<const RX: usize>(
        &mut self,
        stream: impl Connect,
        handlers: impl JobHandler,
        until: impl AsyncFn(&Emulator, &Cell<bool>),
    ) {
        let boot = start_boot(&mut self.store, 7).await.unwrap();
        let config = self.config;
        let mut resources = Box::new(AgentResources::<1, RX, TX_LEN_MIN>::new());
        let lent = resources.lend();
        let parts = Parts {
            link: MqttLink::new(lent.buffers, &MqttOptions::new(THING), stream).unwrap(),
            store: &mut self.store,
            board: Switch(&self.reset),
            handlers,
        };
        let mut runner = Runner::new(lent.room, &config, boot, parts);
        let reached = until(&self.emulator, &self.reset);
        let watched = tokio::time::timeout(PATIENCE, select(runner.run(), reached));
        match watched.await {
            Ok(Either::Second(())) => {}
            Ok(Either::First(Err(error))) => panic!("{error:?}"),
            Err(_) => panic!("stuck: {:?}", self.emulator.trace().entries()),
        }
    }
}

fn status(emulator: &Emulator, id: &str) -> Option<ExecutionStatus> {
    let service = emulator.service();
    service.execution(THING, id, None).map(|found| found.status)
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(LOOK).await;
    }
}

fn asked_next(emulator: &Emulator) -> bool {
    let next = |topic: &String| topic.ends_with("/$next/get/accepted");
    let trace = emulator.trace();
    trace.count(|entry| entry.topic.as_ref().is_some_and(next)) > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_over_a_line_that_hands_on_a_few_bytes_at_a_time() {
    let mut lab = Lab::new().await;
    let files = Written::default();
    let chain = NoRoute.on(
        operation::WRITE_FILE,
        WriteFile::<_, 2_048>::new(Disk(Rc::clone(&files))),
    );
    let content = "0123456789abcdef".repeat(128);
    let document = json!({"operation": "write_file", "path": "a.bin", "content": content});
    lab.create_job("wide", &document);
    let line = Line(lab.emulator.mqtt_addr());
    lab.boot_over::<4096>(line, chain, async |emulator, _| {
        until(|| status(emulator, "wide") == Some(Succeeded)).await;
    })
    .await;
    let written = files.borrow();
    assert_eq!(*written, [("a.bin".into(), content.into_bytes())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_for_two_publishes_over_mqtt_5() {
    let mut lab = Lab::new().await;
    let files = Written::default();
    let chain = NoRoute.on(operation::REBOOT, Reboot).on(
        operation::WRITE_FILE,
        WriteFile::<_>::new(Disk(Rc::clone(&files))),
    );
    lab.boot::<4096>(chain, async |emulator, _| {
        until(|| asked_next(emulator)).await;
        let before = emulator.trace().publishes_from(THING);
        let document = json!({"operation": "write_file", "path": "a.txt", "content": "Hello"});
        emulator
            .with_service(|service, now| service.create_job(now, "j1", &[THING], &document))
            .unwrap();
        until(|| status(emulator, "j1") == Some(Succeeded)).await;
        assert_eq!(emulator.trace().publishes_from(THING) - before, 2);
    })
    .await;
    assert_eq!(*files.borrow(), [("a.txt".to_owned(), b"Hello".to_vec())]);
    let subscribes = lab
        .emulator
        .trace()
        .count(|entry| entry.kind == PacketKind::Subscribe);
    assert_eq!(subscribes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_job_goes_over_a_reset_of_the_board() {
    let mut lab = Lab::new().await;
    lab.create_job("j1", &json!({"operation": "reboot"}));
    let chain = || NoRoute.on(operation::REBOOT, Reboot);
    lab.boot::<4096>(chain(), async |_, reset| until(|| reset.get()).await)
        .await;
    assert_eq!(lab.status("j1"), Some(InProgress));
    lab.boot::<4096>(chain(), async |emulator, _| {
        until(|| status(emulator, "j1") == Some(Succeeded)).await;
    })
    .await;
}

/// A job during which connections are cut in this way.
async fn with_cuts(cuts: Vec<Option<Cut>>) {
    let mut lab = Lab::new().await;
    lab.emulator.set_faults(Faults {
        cuts,
        ..Faults::default()
    });
    lab.create_job("j1", &json!({"operation": "steps", "steps": 1}));
    let log = Rc::new(RefCell::new(Vec::new()));
    lab.boot::<4096>(Work::logging(Rc::clone(&log)), async |emulator, _| {
        until(|| status(emulator, "j1") == Some(Succeeded)).await;
    })
    .await;
    assert_eq!(*log.borrow(), ["j1 starts", "j1 saved 1", "j1 done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_before_a_request_is_taken_delay_and_lose_nothing() {
    // The question, the start, the outcome.
    let cut = Some(Cut::BeforeTaken);
    with_cuts(vec![cut, None, cut, None, cut]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_before_a_puback_make_no_work_twice() {
    let cut = Some(Cut::BeforePuback);
    with_cuts(vec![cut, None, cut, None, cut]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_between_puback_and_reply_make_no_work_twice() {
    let cut = Some(Cut::AfterPuback);
    with_cuts(vec![cut, None, cut, None, cut]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_resumed_and_a_lost_one_made_anew() {
    let mut lab = Lab::new().await;
    let log = Rc::new(RefCell::new(Vec::new()));
    lab.boot::<4096>(Work::logging(log), async |emulator, _| {
        until(|| asked_next(emulator)).await;
        for (job, lose_sessions) in [("kept", 0), ("lost", 1)] {
            emulator.set_faults(Faults {
                lose_sessions,
                ..Faults::default()
            });
            assert!(emulator.disconnect(THING));
            let document = json!({"operation": "steps", "steps": 0});
            emulator
                .with_service(|service, now| service.create_job(now, job, &[THING], &document))
                .unwrap();
            until(|| status(emulator, job) == Some(Succeeded)).await;
        }
    })
    .await;
}

/// A job with a document of about this size ends with this status on a board with `RX` bytes.
async fn with_document<const RX: usize>(bytes: usize, wanted: ExecutionStatus) -> Lab {
    let mut lab = Lab::new().await;
    // The default waits for ten seconds, three times.
    lab.config.reply_timeout_ms = 1_000;
    lab.config.backoff.base_ms = 100;
    let log = Rc::new(RefCell::new(Vec::new()));
    lab.boot::<RX>(Work::logging(log), async |emulator, _| {
        until(|| asked_next(emulator)).await;
        let padding = "x".repeat(bytes);
        let large = json!({"operation": "steps", "steps": 0, "padding": padding});
        let small = json!({"operation": "steps", "steps": 0});
        for (id, document) in [("large", large), ("small", small)] {
            emulator
                .with_service(|service, now| service.create_job(now, id, &[THING], &document))
                .unwrap();
        }
        until(|| status(emulator, "small") == Some(Succeeded)).await;
    })
    .await;
    assert_eq!(lab.status("large"), Some(wanted));
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_32_kib_is_taken_by_a_board_with_room_for_it() {
    // The largest document of AWS, its envelope, and little else.
    with_document::<33_792>(32_700, Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_do_not_fit_are_rejected_with_a_reason_and_hold_up_nothing() {
    for bytes in [4_096, 32_700] {
        let lab = with_document::<4_096>(bytes, Rejected).await;
        let service = lab.emulator.service();
        let execution = service.execution(THING, "large", None).unwrap();
        let reason = execution.status_details.unwrap()["reason"].clone();
        assert_eq!(
            reason,
            "job document does not fit this device's receive buffer"
        );
    }
}
