//! Every choice the public documents leave open, as a switch with the recommended reading as default.

use serde::{Deserialize, Serialize};

/// Most executions one list may show: 10, or 15 inside a maintenance window (AWS IoT developer
/// guide, jobs-comm-notifications).
pub const LIST_LIMIT_MAX: usize = 15;

/// How the service rules that AWS does not settle are read, and who the service pretends to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Account number in every ARN.
    pub account: String,
    /// Region in every ARN and in endpoint names.
    pub region: String,
    /// Bare host name that `DescribeEndpoint` answers; no scheme, no port (device SDKs look it up
    /// as it is).
    pub endpoint: String,
    /// Base URL put in place of `https://s3.{region}.amazonaws.com` in presigned URLs, so that a
    /// local file server can be named; `None` keeps the address of the placeholder.
    pub presigned_base: Option<String>,
    /// What an update of a finished execution answers. The guide and captures disagree.
    pub terminal_update: TerminalUpdate,
    /// Whether an update checks the version or the terminal state first. Not documented.
    pub check_order: CheckOrder,
    /// What a request with a zero-length payload means. Not documented.
    pub empty_payload: EmptyPayload,
    /// What a PUBLISH on an unknown topic below `…/jobs/` gets. Not documented.
    pub unknown_topic: UnknownTopic,
    /// What a request for a thing that is not registered gets. Not documented.
    pub unknown_thing: UnknownThing,
    /// Most executions in `notify` and in the reply to `get`, over both lists together; values
    /// above [`LIST_LIMIT_MAX`] count as that.
    pub list_limit: usize,
    /// Longest client token in bytes. Known from streams, shadows and AWS's own device code.
    pub client_token_max_bytes: usize,
    /// Most `statusDetails` pairs a device may send. The quota page says 10, the guide "any".
    pub status_details_max_pairs: usize,
    /// Whether `CreateJob` takes only documents that are JSON objects. Not documented.
    pub document_objects_only: bool,
    /// How long after its deadline an execution times out, in ms. The service may take up to
    /// 60 000 (service model, `approximateSecondsBeforeTimedOut`).
    pub timeout_lag_ms: u64,
    /// Delay from a failure to its retry execution, in ms. Not documented.
    pub retry_delay_ms: u64,
    /// How long a deleted job shows DELETION_IN_PROGRESS, in ms; 0 deletes at once.
    pub deletion_ms: u64,
    /// Whether moving an execution to IN_PROGRESS publishes `notify`: one sentence of the guide
    /// says so, its worked example and all captures do not.
    pub notify_on_start: bool,
    /// Whether `execution` over MQTT carries `thingName`. No capture has it.
    pub thing_name_over_mqtt: bool,
    /// Whether things that leave a group also lose executions of snapshot jobs. Not documented.
    pub snapshot_follows_groups: bool,
    /// Whether lifecycle events are published on `$aws/events/job…` (opt-in on AWS).
    pub lifecycle_events: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account: "123456789012".into(),
            region: "us-east-1".into(),
            endpoint: "localhost".into(),
            presigned_base: None,
            terminal_update: TerminalUpdate::InvalidStateTransition,
            check_order: CheckOrder::VersionFirst,
            empty_payload: EmptyPayload::AsEmptyObject,
            unknown_topic: UnknownTopic::Rejected,
            unknown_thing: UnknownThing::ResourceNotFound,
            list_limit: 10,
            client_token_max_bytes: 64,
            status_details_max_pairs: 10,
            document_objects_only: true,
            timeout_lag_ms: 0,
            retry_delay_ms: 0,
            deletion_ms: 0,
            notify_on_start: false,
            thing_name_over_mqtt: false,
            snapshot_follows_groups: false,
            lifecycle_events: false,
        }
    }
}

/// The error for an update of an execution that is already in a terminal state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TerminalUpdate {
    /// As the developer guide says (jobs-api).
    #[default]
    InvalidStateTransition,
    /// As one set of captured answers has it.
    TerminalStateReached,
}

/// Which check of an update comes first when both would fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckOrder {
    /// `VersionMismatch` wins.
    #[default]
    VersionFirst,
    /// The terminal-state error wins.
    TerminalFirst,
}

/// What a zero-length request payload means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EmptyPayload {
    /// The same as `{}`.
    #[default]
    AsEmptyObject,
    /// `InvalidJson`.
    InvalidJson,
}

/// What a PUBLISH on a topic below `…/jobs/` that maps to no API gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnknownTopic {
    /// `InvalidTopic` on `{topic}/rejected`.
    #[default]
    Rejected,
    /// No answer.
    Silent,
}

/// What `get`, `start-next` and `$next/get` answer for a thing that is not registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnknownThing {
    /// `ResourceNotFound`.
    #[default]
    ResourceNotFound,
    /// As for a registered thing without work.
    NoWork,
}
