//! No bytes make the verifier panic, and no change of a chain makes it believe.

mod pki;

use std::sync::OnceLock;

use board_tls::{HostName, Identity, Now, TrustAnchor, verify_chain};
use pki::{HOST, Party, TODAY_UNIX_S};
use proptest::{collection::vec, prelude::*};

struct Chain {
    ca: Vec<u8>,
    middle: Vec<u8>,
    server: Vec<u8>,
}

fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| {
        let (root, middle) = (Party::ca("root", None), Party::ca("middle", Some(0)));
        Chain {
            ca: root.self_signed(),
            server: Party::server(&[HOST]).signed_by(&middle),
            middle: middle.signed_by(&root),
        }
    })
}

fn believed(ca: &[u8], chain: &[&[u8]]) -> bool {
    let host = HostName::new(HOST).unwrap();
    TrustAnchor::from_certificate(ca).is_ok_and(|anchor| {
        verify_chain(&anchor, host, Now::UnixSeconds(TODAY_UNIX_S), chain).is_ok()
    })
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Cut(usize, usize),
    Insert(usize, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (any::<usize>(), 1..40usize).prop_map(|(at, len)| Change::Cut(at, len)),
        1 => (any::<usize>(), vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let len = bytes.len().max(1);
        match change {
            Change::Set(at, byte) => {
                if let Some(place) = bytes.get_mut(at % len) {
                    *place = *byte;
                }
            }
            Change::Cut(at, count) => {
                let at = (at % len).min(bytes.len());
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Insert(at, more) => {
                let at = (at % len).min(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_changed_server_certificate_is_not_believed(changes in vec(change(), 1..4)) {
        let chain = chain();
        let server = changed(&chain.server, &changes);
        let same = server == chain.server;
        prop_assert_eq!(believed(&chain.ca, &[&server, &chain.middle]), same);
    }

    #[test]
    fn a_changed_intermediate_certificate_is_not_believed(changes in vec(change(), 1..4)) {
        let chain = chain();
        let middle = changed(&chain.middle, &changes);
        let same = middle == chain.middle;
        prop_assert_eq!(believed(&chain.ca, &[&chain.server, &middle]), same);
    }

    #[test]
    fn a_changed_anchor_or_identity_does_not_panic(changes in vec(change(), 1..8)) {
        let chain = chain();
        let ca = changed(&chain.ca, &changes);
        believed(&ca, &[&chain.server, &chain.middle]);
        let _ = Identity::from_der(&ca, &ca);
    }

    #[test]
    fn arbitrary_bytes_are_not_believed(bytes in vec(any::<u8>(), 0..300)) {
        let chain = chain();
        prop_assert!(!believed(&chain.ca, &[&bytes]));
        prop_assert!(!believed(&bytes, &[&chain.server, &chain.middle]));
        if let Ok(text) = core::str::from_utf8(&bytes) {
            let _ = HostName::new(text);
        }
    }
}
