//! What the operator, the service and the network are made to do.

use serde_json::{Map, Value};

use jobs_agent_core::Millis;
use jobs_emulator::model::{ControlOp, Message};

use super::{EPOCH_MS, THING, World};
use crate::{
    link::LinkFault,
    scenario::{Action, Scenario},
};

impl<const JOBS: usize> World<'_, JOBS> {
    pub(super) fn act(&mut self, scenario: &Scenario, action: &Action) {
        let at = EPOCH_MS + self.now_ms;
        self.note(|| format!("happens: {action:?}"));
        let sent = match action {
            Action::CreateJob {
                id,
                document,
                extra,
            } => {
                let arn = format!(
                    "arn:aws:iot:{}:{}:thing/{THING}",
                    self.service.settings().region,
                    self.service.settings().account
                );
                let mut params: Map<String, Value> = Map::new();
                params.insert("jobId".into(), id.as_str().into());
                params.insert("targets".into(), Value::from(vec![arn]));
                params.insert("document".into(), document.to_string().into());
                if let Value::Object(extra) = extra {
                    params.extend(extra.clone());
                }
                self.service
                    .control(at, ControlOp::CreateJob, &params)
                    .map(|(_, sent)| sent)
            }
            Action::CancelJob(id) => self.service.cancel_job(at, id, true),
            Action::DeleteJob(id) => self.service.delete_job(at, id, true),
            Action::Service(fault) => {
                self.service.set_fault(*fault);
                Ok(Vec::new())
            }
            Action::Link(LinkFault::Cut(ms)) => {
                self.link.disconnect(true);
                self.board.agent.handle_disconnected(Millis(self.now_ms));
                self.connect_at_ms = self.connect_at_ms.max(Some(self.now_ms + ms));
                Ok(Vec::new())
            }
            Action::FailWrites(count) => {
                self.failing_writes = *count;
                Ok(Vec::new())
            }
            Action::Inject { topic, payload } => {
                let prefix = if topic.starts_with('/') {
                    "$aws/things/pump-17/jobs"
                } else {
                    ""
                };
                self.link
                    .send_down(self.now_ms, &format!("{prefix}{topic}"), payload);
                Ok(Vec::new())
            }
            Action::Link(fault) => {
                self.link.arm(*fault);
                Ok(Vec::new())
            }
        };
        match sent {
            Ok(messages) => self.deliver(&messages),
            // A crash can move a job's end before the operator's hand: then there is nothing to
            // cancel any more.
            Err(error) if self.crashed || scenario.lenient => {
                assert!(error.status < 500, "the service failed: {error:?}");
            }
            Err(error) => panic!("the service refused {action:?}: {error:?}"),
        }
    }

    pub(super) fn deliver(&mut self, messages: &[Message]) {
        for message in messages {
            self.link
                .send_down(self.now_ms, &message.topic, &message.payload);
        }
    }
}
