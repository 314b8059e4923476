use std::fs;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};

use super::*;

const DOCUMENT: &str = r#"{"operation":"config_push","name":"c","content":"x"}"#;
const NOW_S: u64 = 1_800_000_000;

/// A signer, and a device that believes it.
fn pair(kind: &'static SignatureAlgorithm) -> (Signer, Signed) {
    let dir = tempfile::tempdir().unwrap();
    let (key, public) = (dir.path().join("key"), dir.path().join("key.pub"));
    let pair = KeyPair::generate_for(kind).unwrap();
    fs::write(&key, pair.serialize_pem()).unwrap();
    fs::write(&public, pair.public_key_pem()).unwrap();
    let keys = Keys::read(&[public]).unwrap();
    (
        Signer::read(&key).unwrap(),
        Signed::new(keys, false, "pump-17"),
    )
}

fn statement(document: &str) -> Statement {
    Statement {
        document: document.to_owned(),
        things: None,
        job_id: None,
        not_after: None,
    }
}

fn asked() -> Asked<'static> {
    Asked {
        job_id: Some("job-1"),
        resuming: false,
        now_s: NOW_S,
    }
}

#[test]
fn what_a_known_key_signed_is_opened_to_the_byte() {
    // Blanks and order of members stay as the signer wrote them.
    let document = "{ \"b\":1,\n \"a\" : \"\\u00e4\" }";
    for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let (signer, signed) = pair(kind);
        let sent = signer.sign(&statement(document), None).unwrap();
        let opened = signed.open(sent.as_bytes(), asked()).unwrap();
        assert_eq!(opened, document.as_bytes());
    }
}

#[test]
fn what_is_no_json_is_not_signed() {
    let (signer, _) = pair(&PKCS_ED25519);
    for document in ["", "{", "{} {}", "{},\"things\":[]"] {
        assert!(
            signer.sign(&statement(document), None).is_err(),
            "{document}"
        );
    }
}

#[test]
fn a_statement_that_says_a_thing_twice_is_refused() {
    for statement in [
        r#"{"document":{},"document":{}}"#,
        r#"{"document":{},"notAfter":1,"notAfter":2}"#,
        r#"{"things":[]}"#,
    ] {
        assert!(
            Statement::read(statement.as_bytes()).is_err(),
            "{statement}"
        );
    }
}

#[test]
fn a_signature_of_another_key_is_not_believed() {
    let (_, signed) = pair(&PKCS_ECDSA_P256_SHA256);
    let (stranger, _) = pair(&PKCS_ECDSA_P256_SHA256);
    let sent = stranger.sign(&statement(DOCUMENT), None).unwrap();
    let why = signed.open(sent.as_bytes(), asked()).unwrap_err();
    assert!(why.contains("no key that this device knows"), "{why}");
}

#[test]
fn no_single_changed_byte_of_statement_or_signature_passes() {
    let (signer, signed) = pair(&PKCS_ED25519);
    let sent = signer.sign(&statement(DOCUMENT), None).unwrap();
    let envelope: Envelope = serde_json::from_str(&sent).unwrap();
    let changed = |text: &str, at: usize| {
        let mut bytes = STANDARD.decode(text).unwrap();
        bytes[at] ^= 1;
        STANDARD.encode(bytes)
    };
    for at in 0..STANDARD.decode(&envelope.signed).unwrap().len() {
        let other = Envelope {
            signed: changed(&envelope.signed, at),
            signature: envelope.signature.clone(),
            url: None,
        };
        let sent = serde_json::to_vec(&other).unwrap();
        assert!(signed.open(&sent, asked()).is_err(), "byte {at}");
    }
    for at in 0..STANDARD.decode(&envelope.signature).unwrap().len() {
        let other = Envelope {
            signed: envelope.signed.clone(),
            signature: changed(&envelope.signature, at),
            url: None,
        };
        let sent = serde_json::to_vec(&other).unwrap();
        assert!(signed.open(&sent, asked()).is_err(), "signature {at}");
    }
}

#[test]
fn a_document_is_done_only_by_whom_as_what_and_when_it_was_meant() {
    let (signer, signed) = pair(&PKCS_ED25519);
    let open = |change: &dyn Fn(&mut Statement), asked: Asked<'_>| {
        let mut statement = statement(DOCUMENT);
        change(&mut statement);
        let sent = signer.sign(&statement, None).unwrap();
        signed.open(sent.as_bytes(), asked).map(|_| ())
    };
    let things = |names: &'static [&str]| {
        move |statement: &mut Statement| {
            statement.things = Some(names.iter().map(|&name| name.to_owned()).collect());
        }
    };
    assert_eq!(open(&things(&["pump-16", "pump-17"]), asked()), Ok(()));
    assert!(open(&things(&["pump-16"]), asked()).is_err());
    assert!(open(&things(&[]), asked()).is_err());
    let job = |id: &'static str| move |s: &mut Statement| s.job_id = Some(id.to_owned());
    assert_eq!(open(&job("job-1"), asked()), Ok(()));
    assert!(open(&job("job-2"), asked()).is_err());
    let until = |end_s: u64| move |s: &mut Statement| s.not_after = Some(end_s);
    assert_eq!(open(&until(NOW_S), asked()), Ok(()));
}

