//! Effects of the core, performed: each starts something here and is done when its event comes.

use std::future::Future;
use std::sync::Arc;

use jobs_agent_core::{Completion, JobHandler, Outcome, Output, Receipt};
use tracing::{debug, error, info};

use super::desk::Work;
use super::port::Port;
use super::{Driver, Subscribe};
use crate::happening::Happening;
use crate::link::{Link, Qos};

impl<H, B, F, L> Driver<'_, H, B, F, L>
where
    H: JobHandler,
    B: Fn(Arc<H>, Work<H::Plan>, Port) -> F,
    F: Future<Output = Outcome>,
    L: Link,
{
    pub(super) fn perform(&mut self, output: Output<'_>) {
        match output {
            Output::Persist {
                receipt,
                slot,
                record,
            } => self.writes.save(receipt, slot, record.to_vec()),
            Output::Erase { receipt, slot } => self.writes.erase(receipt, slot),
            Output::Transmit {
                receipt,
                topic,
                payload,
                at_least_once,
            } => self.publish(receipt, topic, payload, at_least_once),
            Output::Subscribe { receipt, filters } => {
                self.subscribe(receipt, filters.iter().map(str::to_owned).collect());
            }
            Output::Run(permit) => {
                let slot = permit.slot();
                self.around.tell(&Happening::Started {
                    job_id: permit.job_id().as_str(),
                    execution_number: permit.execution_number(),
                    attempt: permit.attempt(),
                });
                if let Err(run) = self.desk.start(permit, &self.clock) {
                    error!(slot, "no plan for this run: reporting the job as failed");
                    let now = self.clock.now();
                    self.core
                        .handle_aborted(now, slot, run, "the agent lost its plan");
                }
            }
            Output::Saved { slot, run } => self.desk.saved(slot, run),
            Output::Stop { slot, run, reason } => {
                let drop_at = self.clock.now().plus(self.around.stop_grace_ms);
                self.desk.stop(slot, run, reason, drop_at);
            }
            Output::Reboot(permit) => {
                let slot = permit.slot();
                info!(slot, "everything is durable: rebooting");
                self.begin_reset(permit.into_receipt());
            }
            Output::Ended {
                slot,
                job_id,
                ending,
            } => {
                info!(slot, job_id = job_id.as_str(), ?ending, "job ended");
                self.around.metrics.ended(ending);
                let job_id = job_id.as_str();
                self.around.tell(&Happening::Ended { job_id, ending });
            }
            Output::Wait(_) => {}
        }
    }

    fn publish(&mut self, receipt: Receipt, topic: &str, payload: &[u8], at_least_once: bool) {
        let qos = if at_least_once {
            Qos::AtLeastOnce
        } else {
            Qos::AtMostOnce
        };
        match self.link.publish(topic, payload, qos) {
            Ok(id) => {
                self.sends.insert(id, receipt);
            }
            Err(error) => {
                debug!(topic, %error, "publish not taken");
                self.done(receipt, Completion::Failed);
            }
        }
    }

    fn subscribe(&mut self, receipt: Receipt, filters: Vec<String>) {
        let texts: Vec<&str> = filters.iter().map(String::as_str).collect();
        match self.link.subscribe(&texts) {
            Ok(id) => {
                self.subscribe = Some(Subscribe {
                    id,
                    receipt,
                    filters,
                });
            }
            Err(error) => {
                debug!(%error, "subscribe not taken");
                self.done(receipt, Completion::Failed);
            }
        }
    }

    pub(super) fn done(&mut self, receipt: Receipt, completion: Completion) {
        self.core.handle_done(self.clock.now(), receipt, completion);
    }
}
