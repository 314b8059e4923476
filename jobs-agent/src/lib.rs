#![forbid(unsafe_code)]
//! The parts of the program `jobs-agent`: an AWS IoT Jobs agent for Linux that runs the documents
//! of the AWS IoT Device Client.
//!
//! * [`document`]: reading both schemas of such documents;
//! * [`policy`]: what the operator of the device allows, and what a step comes down to under it;
//! * [`supervise`]: one step as a process tree under a supervisor that outlives the agent;
//! * [`step`]: the agent's side of that;
//! * [`download`]: files by HTTP, into folders that cannot be left;
//! * [`push`]: configuration files, with a check and a way back;
//! * [`certificates`]: a new certificate for the device, and [`identity`], where its pairs are;
//! * [`logs`]: the end of logs, to presigned URLs;
//! * [`update`]: files that are proven, installed, and kept if the device is well;
//! * [`signed`]: documents that are done only with a good signature;
//! * [`turns`]: one job at a time for each file and target;
//! * [`journal`]: what happened lately, on the disk;
//! * [`metrics`]: counters for Prometheus;
//! * [`logging`]: what is logged;
//! * [`config`], [`handlers`], [`doctor`]: what the program puts together;
//! * [`runner`]: all of it as a [`JobHandler`](jobs_agent_core::JobHandler).

pub mod certificates;
pub mod config;
pub mod doctor;
pub mod document;
pub mod download;
pub mod durable;
pub mod handlers;
mod hook;
pub mod http;
pub mod identity;
pub mod journal;
pub mod logging;
pub mod logs;
pub mod metrics;
pub mod policy;
pub mod push;
pub mod runner;
mod saved;
pub mod signed;
pub mod step;
pub mod supervise;
pub mod turns;
pub mod update;
