//! Good chains are believed and each kind of bad one is refused for its reason.

mod pki;

use board_tls::{
    CERTIFICATES_MAX, HostName, Now, Refusal, SIGNATURES_MAX, TrustAnchor, verify_chain,
};
use pki::{HOST, Party, TODAY_UNIX_S};
use rcgen::{
    CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, PKCS_ED25519, date_time_ymd,
};

const TODAY: Now = Now::UnixSeconds(TODAY_UNIX_S);

fn judge_at(now: Now, ca: &[u8], host: &str, chain: &[&[u8]]) -> Result<(), Refusal> {
    let anchor = TrustAnchor::from_certificate(ca)?;
    verify_chain(&anchor, HostName::new(host)?, now, chain).map(drop)
}

fn judge(ca: &[u8], chain: &[&[u8]]) -> Result<(), Refusal> {
    judge_at(TODAY, ca, HOST, chain)
}

/// A root, a CA below it, and a server below that.
struct Three {
    root: Party,
    middle: Party,
    server: Party,
}

impl Three {
    fn new() -> Self {
        Self {
            root: Party::ca("root", None),
            middle: Party::ca("middle", Some(0)),
            server: Party::server(&[HOST]),
        }
    }

    fn judge(&self) -> Result<(), Refusal> {
        let server = self.server.signed_by(&self.middle);
        let middle = self.middle.signed_by(&self.root);
        judge(&self.root.self_signed(), &[&server, &middle])
    }
}

#[test]
fn a_server_signed_by_the_pinned_ca_is_believed() {
    let root = Party::ca("root", None);
    let server = Party::server(&["other.example.com", HOST]).signed_by(&root);
    assert_eq!(judge(&root.self_signed(), &[&server]), Ok(()));
}

#[test]
fn a_server_below_an_intermediate_ca_is_believed() {
    assert_eq!(Three::new().judge(), Ok(()));
}

#[test]
fn a_wildcard_certificate_is_believed_for_one_label() {
    let root = Party::ca("root", None);
    let ca = root.self_signed();
    let server = Party::server(&["*.iot.example.com"]).signed_by(&root);
    assert_eq!(judge(&ca, &[&server]), Ok(()));
    let deeper = judge_at(TODAY, &ca, "a.broker.iot.example.com", &[&server]);
    assert_eq!(deeper, Err(Refusal::WrongHost));
}

#[test]
fn the_root_at_the_end_of_the_chain_does_no_harm() {
    let root = Party::ca("root", None);
    let server = Party::server(&[HOST]).signed_by(&root);
    let ca = root.self_signed();
    assert_eq!(judge(&ca, &[&server, &ca]), Ok(()));
}

/// As AWS does: the last certificate is the pinned root's key and name, signed by an older CA
/// whose kind of signature is not even supported here.
#[test]
fn a_chain_that_ends_in_a_cross_signed_root_is_believed() {
    let old = Party::ca_with("old root", None, &PKCS_ED25519);
    let three = Three::new();
    let chain = [
        three.server.signed_by(&three.middle),
        three.middle.signed_by(&three.root),
        three.root.signed_by(&old),
        old.self_signed(),
    ];
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    assert_eq!(judge(&three.root.self_signed(), &chain), Ok(()));
}

#[test]
fn of_two_certificates_of_one_ca_the_one_that_leads_to_the_pinned_key_is_taken() {
    let old = Party::ca("old root", None);
    let three = Three::new();
    let server = three.server.signed_by(&three.middle);
    let detour = three.middle.signed_by(&old);
    let direct = three.middle.signed_by(&three.root);
    let ca = three.root.self_signed();
    assert_eq!(judge(&ca, &[&server, &detour, &direct]), Ok(()));
}

#[test]
fn the_order_of_the_other_certificates_does_not_matter() {
    let (root, low) = (Party::ca("root", None), Party::ca("low", None));
    let (middle, stranger) = (Party::ca("middle", None), Party::ca("stranger", None));
    let chain = [
        Party::server(&[HOST]).signed_by(&low),
        stranger.self_signed(),
        middle.signed_by(&root),
        low.signed_by(&middle),
    ];
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    assert_eq!(judge(&root.self_signed(), &chain), Ok(()));
}

#[test]
fn a_leaf_certificate_is_no_issuer() {
    let root = Party::ca("root", None);
    let mut thief = Party::server(&["thief.example.com"]);
    let server = Party::server(&[HOST]).signed_by(&thief);
    let ca = root.self_signed();
    let refused = judge(&ca, &[&server, &thief.signed_by(&root)]);
    assert_eq!(refused, Err(Refusal::NotAnIssuer));

    // Nor if it leaves basicConstraints out, or may sign certificates without being a CA.
    thief.params.is_ca = IsCa::NoCa;
    thief.params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let refused = judge(&ca, &[&server, &thief.signed_by(&root)]);
    assert_eq!(refused, Err(Refusal::NotAnIssuer));
}

