//! Whose Jobs topic a topic is.

/// The head of the reserved topics of things.
const HEAD: &str = "$aws/things/";
/// What the thing is followed by in a Jobs topic.
const JOBS: &str = "jobs";

/// The thing of a Jobs topic or filter.
pub(super) fn thing_of(topic: &str) -> Option<&str> {
    let (thing, rest) = topic.strip_prefix(HEAD)?.split_once('/')?;
    let tail = rest.strip_prefix(JOBS)?;
    (tail.is_empty() || tail.starts_with('/')).then_some(thing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_topic_names_its_thing_and_no_other_topic_does() {
        assert_eq!(
            thing_of("$aws/things/pump-17/jobs/notify-next"),
            Some("pump-17")
        );
        assert_eq!(
            thing_of("$aws/things/pump-17/jobs/+/get/+"),
            Some("pump-17")
        );
        assert_eq!(thing_of("$aws/things/pump-17/jobs"), Some("pump-17"));
        for other in [
            "$aws/things/pump-17/shadow/update",
            "$aws/things/pump-17/jobsite",
            "$aws/things/pump-17",
            "things/pump-17/jobs/notify",
            "",
        ] {
            assert_eq!(thing_of(other), None, "{other}");
        }
    }
}
