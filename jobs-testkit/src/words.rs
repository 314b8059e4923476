//! Effects of the agent in words, for traces.

use jobs_agent_core::{Output, Record};

pub(crate) fn in_words(output: &Output<'_>) -> String {
    match output {
        Output::Persist { slot, record, .. } => match Record::decode(record) {
            Ok(record) => format!(
                "persist slot {slot}: {} {:?}, attempts {}",
                record.job_id, record.kind, record.attempts
            ),
            Err(error) => format!("persist slot {slot}: {error}"),
        },
        Output::Erase { slot, .. } => format!("erase slot {slot}"),
        Output::Transmit { topic, payload, .. } => {
            format!("publish {topic} {}", String::from_utf8_lossy(payload))
        }
        Output::Run(permit) => format!("run {} in slot {}", permit.job_id(), permit.slot()),
        Output::Ended { job_id, ending, .. } => format!("{job_id} ended: {ending:?}"),
        Output::Subscribe { .. }
        | Output::Saved { .. }
        | Output::Stop { .. }
        | Output::Reboot(_)
        | Output::Wait(_) => format!("{output:?}"),
    }
}