#[test]
fn a_ca_that_may_not_sign_certificates_is_no_issuer() {
    let mut three = Three::new();
    three.middle.params.key_usages = vec![KeyUsagePurpose::CrlSign];
    assert_eq!(three.judge(), Err(Refusal::NotAnIssuer));
    three.middle.params.key_usages = Vec::new();
    assert_eq!(three.judge(), Err(Refusal::NotAnIssuer));
}

#[test]
fn a_leaf_cannot_be_pinned_as_a_ca() {
    let leaf = Party::server(&[HOST]).self_signed();
    assert_eq!(judge(&leaf, &[&leaf]), Err(Refusal::NotAnIssuer));
}

#[test]
fn a_path_length_is_kept_by_intermediates_and_by_the_pinned_ca() {
    let (low, server) = (Party::ca("low", None), Party::server(&[HOST]));
    let server = server.signed_by(&low);
    for (root_len, middle_len, verdict) in [
        (None, Some(1), Ok(())),
        (Some(2), Some(1), Ok(())),
        (None, Some(0), Err(Refusal::PathLength)),
        (Some(1), Some(1), Err(Refusal::PathLength)),
    ] {
        let root = Party::ca("root", root_len);
        let middle = Party::ca("middle", middle_len);
        let (low, middle) = (low.signed_by(&middle), middle.signed_by(&root));
        let judged = judge(&root.self_signed(), &[&server, &low, &middle]);
        assert_eq!(judged, verdict, "{root_len:?} {middle_len:?}");
    }
}

#[test]
fn another_ca_of_the_same_name_is_not_believed() {
    let (root, impostor) = (Party::ca("root", None), Party::ca("root", None));
    let server = Party::server(&[HOST]).signed_by(&impostor);
    let refused = judge(&root.self_signed(), &[&server]);
    assert_eq!(refused, Err(Refusal::WrongSignature));
    let refused = judge(&root.self_signed(), &[&server, &impostor.self_signed()]);
    // The chain goes in a circle at the impostor's own certificate, and ends.
    assert!(
        matches!(refused, Err(Refusal::WrongSignature | Refusal::TooLong)),
        "{refused:?}"
    );
}

#[test]
fn a_chain_to_another_ca_is_not_believed() {
    let (root, other) = (Party::ca("root", None), Party::ca("other", None));
    let server = Party::server(&[HOST]).signed_by(&other);
    let ca = root.self_signed();
    assert_eq!(judge(&ca, &[&server]), Err(Refusal::Untrusted));
    let refused = judge(&ca, &[&server, &other.self_signed()]);
    assert_eq!(refused, Err(Refusal::TooLong));
    assert_eq!(judge(&ca, &[]), Err(Refusal::NoCertificate));
}

#[test]
fn an_altered_certificate_is_refused() {
    let root = Party::ca("root", None);
    let server = Party::server(&[HOST]).signed_by(&root);
    let at = server
        .windows(HOST.len())
        .position(|window| window == HOST.as_bytes())
        .unwrap();
    let mut altered = server;
    altered[at] = b'x';
    let host = HOST.replacen('b', "x", 1);
    let refused = judge_at(TODAY, &root.self_signed(), &host, &[&altered]);
    assert_eq!(refused, Err(Refusal::WrongSignature));
}

#[test]
fn a_certificate_for_other_hosts_or_for_none_is_refused() {
    let root = Party::ca("root", None);
    let ca = root.self_signed();
    let other = Party::server(&["other.example.com"]).signed_by(&root);
    assert_eq!(judge(&ca, &[&other]), Err(Refusal::WrongHost));
    let address = Party::server(&["10.0.0.1"]).signed_by(&root);
    assert_eq!(judge(&ca, &[&address]), Err(Refusal::NoHostName));
    // The common name is no host name, whatever it says.
    let mut common_name = Party::new(HOST, &rcgen::PKCS_ECDSA_P256_SHA256);
    common_name.params.is_ca = IsCa::ExplicitNoCa;
    assert_eq!(
        judge(&ca, &[&common_name.signed_by(&root)]),
        Err(Refusal::NoHostName)
    );
}

#[test]
fn dates_are_judged_when_there_is_a_clock() {
    let mut three = Three::new();
    three.server.params.not_after = date_time_ymd(2026, 5, 31);
    assert_eq!(three.judge(), Err(Refusal::Expired));
    three.server.params.not_after = date_time_ymd(2060, 1, 1);
    assert_eq!(three.judge(), Ok(()), "GeneralizedTime is read too");
    three.server.params.not_before = date_time_ymd(2026, 6, 2);
    assert_eq!(three.judge(), Err(Refusal::NotYetValid));

    let server = three.server.signed_by(&three.root);
    let blind = judge_at(Now::NoClock, &three.root.self_signed(), HOST, &[&server]);
    assert_eq!(blind, Ok(()));
}

#[test]
fn an_expired_intermediate_ca_is_refused() {
    let mut three = Three::new();
    three.middle.params.not_after = date_time_ymd(2026, 5, 31);
    assert_eq!(three.judge(), Err(Refusal::Expired));
}

fn extension(critical: bool) -> CustomExtension {
    let mut extension =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(critical);
    extension
}