#[test]
fn an_old_document_cannot_be_sent_again_and_one_that_was_begun_in_time_goes_on() {
    let (signer, signed) = pair(&PKCS_ED25519);
    let mut old = statement(DOCUMENT);
    old.not_after = Some(NOW_S - 1);
    let sent = signer.sign(&old, None).unwrap();
    assert!(signed.open(sent.as_bytes(), asked()).is_err());
    let resuming = Asked {
        resuming: true,
        ..asked()
    };
    assert!(signed.open(sent.as_bytes(), resuming).is_ok());
    // A clock that was never set proves nothing.
    let unset = Asked {
        now_s: 17,
        ..asked()
    };
    let why = signed.open(sent.as_bytes(), unset).unwrap_err();
    assert!(why.contains("clock"), "{why}");
}

#[test]
fn where_an_end_is_asked_for_a_signature_without_one_is_refused() {
    let (signer, mut signed) = pair(&PKCS_ED25519);
    signed.expiry_required = true;
    let sent = signer.sign(&statement(DOCUMENT), None).unwrap();
    assert!(signed.open(sent.as_bytes(), asked()).is_err());
}

#[test]
fn neither_nesting_nor_other_members_are_taken() {
    let (signer, signed) = pair(&PKCS_ED25519);
    let inner = signer.sign(&statement(DOCUMENT), None).unwrap();
    let outer = signer.sign(&statement(&inner), None).unwrap();
    let why = signed.open(outer.as_bytes(), asked()).unwrap_err();
    assert!(why.contains("within a signed document"), "{why}");
    let more = inner.replace("{\"signed\"", "{\"operation\":\"reboot\",\"signed\"");
    assert!(signed.open(more.as_bytes(), asked()).is_err());
}

#[test]
fn a_signature_made_for_an_update_is_none_for_a_document() {
    // Both kinds may be checked with one key: the bytes begin differently.
    let digest = "00".repeat(32).parse().unwrap();
    assert!(!crate::update::statement("a", "1", digest).starts_with(MARK));
    assert!(!MARK.starts_with("jobs-agent update"));
}

/// An update without a URL.
const UPDATE: &str = r#"{"operation":"update","target":"a","version":"1","sha256":"SHA"}"#;

fn with_digest() -> String {
    UPDATE.replace("SHA", &"ab".repeat(32))
}

/// What comes out when this was signed and then a URL was laid beside it.
fn opened_with_url(document: &str) -> Result<String, String> {
    let (signer, signed) = pair(&PKCS_ED25519);
    let sent = signer.sign(&statement(document), None).unwrap();
    let sent = sent.replace("{\"signed\"", "{\"url\":\"https://u?a=b\",\"signed\"");
    let opened = signed.open(sent.as_bytes(), asked());
    opened.map(|json| String::from_utf8(json).unwrap())
}

#[test]
fn the_url_of_an_update_may_be_filled_in_after_it_was_signed() {
    let opened = opened_with_url(&with_digest()).unwrap();
    let opened: serde_json::Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened["url"], "https://u?a=b");
    assert_eq!(opened["sha256"], "ab".repeat(32));
    let (signer, signed) = pair(&PKCS_ED25519);
    let placeholder = "${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b/k}";
    let sent = signer.sign(&statement(&with_digest()), Some(placeholder));
    let sent = sent.unwrap();
    assert!(sent.contains(placeholder), "{sent}");
    let filled = sent.replace(placeholder, "https://b.s3/k?X-Amz-Signature=1");
    assert!(signed.open(filled.as_bytes(), asked()).is_ok());
}

#[test]
fn an_unsigned_url_without_a_signed_checksum_is_refused() {
    let short = UPDATE.replace("SHA", "ab");
    let none = r#"{"operation":"update","target":"a","version":"1"}"#;
    let number = r#"{"operation":"update","target":"a","version":"1","sha256":1}"#;
    for document in [none, number, &short] {
        let why = opened_with_url(document).unwrap_err();
        assert!(why.contains("sha256"), "{why}");
    }
}

#[test]
fn an_unsigned_url_is_taken_for_nothing_but_the_file_of_an_update() {
    for document in [
        r#"{"operation":"log_upload","source":"pump"}"#,
        r#"{"operation":"download-file","sha256":"00"}"#,
        r#"{"version":"1.0","steps":[]}"#,
        r#"{}"#,
        r#"[1]"#,
    ] {
        assert!(opened_with_url(document).is_err(), "{document}");
        let (signer, _) = pair(&PKCS_ED25519);
        let signed = signer.sign(&statement(document), Some("https://u"));
        assert!(signed.is_err(), "{document}");
    }
}

#[test]
fn a_url_that_was_signed_is_not_replaced_by_one_beside_it() {
    let document = with_digest().replace("{\"op", "{\"url\":\"https://signed\",\"op");
    let why = opened_with_url(&document).unwrap_err();
    assert!(why.contains("another one"), "{why}");
}
