use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::private_file;

const HERE: Place<'_> = Place {
    table: "client_secrets",
    row: "1",
};

fn ring(masters: &[(&str, u8)], peppers: &[(&str, u8)]) -> KeyRing {
    KeyRing {
        source: Path::new("keyring.json").into(),
        keys: watch::Sender::new(Arc::new(
            file::parse(&text(masters, peppers).into()).unwrap(),
        )),
    }
}

fn text(masters: &[(&str, u8)], peppers: &[(&str, u8)]) -> String {
    let list = |keys: &[(&str, u8)]| -> String {
        let entry = |(id, byte): &(&str, u8)| {
            format!(
                r#"{{"id":"{id}","key":"{}"}}"#,
                URL_SAFE_NO_PAD.encode([*byte; 32])
            )
        };
        keys.iter().map(entry).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"master":[{}],"pepper":[{}],"audit":[{}]}}"#,
        list(masters),
        list(peppers),
        list(&[("x", 9)])
    )
}

#[test]
fn a_sealed_value_opens_in_its_own_place_only() {
    let keys = ring(&[("a", 1)], &[("p", 1)]);
    let sealed = keys.seal(HERE, b"secret").unwrap();
    assert_eq!(keys.open(HERE, &sealed).unwrap().as_slice(), b"secret");
    assert!(keys.open(Place { row: "2", ..HERE }, &sealed).is_err());
    assert!(
        keys.open(
            Place {
                table: "signing_keys",
                ..HERE
            },
            &sealed
        )
        .is_err()
    );
}

#[test]
fn an_altered_value_does_not_open() {
    let keys = ring(&[("a", 1)], &[("p", 1)]);
    let sealed = keys.seal(HERE, b"secret").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&sealed.text).unwrap();
    for i in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[i / 8] ^= 1 << (i % 8);
        let altered = Sealed {
            text: URL_SAFE_NO_PAD.encode(bytes),
            ..sealed.clone()
        };
        assert!(keys.open(HERE, &altered).is_err(), "bit {i}");
    }
    for text in ["", "AAAA", "not base64!"] {
        let altered = Sealed {
            text: text.to_owned(),
            ..sealed.clone()
        };
        assert!(keys.open(HERE, &altered).is_err(), "{text}");
    }
}

#[test]
fn a_new_key_in_front_leaves_old_values_readable() {
    let before = ring(&[("a", 1)], &[("p", 1)]);
    let after = ring(&[("b", 2), ("a", 1)], &[("q", 2), ("p", 1)]);
    let sealed = before.seal(HERE, b"secret").unwrap();
    let mac = before.mac(b"message");
    assert_eq!(after.open(HERE, &sealed).unwrap().as_slice(), b"secret");
    assert!(after.verify(b"message", &mac));
    assert_eq!(after.seal(HERE, b"secret").unwrap().key_id, "b");
    assert_eq!(after.mac(b"message").key_id, "q");

    let without = ring(&[("b", 2)], &[("q", 2)]);
    assert!(without.open(HERE, &sealed).is_err());
    assert!(!without.verify(b"message", &mac));
    let renamed = Mac {
        key_id: "q".to_owned(),
        ..mac
    };
    assert!(!without.verify(b"message", &renamed));
    let unnamed = Mac {
        key_id: "p".to_owned(),
        ..without.mac(b"message")
    };
    assert!(!without.verify(b"message", &unnamed));
}