#[test]
fn an_unknown_extension_is_refused_only_if_it_is_critical() {
    let mut three = Three::new();
    three.server.params.custom_extensions = vec![extension(false)];
    three.middle.params.custom_extensions = vec![extension(false)];
    assert_eq!(three.judge(), Ok(()));
    three.middle.params.custom_extensions = vec![extension(true)];
    assert_eq!(
        three.judge(),
        Err(Refusal::Untrusted),
        "as if it were not there"
    );
    three.middle.params.custom_extensions = Vec::new();
    three.server.params.custom_extensions = vec![extension(true)];
    assert_eq!(three.judge(), Err(Refusal::UnknownExtension));
}

#[test]
fn name_constraints_are_refused_because_they_are_not_enforced() {
    let mut three = Three::new();
    three.middle.params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".into())],
        excluded_subtrees: Vec::new(),
    });
    assert_eq!(
        three.judge(),
        Err(Refusal::Untrusted),
        "as if it were not there"
    );
}

#[test]
fn a_repeated_extension_is_refused() {
    let root = Party::ca("root", None);
    let mut server = Party::server(&[HOST]);
    // A second list of alternative names.
    let again = CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 0]);
    server.params.custom_extensions = vec![again];
    let refused = judge(&root.self_signed(), &[&server.signed_by(&root)]);
    assert_eq!(refused, Err(Refusal::RepeatedExtension));
}

#[test]
fn a_certificate_for_another_purpose_is_refused() {
    let mut three = Three::new();
    three.server.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(three.judge(), Err(Refusal::WrongUsage));
    three.server.params.extended_key_usages = Vec::new();
    three.server.params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    assert_eq!(three.judge(), Err(Refusal::WrongUsage));
    three.server.params.key_usages = Vec::new();
    assert_eq!(three.judge(), Ok(()), "absent means any");
    three.middle.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(three.judge(), Err(Refusal::WrongUsage));
}

#[test]
fn a_ca_is_no_server() {
    let root = Party::ca("root", None);
    let mut server = Party::server(&[HOST]);
    server.params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let refused = judge(&root.self_signed(), &[&server.signed_by(&root)]);
    assert_eq!(refused, Err(Refusal::ServerIsCa));
}

#[test]
fn keys_and_signatures_of_other_kinds_are_refused_not_misread() {
    let odd = Party::ca_with("odd root", None, &PKCS_ED25519);
    assert_eq!(judge(&odd.self_signed(), &[&[]]), Err(Refusal::Unsupported));
    let root = Party::ca("root", None);
    let server = Party::server_with(&[HOST], &PKCS_ED25519).signed_by(&root);
    assert_eq!(
        judge(&root.self_signed(), &[&server]),
        Err(Refusal::Unsupported)
    );
}

#[cfg(feature = "p384")]
#[test]
fn chains_on_p384_are_believed_and_altered_ones_are_not() {
    use rcgen::PKCS_ECDSA_P384_SHA384;
    let root = Party::ca_with("root", None, &PKCS_ECDSA_P384_SHA384);
    let middle = Party::ca("middle", None);
    let chain = [
        Party::server_with(&[HOST], &PKCS_ECDSA_P384_SHA384).signed_by(&middle),
        middle.signed_by(&root),
    ];
    let ca = root.self_signed();
    assert_eq!(judge(&ca, &[&chain[0], &chain[1]]), Ok(()));
    let other = Party::ca_with("root", None, &PKCS_ECDSA_P384_SHA384).self_signed();
    assert_eq!(
        judge(&other, &[&chain[0], &chain[1]]),
        Err(Refusal::WrongSignature)
    );
}

#[test]
fn a_truncated_certificate_is_refused_at_every_length() {
    let root = Party::ca("root", None);
    let ca = root.self_signed();
    let server = Party::server(&[HOST]).signed_by(&root);
    for len in 0..server.len() {
        assert_eq!(
            judge(&ca, &[&server[..len]]),
            Err(Refusal::Malformed),
            "{len} bytes"
        );
    }
    let mut longer = server;
    longer.push(0);
    assert_eq!(judge(&ca, &[&longer]), Err(Refusal::Malformed));
}

#[test]
fn a_hostile_chain_costs_a_bounded_number_of_signatures() {
    // All others bear the name of the issuer, and the right one is always the last to be tried:
    // seven checks to find the server's issuer, and as many again to find that one's.
    let twins: Vec<Party> = (1..CERTIFICATES_MAX)
        .map(|_| Party::ca("twin", None))
        .collect();
    let mut issuer = &Party::ca("twin", None);
    let mut chain = Vec::new();
    for twin in &twins {
        chain.push(twin.signed_by(issuer));
        issuer = twin;
    }
    chain.insert(0, Party::server(&[HOST]).signed_by(issuer));
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    assert!(u32::try_from(2 * twins.len()).unwrap() > SIGNATURES_MAX);
    let ca = Party::ca("root", None).self_signed();
    assert_eq!(judge(&ca, &chain), Err(Refusal::TooLong));

    let longer = [chain.as_slice(), &chain[..1]].concat();
    assert_eq!(judge(&ca, &longer), Err(Refusal::TooMany));
}
