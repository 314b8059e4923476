//! Lifecycle events for back ends; off unless the settings say so, as on AWS.
//!
//! Source: AWS IoT developer guide, events-jobs.

use super::queue::{Changes, broadcast};
use super::service::Service;
use super::wire::{Object, details_json, seconds};

impl Service {
    /// The execution just ended: tell its status.
    pub(crate) fn execution_event(
        &mut self,
        now_ms: u64,
        thing: &str,
        job_id: &str,
        number: u64,
        changes: &mut Changes,
    ) {
        if !self.settings.lifecycle_events {
            return;
        }
        let Some((_, execution)) = self.find(thing, job_id, Some(number)) else {
            return;
        };
        let status = execution.status.as_str();
        let details = details_json(execution.details.as_ref());
        let operation = status.to_lowercase();
        let payload = self
            .event_head(now_ms, "JOB_EXECUTION", &operation, job_id)
            .text("thingArn", &self.thing_arn(thing))
            .text("status", status)
            .json_if("statusDetails", details.as_deref());
        let topic = format!("$aws/events/jobExecution/{job_id}/{operation}");
        changes.events.push(broadcast(topic, payload));
    }

    /// A job moved on: `completed`, `canceled`, `deleted` or one of the `…_in_progress`.
    pub(crate) fn job_event(
        &mut self,
        now_ms: u64,
        job_id: &str,
        operation: &str,
        changes: &mut Changes,
    ) {
        if !self.settings.lifecycle_events || !self.jobs.contains_key(job_id) {
            return;
        }
        let head = self.event_head(now_ms, "JOB", operation, job_id);
        let Some(job) = self.jobs.get(job_id) else {
            return;
        };
        let status = match operation {
            "cancellation_in_progress" => "CANCELLATION_IN_PROGRESS",
            "deleted" => "DELETED",
            _ => job.status.as_str(),
        };
        let targets: Vec<String> = job.targets.iter().map(|t| self.target_arn(t)).collect();
        let done = operation == "completed" || operation == "canceled";
        let payload = head
            .text("status", status)
            .text("targetSelection", job.selection.as_str())
            .json("targets", &serde_json::Value::from(targets).to_string())
            .text_if("description", job.description.as_deref())
            // Milliseconds here, unlike everywhere on the device plane.
            .number_if("completedAt", job.completed_at_ms.filter(|_| done))
            .number("createdAt", job.created_at_ms)
            .number("lastUpdatedAt", job.updated_at_ms)
            .text_if("comment", job.comment.as_deref())
            .json(
                "jobProcessDetails",
                &self.process_details(job_id).to_string(),
            );
        changes.events.push(broadcast(
            format!("$aws/events/job/{job_id}/{operation}"),
            payload,
        ));
    }

    fn event_head(&mut self, now_ms: u64, kind: &str, operation: &str, job_id: &str) -> Object {
        let event_id = self.next_uuid();
        Object::new()
            .text("eventType", kind)
            .text("eventId", &event_id)
            .number("timestamp", seconds(now_ms))
            .text("operation", operation)
            .text("jobId", job_id)
    }
}
