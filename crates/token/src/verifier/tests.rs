//! SEC-1 to SEC-4, for each algorithm: tokens that look good, and must not be believed.

use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::SigningAlgorithm;
use crate::forger::{ALGORITHMS, Forger};

mod signature;

const NOW: i64 = 1_800_000_000;

const CLAIMS: &str = r#"{"iss":"http://127.0.0.1:8080","sub":"c","aud":"fathom","client_id":"c",
    "iat":1800000000,"exp":1800003600,"jti":"j","scope":"inference","tenant":"t"}"#;

fn verifier(keys: &[Value]) -> Verifier {
    Verifier::new(&KeySet {
        issuer: "http://127.0.0.1:8080".to_owned(),
        audience: "fathom".to_owned(),
        jwks: json!({ "keys": keys }).to_string(),
    })
    .unwrap()
}

/// Runs a check for a key of each algorithm.
fn for_each_algorithm(check: impl Fn(&Forger, &Verifier)) {
    for algorithm in ALGORITHMS {
        let forger = Forger::new("k", algorithm);
        let verifier = verifier(&[forger.jwk()]);
        let good = forger.sign(&forger.header().to_string(), CLAIMS);
        assert!(verifier.verify(&good, NOW).is_ok(), "{algorithm:?}");
        check(&forger, &verifier);
    }
}

#[test]
fn a_good_token_is_accepted() {
    for_each_algorithm(|forger, verifier| {
        let token = forger.sign(&forger.header().to_string(), CLAIMS);
        let (kid, claims) = verifier.verify(&token, NOW).unwrap();
        assert_eq!(kid, "k");
        assert_eq!(
            (claims.client_id.as_str(), claims.tenant.as_str()),
            ("c", "t")
        );
    });
}

