//! The limits of the service, each with its unit and its source.
//!
//! "Model" means the official service model (`iot-jobs-data` 2017-09-29, `iot` 2015-05-28).

/// Longest `jobId`, in bytes (model: 1–64 of `[a-zA-Z0-9_-]`).
pub const JOB_ID_LEN_MAX: usize = 64;

/// Longest `thingName`, in bytes (model: 1–128 of `[a-zA-Z0-9:_-]`).
pub const THING_NAME_LEN_MAX: usize = 128;

/// Longest `clientToken`, in bytes.
///
/// The model has no such member; longer tokens were reported as rejected, and the neighbouring
/// services document 64 (AWS IoT developer guide, device shadow and MQTT-based file delivery).
pub const CLIENT_TOKEN_LEN_MAX: usize = 64;

/// Most pairs in one `statusDetails` map (model text of `CancelJobExecution.statusDetails`).
pub const STATUS_DETAILS_PAIRS_MAX: usize = 10;

/// Longest key in `statusDetails`, in bytes (model: 1–128 of `[a-zA-Z0-9:_-]`).
pub const STATUS_DETAILS_KEY_LEN_MAX: usize = 128;

/// Longest value in `statusDetails`, in characters (model text: 1–1024, no `\p{C}`).
pub const STATUS_DETAILS_VALUE_CHARS_MAX: usize = 1024;

/// Longest value in `statusDetails`, in bytes of UTF-8 (four for each character).
pub const STATUS_DETAILS_VALUE_LEN_MAX: usize = 4 * STATUS_DETAILS_VALUE_CHARS_MAX;

/// Longest job document as stored, in bytes (model).
///
/// Presigned URLs are filled in later, so a document that arrives can be longer than this; only
/// [`MQTT_PAYLOAD_LEN_MAX`] bounds it.
pub const DOCUMENT_LEN_MAX: usize = 32_768;

/// Shortest step timer, in minutes (model text of `stepTimeoutInMinutes`).
pub const STEP_TIMEOUT_MIN_MINUTES: u16 = 1;

/// Longest step timer, in minutes: seven days (model text of `stepTimeoutInMinutes`).
pub const STEP_TIMEOUT_MAX_MINUTES: u16 = 10_080;

/// How late the service may time out an execution, in seconds (model text of
/// `approximateSecondsBeforeTimedOut`).
pub const TIMEOUT_LATENESS_MAX_SECONDS: u32 = 60;

/// Longest topic of the Jobs API, in bytes: `…/update/accepted` with the longest names.
pub const TOPIC_LEN_MAX: usize = 226;

/// Longest request topic, in bytes: `…/update` with the longest names.
pub const REQUEST_TOPIC_LEN_MAX: usize = 217;

/// Longest subscription filter of [`crate::topic::Filter`], in bytes: `…/start-next/+`.
pub const FILTER_LEN_MAX: usize = 158;

/// Largest MQTT payload, in bytes: 128 KiB (AWS IoT Core quotas).
pub const MQTT_PAYLOAD_LEN_MAX: usize = 131_072;

/// Most executions listed by `notify` and `get` (AWS IoT developer guide, jobs limits).
///
/// Ten in the older text, and five more inside a maintenance window. The decoder takes any
/// number; this is for sizing buffers.
pub const LIST_ENTRIES_MAX: usize = 15;

/// Most topic filters in one SUBSCRIBE packet (AWS IoT Core quotas).
pub const FILTERS_PER_SUBSCRIBE_MAX: usize = 8;

/// Deepest nesting of one member value (so also of a job document), in levels.
///
/// Ours: AWS documents none. The same as in the JSON library of the AWS embedded C SDK.
pub const DEPTH_MAX: u32 = 32;
