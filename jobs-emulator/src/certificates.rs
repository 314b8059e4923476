//! Registered certificates, and which things each may act for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The id of a certificate: SHA-256 of its DER form in lower-case hex, as AWS IoT has it.
pub(crate) fn certificate_id(der: &[u8]) -> String {
    Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// One registered certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) active: bool,
    pub(crate) created_ms: u64,
    /// The things it is attached to.
    pub(crate) things: BTreeSet<String>,
    /// The ready-made certificate may act for any thing.
    pub(crate) any_thing: bool,
}

/// Who a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Came over the plain port: may act for any thing.
    Anyone,
    /// Holds the key of the certificate with this id.
    Certificate(String),
}

/// The registry of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificates {
    by_id: BTreeMap<String, Certificate>,
}

impl Certificates {
    pub(crate) fn register(&mut self, id: String, certificate: Certificate) {
        self.by_id.insert(id, certificate);
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Certificate> {
        self.by_id.get(id)
    }

    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Certificate> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Certificate)> {
        self.by_id.iter()
    }

    /// Whether an identity may connect at all: its certificate is registered and active.
    pub(crate) fn may_connect(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Anyone => true,
            Identity::Certificate(id) => self.find(id).is_some_and(|known| known.active),
        }
    }

    /// Whether an identity may publish on a topic: not on one of another thing.
    pub(crate) fn may_publish(&self, identity: &Identity, topic: &str) -> bool {
        self.may_connect(identity)
            && match thing_level(topic) {
                ThingLevel::None => true,
                ThingLevel::Thing(thing) => self.may_act_for(identity, thing),
                // A topic has no wildcards.
                ThingLevel::Any => false,
            }
    }

    /// Whether an identity may subscribe to a filter: not if it can match a topic of another thing.
    pub(crate) fn may_subscribe(&self, identity: &Identity, filter: &str) -> bool {
        self.may_connect(identity)
            && match thing_level(filter) {
                ThingLevel::None => true,
                ThingLevel::Thing(thing) => self.may_act_for(identity, thing),
                ThingLevel::Any => self.may_act_for_any(identity),
            }
    }

    /// Whether an identity may act for a thing; a certificate must be active to.
    pub(crate) fn may_use(&self, identity: &Identity, thing: &str) -> bool {
        self.may_connect(identity) && self.may_act_for(identity, thing)
    }

    fn may_act_for(&self, identity: &Identity, thing: &str) -> bool {
        self.may_act_for_any(identity)
            || match identity {
                Identity::Anyone => true,
                Identity::Certificate(id) => self
                    .find(id)
                    .is_some_and(|known| known.things.contains(thing)),
            }
    }

    fn may_act_for_any(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Anyone => true,
            Identity::Certificate(id) => self.find(id).is_some_and(|known| known.any_thing),
        }
    }
}

/// Which thing a topic or filter is about.
enum ThingLevel<'a> {
    /// None: it is not below `$aws/things/`.
    None,
    /// This one.
    Thing(&'a str),
    /// A wildcard reaches into the things.
    Any,
}

fn thing_level(topic: &str) -> ThingLevel<'_> {
    let mut levels = topic.split('/');
    match (levels.next(), levels.next(), levels.next()) {
        (Some("$aws"), Some("#" | "+"), _) => ThingLevel::Any,
        (Some("$aws"), Some("things"), Some("#" | "+")) => ThingLevel::Any,
        (Some("$aws"), Some("things"), Some(thing)) => ThingLevel::Thing(thing),
        _ => ThingLevel::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(any_thing: bool, active: bool) -> (Certificates, Identity) {
        let mut certificates = Certificates::default();
        certificates.register(
            "c1".into(),
            Certificate {
                pem: String::new(),
                active,
                created_ms: 0,
                things: BTreeSet::from(["t1".to_owned()]),
                any_thing,
            },
        );
        (certificates, Identity::Certificate("c1".into()))
    }

    #[test]
    fn a_certificate_reaches_its_own_thing_only() {
        let (certificates, identity) = registry(false, true);
        for (filter, wanted) in [
            ("$aws/things/t1/jobs/notify", true),
            ("$aws/things/t1/jobs/+/get/+", true),
            ("$aws/things/t2/jobs/notify", false),
            ("$aws/things/+/jobs/notify", false),
            ("$aws/things/#", false),
            ("$aws/#", false),
            ("$aws/+/t2/jobs/notify", false),
            ("#", true),
            ("site/1", true),
        ] {
            assert_eq!(
                certificates.may_subscribe(&identity, filter),
                wanted,
                "{filter}"
            );
        }
        assert!(certificates.may_publish(&identity, "$aws/things/t1/jobs/get"));
        assert!(!certificates.may_publish(&identity, "$aws/things/t2/jobs/get"));
    }

    #[test]
    fn an_inactive_or_unknown_certificate_may_do_nothing() {
        let (certificates, identity) = registry(true, false);
        assert!(!certificates.may_connect(&identity));
        assert!(!certificates.may_publish(&identity, "site/1"));
        assert!(!certificates.may_connect(&Identity::Certificate("c2".into())));
    }
}
