//! Which API a request topic names.

/// What a device asked for, by topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api<'a> {
    GetPending,
    StartNext,
    /// `$next` or a job id, unchecked.
    Describe(JobRef<'a>),
    /// A job id, unchecked.
    Update(&'a str),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobRef<'a> {
    Next,
    Id(&'a str),
}

impl<'a> JobRef<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        if text == "$next" {
            Self::Next
        } else {
            Self::Id(text)
        }
    }
}

/// Splits a request topic into thing and API; `None` if it is no Jobs topic.
///
/// One segment after `jobs/` is an API of the thing, two are a job id and an API of the
/// execution, so a job may be called `get` and is reached as `…/jobs/get/get`.
pub(crate) fn parse(topic: &str) -> Option<(&str, Api<'_>)> {
    let (thing, rest) = topic.strip_prefix("$aws/things/")?.split_once('/')?;
    let rest = rest.strip_prefix("jobs/")?;
    if thing.is_empty() {
        return None;
    }
    let mut segments = rest.split('/');
    let api = match (segments.next(), segments.next(), segments.next()) {
        (Some("get"), None, None) => Api::GetPending,
        (Some("start-next"), None, None) => Api::StartNext,
        (Some(job), Some("get"), None) if !job.is_empty() => Api::Describe(JobRef::parse(job)),
        // `$next` exists for reading only.
        (Some(job), Some("update"), None) if !job.is_empty() && job != "$next" => Api::Update(job),
        _ => Api::Unknown,
    };
    Some((thing, api))
}
