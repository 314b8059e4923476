//! Topic filters: which are valid, which topic they match, and the table of who subscribed.

use std::collections::{BTreeMap, HashMap};

use super::limits::{TOPIC_MAX_BYTES, TOPIC_MAX_SLASHES};

/// Whether a filter is well formed: `#` alone and last, `+` alone in its level, not too long.
pub(crate) fn is_valid_filter(filter: &str) -> bool {
    if !is_within_limits(filter) {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        let wildcard = level.contains(['+', '#']);
        if wildcard && level.len() > 1 || level == "#" && !last {
            return false;
        }
    }
    true
}

/// Whether a topic or filter keeps the broker's limits on length and depth.
///
/// Reserved topics (first character `$`) may be deeper.
pub(crate) fn is_within_limits(topic: &str) -> bool {
    let slashes = topic.bytes().filter(|&byte| byte == b'/').count();
    !topic.is_empty()
        && topic.len() <= TOPIC_MAX_BYTES
        && !topic.contains('\0')
        && (topic.starts_with('$') || slashes <= TOPIC_MAX_SLASHES)
}

/// Whether `filter` matches `topic`.
///
/// A wildcard in the first level does not match a level that begins with `$` (MQTT 3.1.1, 4.7.2);
/// further down `$next` is a level like any other.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut wanted = filter.split('/');
    let mut levels = topic.split('/');
    loop {
        match (wanted.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(filter), Some(level)) if filter == level => {}
            (Some(_), Some(_) | None) | (None, Some(_)) => return false,
        }
    }
}

/// Who subscribed to what: a hash map for plain filters, a list for those with wildcards.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// Filter without wildcard → client id → granted QoS.
    exact: HashMap<String, BTreeMap<String, u8>>,
    /// Filter with wildcard → client id → granted QoS.
    wild: BTreeMap<String, BTreeMap<String, u8>>,
}

impl Subscriptions {
    /// Adds or changes a subscription.
    pub(crate) fn insert(&mut self, client_id: &str, filter: &str, qos: u8) {
        let clients = if filter.contains(['+', '#']) {
            self.wild.entry(filter.to_owned()).or_default()
        } else {
            self.exact.entry(filter.to_owned()).or_default()
        };
        clients.insert(client_id.to_owned(), qos);
    }

    /// Removes a subscription, if there is one.
    pub(crate) fn remove(&mut self, client_id: &str, filter: &str) {
        if let Some(clients) = self.exact.get_mut(filter) {
            clients.remove(client_id);
            if clients.is_empty() {
                self.exact.remove(filter);
            }
        }
        if let Some(clients) = self.wild.get_mut(filter) {
            clients.remove(client_id);
            if clients.is_empty() {
                self.wild.remove(filter);
            }
        }
    }

    /// Every client that wants `topic`, once, with the highest QoS it was granted.
    pub(crate) fn subscribers(&self, topic: &str) -> BTreeMap<String, u8> {
        let wild = self
            .wild
            .iter()
            .filter(|(filter, _)| matches(filter, topic));
        let clients = self
            .exact
            .get(topic)
            .into_iter()
            .chain(wild.map(|(_, clients)| clients));
        let mut wanted: BTreeMap<String, u8> = BTreeMap::new();
        for (client, &qos) in clients.flatten() {
            let granted = wanted.entry(client.clone()).or_insert(qos);
            *granted = qos.max(*granted);
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_by_level_and_spare_reserved_topics() {
        for (filter, topic, wanted) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$aws/x", false),
            ("+/x", "$aws/x", false),
            ("$aws/#", "$aws/things/t/jobs/notify", true),
            (
                "$aws/things/t/jobs/+/get/+",
                "$aws/things/t/jobs/$next/get/accepted",
                true,
            ),
            (
                "$aws/things/t/jobs/$next/get/+",
                "$aws/things/t/jobs/$next/get/rejected",
                true,
            ),
        ] {
            assert_eq!(matches(filter, topic), wanted, "{filter} on {topic}");
        }
    }

    #[test]
    fn malformed_filters_are_told_apart() {
        for (filter, wanted) in [
            ("a/+/b", true),
            ("#", true),
            ("a#", false),
            ("a/#/b", false),
            ("a/b+", false),
            ("", false),
            ("1/2/3/4/5/6/7/8", true),
            ("1/2/3/4/5/6/7/8/9", false),
            ("$aws/2/3/4/5/6/7/8/9", true),
        ] {
            assert_eq!(is_valid_filter(filter), wanted, "{filter:?}");
        }
        assert!(is_valid_filter(&"x".repeat(256)));
        assert!(!is_valid_filter(&"x".repeat(257)));
    }

    #[test]
    fn overlapping_filters_yield_one_copy_at_the_highest_qos() {
        let mut table = Subscriptions::default();
        table.insert("d", "a/b", 0);
        table.insert("d", "a/+", 1);
        table.insert("e", "a/#", 0);
        let got = table.subscribers("a/b");
        assert_eq!(
            got,
            BTreeMap::from([("d".to_owned(), 1), ("e".to_owned(), 0)])
        );
        table.remove("d", "a/+");
        table.remove("d", "a/b");
        assert_eq!(
            table.subscribers("a/b"),
            BTreeMap::from([("e".to_owned(), 0)])
        );
    }
}
