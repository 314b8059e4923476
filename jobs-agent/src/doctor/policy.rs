//! The least IoT policy of a thing.

use serde_json::{Value, json};

use crate::config::{Config, TransportKind};

/// Allows what the agent does and nothing else.
pub(super) fn least(config: &Config) -> String {
    let region = region(&config.endpoint).unwrap_or("REGION");
    let arn = |rest: String| format!("arn:aws:iot:{region}:ACCOUNT:{rest}");
    let policy = match config.transport {
        TransportKind::Mqtt => over_mqtt(config, &arn),
        TransportKind::Https => over_https(config, &arn),
    };
    // A value made of strings can always be written.
    format!("{policy:#}")
}

/// AWS IoT developer guide, "AWS IoT Core policies for HTTPS protocol". The agent never begins a job
/// unseen, so it does without `StartNextPendingJobExecution`.
fn over_https(config: &Config, arn: &dyn Fn(String) -> String) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": [
                "iotjobsdata:GetPendingJobExecutions",
                "iotjobsdata:DescribeJobExecution",
                "iotjobsdata:UpdateJobExecution",
            ],
            "Resource": arn(format!("thing/{}", config.thing)),
        }],
    })
}

/// AWS IoT developer guide, "AWS IoT Core policy actions" and "Jobs device MQTT API operations".
fn over_mqtt(config: &Config, arn: &dyn Fn(String) -> String) -> Value {
    let jobs = format!("$aws/things/{}/jobs", config.thing);
    let client = config.client_id.as_ref().unwrap_or(&config.thing);
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": arn(format!("client/{client}")),
            },
            {
                "Effect": "Allow",
                "Action": "iot:Subscribe",
                "Resource": [
                    arn(format!("topicfilter/{jobs}/notify")),
                    arn(format!("topicfilter/{jobs}/notify-next")),
                ],
            },
            {
                "Effect": "Allow",
                "Action": "iot:Receive",
                "Resource": arn(format!("topic/{jobs}/*")),
            },
            {
                "Effect": "Allow",
                "Action": "iot:Publish",
                "Resource": [
                    arn(format!("topic/{jobs}/get")),
                    arn(format!("topic/{jobs}/*/get")),
                    arn(format!("topic/{jobs}/*/update")),
                ],
            },
        ],
    })
}

/// The region in an endpoint of AWS.
fn region(endpoint: &str) -> Option<&str> {
    let mut labels = endpoint.split('.');
    labels.find(|label| *label == "iot")?;
    labels.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_out_of_the_endpoint() {
        assert_eq!(
            region("abc-ats.iot.eu-west-1.amazonaws.com"),
            Some("eu-west-1")
        );
        assert_eq!(region("127.0.0.1"), None);
    }
}