/// Part of SEC-1, SEC-3 and SEC-4: a good signature under a header that is not ours.
#[test]
fn a_header_that_is_not_of_an_access_token_is_refused() {
    for_each_algorithm(|forger, verifier| {
        let alg = forger.algorithm.as_str();
        let with = |text: &str| format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"k"{text}}}"#);
        let mut headers = vec![
            format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"k"}}"#),
            format!(r#"{{"typ":"","alg":"{alg}","kid":"k"}}"#),
            format!(r#"{{"typ":"AT+JWT2","alg":"{alg}","kid":"k"}}"#),
            format!(r#"{{"typ":"client-authentication+jwt","alg":"{alg}","kid":"k"}}"#),
            format!(r#"{{"typ":["at+jwt"],"alg":"{alg}","kid":"k"}}"#),
            format!(r#"{{"typ":null,"alg":"{alg}","kid":"k"}}"#),
            format!(r#"{{"alg":"{alg}","kid":"k"}}"#),
            format!(r#"{{"typ":"at+jwt","alg":"{alg}"}}"#),
            format!(r#"{{"typ":"at+jwt","alg":["{alg}"],"kid":"k"}}"#),
            r#"{"typ":"at+jwt","kid":"k"}"#.to_owned(),
            with(r#","crit":["exp"]"#),
            with(r#","crit":["b64"],"b64":false"#),
            with(r#","crit":[]"#),
            with(r#","crit":"exp""#),
            with(r#","b64":false"#),
            with(r#","kid":"k""#),
            with(r#","typ":"at+jwt""#),
            with(&format!(r#","alg":"{alg}""#)),
            with(","),
            format!(r#"["at+jwt","{alg}","k"]"#),
            "null".to_owned(),
            String::new(),
        ];
        let kids = [
            "",
            "K",
            "k ",
            "' or 1=1 --",
            "../../dev/null",
            "/dev/null",
            "k\u{0}",
            "k\n",
            "http://127.0.0.1/k",
        ];
        let huge = "k".repeat(1024 * 1024);
        headers.extend(
            kids.into_iter()
                .chain([huge.as_str()])
                .map(|kid| json!({ "typ": "at+jwt", "alg": alg, "kid": kid }).to_string()),
        );
        headers.push(format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":7}}"#));
        let algorithms = [
            "none", "None", "nOnE", "NONE", "", "HS256", "HS384", "HS512", "RS256", "RS384",
            "RS512", "PS256", "PS512", "ES256", "ES384", "EdDSA", "eddsa", "rs256", "es256",
        ];
        let others = algorithms.into_iter().filter(|other| *other != alg);
        headers.extend(
            others.map(|alg| json!({ "typ": "at+jwt", "alg": alg, "kid": "k" }).to_string()),
        );
        for header in headers {
            let token = forger.sign(&header, CLAIMS);
            let shown: String = header.chars().take(80).collect();
            assert!(verifier.verify(&token, NOW).is_err(), "{alg}: {shown}");
        }
    });
}

/// Part of SEC-3: keys and addresses of keys in a header are neither used nor fetched.
#[test]
fn keys_in_a_header_are_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    for_each_algorithm(|forger, verifier| {
        let thief = Forger::new("k", forger.algorithm);
        for (member, value) in [
            ("jwk", thief.jwk()),
            ("jku", url.as_str().into()),
            ("x5u", url.as_str().into()),
            ("x5c", json!([STANDARD.encode("certificate")])),
            ("x5t", "AAAA".into()),
        ] {
            let mut header = thief.header();
            header[member] = value;
            let header = header.to_string();
            assert!(
                verifier.verify(&thief.sign(&header, CLAIMS), NOW).is_err(),
                "{member}"
            );
            // A token that is good without them is no worse with them.
            assert!(
                verifier.verify(&forger.sign(&header, CLAIMS), NOW).is_ok(),
                "{member}"
            );
        }
    });
    assert!(listener.accept().is_err(), "somebody fetched a key");
}

/// Part of SEC-4: a good signature over claims that must not be believed.
#[test]
fn claims_that_are_not_of_an_access_token_are_refused() {
    for_each_algorithm(|forger, verifier| {
        let header = forger.header().to_string();
        for (from, to) in [
            (r#""iss":"http://127.0.0.1:8080","#, ""),
            ("127.0.0.1:8080\"", "127.0.0.1:8080/\""),
            ("http://127", "HTTP://127"),
            ("http://127", " http://127"),
            (
                r#""iss":"http://127.0.0.1:8080""#,
                r#""iss":["http://127.0.0.1:8080"]"#,
            ),
            (r#""aud":"fathom","#, ""),
            (r#""aud":"fathom""#, r#""aud":["fathom"]"#),
            (r#""aud":"fathom""#, r#""aud":[]"#),
            (r#""aud":"fathom""#, r#""aud":"other""#),
            (r#""aud":"fathom""#, r#""aud":"Fathom""#),
            (r#""aud":"fathom""#, r#""aud":"fathom","aud":"fathom""#),
            (r#""sub":"c""#, r#""sub":"d""#),
            (r#""sub":"c","#, ""),
            (r#""client_id":"c","#, ""),
            (r#""client_id":"c""#, r#""client_id":null"#),
            (r#","tenant":"t""#, ""),
            (r#""tenant":"t""#, r#""tenant":"t","tenant":"u""#),
            (r#""jti":"j","#, ""),
            (r#""jti":"j""#, r#""jti":7"#),
            (r#""scope":"inference","#, ""),
            (r#""scope":"inference""#, r#""scope":["inference"]"#),
            (r#""exp":1800003600,"#, ""),
            (r#""exp":1800003600"#, r#""exp":"1800003600""#),
            (r#""exp":1800003600"#, r#""exp":null"#),
            (r#""exp":1800003600"#, r#""exp":-1800003600"#),
            (r#""exp":1800003600"#, r#""exp":1e400"#),
            (r#""exp":1800003600"#, r#""exp":NaN"#),
            (r#""exp":1800003600"#, r#""exp":Infinity"#),
            (r#""exp":1800003600"#, r#""exp":1800003600.5"#),
            (r#""exp":1800003600"#, r#""exp":99999999999999999999"#),
            (r#""exp":1800003600"#, r#""exp":1800000000"#),
            (
                r#""exp":1800003600"#,
                r#""exp":1800003600,"exp":1800003600"#,
            ),
            (r#""iat":1800000000,"#, ""),
            (r#""iat":1800000000"#, r#""iat":1800000061"#),
            (r#""iat":1800000000"#, r#""iat":-1"#),
            (
                r#""iat":1800000000"#,
                r#""iat":1800000000,"nbf":1800000061"#,
            ),
            (r#""iat":1800000000"#, r#""iat":1800000000,"nbf":"0""#),
            (
                r#""iat":1800000000,"exp":1800003600"#,
                r#""iat":1799990000,"exp":1799999940"#,
            ),
            ("}", ",}"),
            ("}", "}}"),
            ("{", "["),
        ] {
            let claims = CLAIMS.replacen(from, to, 1);
            assert_ne!(claims, CLAIMS, "{from}");
            let token = forger.sign(&header, &claims);
            assert!(verifier.verify(&token, NOW).is_err(), "{from} -> {to}");
        }
        let scopeless = CLAIMS.replace(r#""inference""#, r#""everything""#);
        let (_, claims) = verifier
            .verify(&forger.sign(&header, &scopeless), NOW)
            .unwrap();
        assert_eq!(claims.scopes(), Err(Refusal::NoScope));
    });
}

/// Part of SEC-4: the edges of a token's times.
#[test]
fn a_token_ends_a_minute_after_its_end() {
    for_each_algorithm(|forger, verifier| {
        let token = forger.sign(&forger.header().to_string(), CLAIMS);
        for (now, holds) in [
            (NOW - times::SKEW - 1, false),
            (NOW - times::SKEW, true),
            (NOW + 3_600 + times::SKEW - 1, true),
            (NOW + 3_600 + times::SKEW, false),
        ] {
            assert_eq!(verifier.verify(&token, now).is_ok(), holds, "{now}");
        }
    });
}

#[test]
fn a_key_set_needs_names_and_public_keys() {
    let key = Forger::new("k", SigningAlgorithm::EdDSA).jwk();
    let mut nameless = key.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    let set = |keys: Value| KeySet {
        issuer: "i".to_owned(),
        audience: "a".to_owned(),
        jwks: json!({ "keys": keys }).to_string(),
    };
    assert!(Verifier::new(&set(json!([nameless]))).is_err());
    assert!(Verifier::new(&set(json!([{ "kty": "oct", "k": "AA", "kid": "k" }]))).is_err());
    let verifier = Verifier::new(&set(json!([key]))).unwrap();
    assert!(verifier.has_key("k") && !verifier.has_key("other"));
}
