//! A deterministic world for the agent core: virtual clock, lossy link, tearing store, a board
//! that reboots or only restarts, scripted handlers, and an observer that checks the promises.
//!
//! It drives the very crates that ship: [`jobs_agent_core::Agent`] on one side, the emulator's
//! [`Service`](jobs_emulator::model::Service) on the other. Everything is plain data and one
//! thread: the same scenario gives the same run, and a crash can be placed after any effect.
//!
//! ```
//! use jobs_testkit::{Scenario, Script, Step, World};
//!
//! let scenario = Scenario::new("one job")
//!     .script("fill", Script::new([Step::Effect("opened"), Step::Succeed]))
//!     .job(0, "job-1", "fill");
//! let report = World::<1>::play(&scenario, None);
//! assert_eq!(report.status("job-1"), Some("SUCCEEDED"));
//! assert_eq!(report.effects("job-1", "opened"), 1);
//! ```
#![forbid(unsafe_code)]

mod board;
pub mod explore;
mod link;
pub mod model_world;
mod observer;
mod places;
mod scenario;
mod script;
pub mod sim;
mod store;
pub mod stories;
mod words;
mod world;

pub use board::{Board, Found, Restart};
pub use link::{Link, LinkFault};
pub use observer::{Observer, Report};
pub use places::Places;
pub use scenario::{Action, Scenario};
pub use script::{Script, Step};
pub use store::{Medium, Store, Tear, Written};
pub use world::{Crash, Moment, World};