#[test]
fn a_faulty_file_is_refused_without_quoting_it() {
    let key = URL_SAFE_NO_PAD.encode([7; 32]);
    let short = URL_SAFE_NO_PAD.encode([7; 31]);
    let good = format!(r#"[{{"id":"a","key":"{key}"}}]"#);
    for text in [
        String::new(),
        "{}".to_owned(),
        format!(r#"{{"master":{good}}}"#),
        format!(r#"{{"master":{good},"pepper":[]}}"#),
        format!(r#"{{"master":{good},"pepper":{good},"more":1}}"#),
        format!(r#"{{"master":{good},"pepper":[{{"id":"a","key":"{short}"}}]}}"#),
        format!(r#"{{"master":{good},"pepper":[{{"id":"","key":"{key}"}}]}}"#),
        format!(
            r#"{{"master":{good},"pepper":[{{"id":"a","key":"{key}"}},{{"id":"a","key":"{key}"}}]}}"#
        ),
    ] {
        let problem = file::parse(&text.clone().into()).map(|_| ()).unwrap_err();
        assert!(
            !problem.contains(&key) && !problem.contains(&short),
            "{text}"
        );
    }
}

#[test]
fn debug_output_names_ids_alone() {
    let text = format!("{:?}", ring(&[("a", 1)], &[("p", 1)]));
    assert_eq!(text, r#"KeyRing { master: "a", pepper: "p", .. }"#);
}

#[tokio::test]
async fn the_first_start_makes_the_file_and_the_next_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.json");
    let (one, two) = tokio::join!(
        KeyRing::load_or_create(&path),
        KeyRing::load_or_create(&path)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    let sealed = one.seal(HERE, b"secret").unwrap();
    assert_eq!(two.open(HERE, &sealed).unwrap().as_slice(), b"secret");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let again = KeyRing::load_or_create(&path).await.unwrap();
    assert_eq!(again.open(HERE, &sealed).unwrap().as_slice(), b"secret");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        KeyRing::load_or_create(&path).await,
        Err(Error::ExposedFile { mode: 0o644, .. })
    ));
}

#[tokio::test]
async fn a_file_of_the_first_release_gets_an_audit_key_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.json");
    let former = text(&[("a", 1)], &[("p", 1)]);
    let former = former.split_once(r#","audit""#).unwrap().0.to_owned() + "}";
    private_file::create(&path, &former.into()).await.unwrap();
    let (one, two) = tokio::join!(
        KeyRing::load_or_create(&path),
        KeyRing::load_or_create(&path)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(two.verify_audit(b"row", &one.audit_mac(b"row")));
    assert_eq!(
        (one.first_master(), one.first_pepper()),
        ("a".into(), "p".into())
    );
}

#[tokio::test]
async fn a_running_service_learns_of_a_key_put_in_front_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.json");
    let running = KeyRing::load_or_create(&path).await.unwrap();
    let (old, sealed) = (
        running.first_master(),
        running.seal(HERE, b"secret").unwrap(),
    );
    let new = prepend(&path, List::Master).await.unwrap();
    running.refresh().await.unwrap();
    assert_eq!(running.first_master(), new);
    assert_eq!(running.open(HERE, &sealed).unwrap().as_slice(), b"secret");

    let in_use = BTreeSet::from([old.clone()]);
    for (id, in_use) in [(&new, &BTreeSet::new()), (&old, &in_use)] {
        let error = remove(&path, id, in_use).await.unwrap_err();
        assert!(matches!(error, Error::KeyStays { .. }), "{error}");
    }
    let error = remove(&path, "x", &BTreeSet::new()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");

    remove(&path, &old, &BTreeSet::new()).await.unwrap();
    running.refresh().await.unwrap();
    assert!(!running.has_master(&old) && running.open(HERE, &sealed).is_err());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_file_leaves_a_running_service_with_the_keys_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.json");
    let running = KeyRing::load_or_create(&path).await.unwrap();
    let sealed = running.seal(HERE, b"secret").unwrap();
    private_file::replace(&path, &"{".into()).await.unwrap();
    assert!(running.refresh().await.is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(running.refresh().await.is_err());
    assert_eq!(running.open(HERE, &sealed).unwrap().as_slice(), b"secret");
}

#[test]
fn a_source_is_a_path_or_a_variable() {
    for (text, source) in [
        ("env:KEYS", KeyRingSource::Environment("KEYS".to_owned())),
        ("/a/env:b", KeyRingSource::File("/a/env:b".into())),
    ] {
        let read: KeyRingSource = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!((&read, read.to_string().as_str()), (&source, text));
    }
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named() {
    let source = KeyRingSource::Environment("FATHOM_NO_SUCH_VARIABLE".to_owned());
    let error = KeyRing::load_or_create(source).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "env:FATHOM_NO_SUCH_VARIABLE is not a key ring: the variable is not set"
    );
}
