//! One board, one service, one network, one clock: the emulator's model in virtual time behind a
//! scripted link, a store and a board.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

pub mod link;
pub mod store;
pub mod tcp;
pub mod work;

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use agent_embassy::{
    AgentResources, BOOT_SLOT, Board, Boot, BootId, Config, JobHandler, Parts, RX_LEN_MIN,
    ResetFailed, Runner, TX_LEN_MIN, ThingName,
};
use embassy_time::{Duration, Instant, MockDriver};
use jobs_emulator::model::{ExecutionStatus, Message, Service, Settings};
use serde_json::Value;

pub use link::ScriptedLink;
pub use store::ScriptedStore;
pub use work::Work;

pub const THING: &str = "pump-17";

/// Where the clock of the service stands at the start (epoch, milliseconds).
const EPOCH_MS: u64 = 1_700_000_000_000;

/// How far time goes while nobody has anything to do, milliseconds.
const STEP_MS: u64 = 10;

/// More time than any story takes, milliseconds (two hours).
const STORY_MAX_MS: u64 = 7_200_000;

/// Virtual time is one for the whole process.
static TIME: Mutex<()> = Mutex::new(());

/// What all parts of a world see.
pub struct State {
    pub service: Service,
    pub net: link::Net,
    pub store: store::Medium,
    /// What the handlers did, in order.
    pub log: Vec<String>,
    /// The board is going down.
    pub reset: bool,
    pub boots: u64,
    pub refuse_reset: bool,
}

pub type Shared = Rc<RefCell<State>>;

/// The world of one test.
pub struct World {
    pub state: Shared,
    pub config: Config<'static>,
    starts: u64,
    _time: MutexGuard<'static, ()>,
}

/// How a life of the board ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The condition came true.
    Reached,
    /// The future was dropped after so many polls.
    Cut,
    /// The board was reset.
    Reset,
}

/// The milliseconds of the service.
pub fn now_ms() -> u64 {
    EPOCH_MS + Instant::now().as_millis()
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Switch(Shared);

impl Board for Switch {
    async fn reset(&mut self) -> ResetFailed {
        if self.0.borrow().refuse_reset {
            return ResetFailed;
        }
        self.0.borrow_mut().reset = true;
        std::future::pending().await
    }
}

impl World {
    pub fn new() -> Self {
        let time = TIME.lock().unwrap_or_else(PoisonError::into_inner);
        MockDriver::get().reset();
        let mut service = Service::new(Settings::default());
        service.create_thing(now_ms(), THING).unwrap();
        Self {
            state: Rc::new(RefCell::new(State {
                service,
                net: link::Net::default(),
                store: store::Medium::default(),
                log: Vec::new(),
                reset: false,
                boots: 1,
                refuse_reset: false,
            })),
            config: Config::new(ThingName::new(THING).unwrap()),
            starts: 0,
            _time: time,
        }
    }

    /// Does something at the service, and sends what it causes.
    pub fn service(&self, act: impl FnOnce(&mut Service, u64) -> Vec<Message>) {
        let messages = act(&mut self.state.borrow_mut().service, now_ms());
        self.state.borrow_mut().net.send(messages);
    }

    pub fn create_job(&self, id: &str, document: &Value) {
        self.service(|service, now| service.create_job(now, id, &[THING], document).unwrap());
    }

    pub fn status(&self, id: &str) -> ExecutionStatus {
        let state = self.state.borrow();
        state.service.execution(THING, id, None).unwrap().status
    }

    /// One statusDetail of a job.
    pub fn detail(&self, id: &str, key: &str) -> Option<String> {
        let state = self.state.borrow();
        let execution = state.service.execution(THING, id, None).unwrap();
        execution.status_details?.get(key).cloned()
    }

    pub fn log(&self) -> Vec<String> {
        self.state.borrow().log.clone()
    }

    pub fn published(&self) -> Vec<String> {
        self.state.borrow().net.published.clone()
    }

    /// Whether no job has a record left.
    pub fn no_records(&self) -> bool {
        let state = self.state.borrow();
        state.store.records.keys().all(|slot| *slot == BOOT_SLOT)
    }

    /// One life of the board with [`Work`] for its handlers.
    pub fn live<const JOBS: usize>(
        &mut self,
        cut_after: Option<usize>,
        until: impl FnMut(&Self) -> bool,
    ) -> End {
        let work = Work::new(Rc::clone(&self.state));
        self.live_with::<JOBS, _>(work, cut_after, until)
    }

    /// One life of the board: runs until the condition, a cut after so many polls, or a reset.
    pub fn live_with<const JOBS: usize, H: JobHandler>(
        &mut self,
        handlers: H,
        cut_after: Option<usize>,
        mut until: impl FnMut(&Self) -> bool,
    ) -> End {
        self.starts += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.state.borrow().boots.to_le_bytes());
        let boot = Boot {
            id: BootId(id),
            entropy: self.starts,
        };
        let mut resources = Box::new(AgentResources::<JOBS, RX_LEN_MIN, TX_LEN_MIN>::new());
        let config = self.config;
        let parts = Parts {
            link: ScriptedLink::new(Rc::clone(&self.state)),
            store: ScriptedStore::new(Rc::clone(&self.state)),
            board: Switch(Rc::clone(&self.state)),
            handlers,
        };
        let mut runner = Runner::new(resources.lend().room, &config, boot, parts);
        let mut run = pin!(runner.run());
        let end = self.turn(run.as_mut(), cut_after, &mut until);
        self.state.borrow_mut().net.hang_up();
        end
    }

    fn turn<F: Future>(
        &self,
        mut run: Pin<&mut F>,
        cut_after: Option<usize>,
        until: &mut impl FnMut(&Self) -> bool,
    ) -> End {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut cx = Context::from_waker(&waker);
        let mut polls = 0;
        loop {
            if until(self) {
                return End::Reached;
            }
            if std::mem::take(&mut self.state.borrow_mut().reset) {
                self.state.borrow_mut().boots += 1;
                return End::Reset;
            }
            if flag.0.swap(false, Ordering::SeqCst) {
                if cut_after == Some(polls) {
                    return End::Cut;
                }
                polls += 1;
                if run.as_mut().poll(&mut cx).is_ready() {
                    panic!("an agent runs for ever");
                }
                continue;
            }
            MockDriver::get().advance(Duration::from_millis(STEP_MS));
            assert!(
                Instant::now().as_millis() < STORY_MAX_MS,
                "stuck: {:?} {:?}",
                self.log(),
                self.published()
            );
            self.service(|service, now| service.advance(now));
        }
    }
}

/// Lets one poll pass: a place where a cut can fall.
pub async fn one_poll() {
    embassy_futures::yield_now().await;
}
