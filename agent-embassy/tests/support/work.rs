//! A handler that does what its document says, and writes down what it did.
//!
//! `{"operation": "steps", "steps": 3}`: a checkpoint a second. `"hang"`: works until told to stop,
//! and obeys if `"obeys": true`. `"reboot"`: needs a reset. `"later"`: not now, once.

use std::cell::RefCell;
use std::rc::Rc;

use agent_embassy::{
    Checkpoint, JobHandler, JobPort, Offer, OperationTag, Outcome, Progress, Refusal,
};
use embassy_time::Timer;

use super::Shared;

pub struct Work {
    log: Box<dyn Fn(String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Steps(u8),
    Hang { obeys: bool },
    Reboot,
}

impl Work {
    pub fn new(state: Shared) -> Self {
        Self {
            log: Box::new(move |line| state.borrow_mut().log.push(line)),
        }
    }

    pub fn logging(log: Rc<RefCell<Vec<String>>>) -> Self {
        Self {
            log: Box::new(move |line| log.borrow_mut().push(line)),
        }
    }

    fn log(&self, port: &impl JobPort, what: &str) {
        (self.log)(format!("{} {what}", port.job_id()));
    }

    async fn steps<P: JobPort>(&self, from: u8, to: u8, port: &mut P) -> Outcome {
        for step in from..to {
            Timer::after_secs(1).await;
            port.report(Progress::percent(step));
            let checkpoint = Checkpoint::new(&[1, step + 1, to]).unwrap();
            if port.checkpoint(checkpoint).await.is_err() {
                self.log(port, "stopped");
                return Outcome::failed("stopped");
            }
            self.log(port, &format!("saved {}", step + 1));
        }
        self.log(port, "done");
        Outcome::succeeded()
    }
}

impl JobHandler for Work {
    type Plan = Plan;

    fn plan(&self, offer: &Offer<'_>) -> Result<(OperationTag, Plan), Refusal> {
        let named = |name| {
            let operation = offer.document.str_field("operation");
            operation.is_some_and(|operation| operation.eq_str(name))
        };
        let plan = if named("steps") {
            let steps = offer.document.u64_field("steps").unwrap_or(1);
            Plan::Steps(u8::try_from(steps).unwrap())
        } else if named("hang") {
            Plan::Hang {
                obeys: offer.document.u64_field("obeys").is_some(),
            }
        } else if named("reboot") {
            Plan::Reboot
        } else {
            return Err(Refusal::Unknown);
        };
        Ok((OperationTag::of("work"), plan))
    }

    async fn run<P: JobPort>(&self, plan: Plan, port: &mut P) -> Outcome {
        self.log(port, "starts");
        match plan {
            Plan::Steps(steps) => self.steps(0, steps, port).await,
            Plan::Hang { obeys: true } => {
                let reason = port.stopped().await;
                self.log(port, &format!("obeys {reason:?}"));
                Outcome::failed("stopped")
            }
            Plan::Hang { obeys: false } => std::future::pending().await,
            Plan::Reboot => Outcome::Reboot(Checkpoint::new(&[2]).unwrap()),
        }
    }

    async fn resume<P: JobPort>(
        &self,
        _: OperationTag,
        from: &Checkpoint,
        _: Option<Plan>,
        port: &mut P,
    ) -> Outcome {
        self.log(port, "resumes");
        match *from.bytes() {
            [1, step, to] => self.steps(step, to, port).await,
            [2] => Outcome::succeeded(),
            _ => Outcome::failed("foreign checkpoint"),
        }
    }
}
