//! Looking into job documents.

use jobs_proto::document::Document;

const OTA: &[u8] = br#" {"afr_ota": {"protocols":["MQTT","HTTP"], "streamname":"AFR_OTA-X",
    "files":[{"filepath":"/a\/b","filesize":180568,"fileid":0},{"filesize":-7}]},
    "run":true,"stop":false,"big":18446744073709551616,"empty":[],"half":0.5,"no":null} "#;

#[test]
fn fields_are_found_by_type() {
    let document = Document(OTA);
    assert!(document.is_object());
    assert_eq!(
        (document.bool_field("run"), document.bool_field("stop")),
        (Some(true), Some(false))
    );
    assert_eq!(document.bool_field("no"), None);
    assert_eq!(
        (document.u64_field("big"), document.u64_field("half")),
        (None, None)
    );
    assert_eq!(document.raw_field("half"), Some(&b"0.5"[..]));
    assert_eq!(document.raw_field("absent"), None);
    let ota = document.object_field("afr_ota").unwrap();
    assert!(ota.str_field("streamname").unwrap().eq_str("AFR_OTA-X"));
    assert!(ota.object_field("streamname").is_none() && ota.str_field("files").is_none());
    assert_eq!(
        document.path(&["afr_ota", "streamname"]),
        Some(&b"\"AFR_OTA-X\""[..])
    );
    assert_eq!(document.path(&["afr_ota", "streamname", "x"]), None);
    assert_eq!(document.path(&["run", "x"]), None);
}

#[test]
fn arrays_are_walked_element_by_element() {
    let ota = Document(OTA).object_field("afr_ota").unwrap();
    let files: Vec<_> = ota.array_field("files").unwrap().map(Document).collect();
    assert_eq!(files.len(), 2);
    assert!(files[0].str_field("filepath").unwrap().eq_str("/a/b"));
    assert_eq!(files[0].u64_field("filesize"), Some(180_568));
    assert_eq!(
        (
            files[1].u64_field("filesize"),
            files[1].i64_field("filesize")
        ),
        (None, Some(-7))
    );
    let protocols: Vec<_> = ota.array_field("protocols").unwrap().collect();
    assert_eq!(protocols, [&b"\"MQTT\""[..], b"\"HTTP\""]);
    assert_eq!(Document(OTA).array_field("empty").unwrap().count(), 0);
    assert!(Document(OTA).array_field("run").is_none());
}

#[test]
fn names_are_compared_after_unescaping() {
    let document = Document(br#"{"\u006fp":1,"\\u006f":2}"#);
    assert_eq!(document.u64_field("op"), Some(1));
    assert_eq!(document.u64_field("\\u006f"), Some(2));
    assert_eq!(document.u64_field("\\u006fp"), None);
}

#[test]
fn documents_that_are_no_object_have_no_fields() {
    for bytes in [
        &b"[1]"[..],
        b"\"a\"",
        b"7",
        b"null",
        b"",
        b"{",
        b"{\"a\":1",
        b"{\"a\":1}}",
        b"{\"a\":1} 2",
    ] {
        assert!(!Document(bytes).is_object());
    }
    assert_eq!(Document(b"[\"a\",1]").u64_field("a"), None);
    assert_eq!(Document(b"{\"a\":1").u64_field("a"), None);
}
