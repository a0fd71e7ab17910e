use super::*;

/// Public keys that were made for these tests; nobody has their private halves.
const JWKS: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"OKP","crv":"Ed25519","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","kid":"a","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

#[test]
fn the_header_names_one_key_of_its_algorithm() {
    let key = |algorithm, kid: Option<&str>| {
        let header = Header {
            kid: kid.map(str::to_owned),
            ..Header::new(algorithm)
        };
        let key = key_for(JWKS, &header);
        key.map(|key| (key.algorithm, key.kid.unwrap()))
    };
    let found = |algorithm, kid: &str| Some((algorithm, kid.to_owned()));
    use Algorithm::{ES256, EdDSA, HS256, PS256, RS256};
    assert_eq!(key(EdDSA, Some("a")), found(EdDSA, "a"));
    assert_eq!(key(EdDSA, Some("b")), found(EdDSA, "b"));
    assert_eq!(key(EdDSA, None), None, "one of two");
    assert_eq!(key(ES256, None), found(ES256, "a"), "the only one");
    assert_eq!(key(ES256, Some("a")), found(ES256, "a"));
    for (algorithm, kid) in [
        (ES256, "b"),
        (EdDSA, "c"),
        (RS256, "a"),
        (PS256, "a"),
        (HS256, "a"),
    ] {
        assert_eq!(key(algorithm, Some(kid)), None, "{algorithm:?} {kid}");
    }
    for jwks in [
        "",
        "null",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AA"}]}"#,
    ] {
        assert!(key_for(jwks, &Header::new(EdDSA)).is_none(), "{jwks}");
    }
}
