use serde_json::{Value, json};

use super::*;
use crate::forger::{ALGORITHMS, Forger};

fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    jwk[member] = value;
    jwk
}

#[test]
fn a_key_fixes_its_algorithm() {
    for algorithm in ALGORITHMS {
        let jwk = Forger::new("k", algorithm).jwk();
        let key = PublicKey::from_jwk(&jwk).unwrap();
        assert_eq!(key.algorithm, algorithm.into());
        assert_eq!(key.kid.as_deref(), Some("k"));

        let mut plain = jwk.clone();
        for member in ["alg", "kid", "use"] {
            plain.as_object_mut().unwrap().remove(member);
        }
        let key = PublicKey::from_jwk(&plain).unwrap();
        assert_eq!((key.algorithm, key.kid), (algorithm.into(), None));
    }
}

/// Part of SEC-2: a name narrows what the type of the key allows, and never widens it.
#[test]
fn the_name_of_an_algorithm_must_fit_the_key() {
    for algorithm in ALGORITHMS {
        let jwk = Forger::new("k", algorithm).jwk();
        for name in [
            "HS256", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "ES256", "ES384",
            "EdDSA", "none", "RSA-OAEP", "", "rs256",
        ] {
            let taken = PublicKey::from_jwk(&with(jwk.clone(), "alg", name.into())).is_ok();
            let fits = name == algorithm.as_str()
                || (algorithm == SigningAlgorithm::RS256 && name == "PS256");
            assert_eq!(taken, fits, "{algorithm:?} as {name}");
        }
    }
    let rsa = Forger::new("k", SigningAlgorithm::RS256).jwk();
    let key = PublicKey::from_jwk(&with(rsa, "alg", "PS256".into())).unwrap();
    assert_eq!(key.algorithm, Algorithm::PS256);
}

#[test]
fn a_private_key_is_refused_by_name() {
    for algorithm in ALGORITHMS {
        let jwk = Forger::new("k", algorithm).jwk();
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            let error = PublicKey::from_jwk(&with(jwk.clone(), member, "AQAB".into()));
            assert_eq!(error.unwrap_err(), InvalidKey::Secret, "{member}");
        }
    }
    let symmetric = json!({ "kty": "oct", "k": "AAAA", "alg": "HS256" });
    assert_eq!(
        PublicKey::from_jwk(&symmetric).unwrap_err(),
        InvalidKey::Secret
    );
}

#[test]
fn weak_or_foreign_keys_are_refused() {
    let rsa = Forger::new("k", SigningAlgorithm::RS256).jwk();
    let modulus = rsa["n"].as_str().unwrap();
    assert_eq!(modulus.len(), 342);
    for (jwk, why) in [
        (with(rsa.clone(), "n", modulus[..171].into()), "1024 bits"),
        (with(rsa.clone(), "n", modulus[..340].into()), "2040 bits"),
        (
            json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" }),
            "P-384",
        ),
        (
            json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }),
            "P-521",
        ),
        (
            json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }),
            "secp256k1",
        ),
        (json!({ "kty": "OKP", "crv": "Ed448", "x": "AA" }), "Ed448"),
        (
            json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }),
            "X25519",
        ),
        (
            json!({ "kty": "OKP", "crv": "P-256", "x": "AA" }),
            "a curve of another type",
        ),
        (json!({ "kty": "dance" }), "unknown type"),
        (json!({}), "nothing"),
        (json!([]), "a list"),
        (Value::Null, "null"),
        (with(rsa.clone(), "use", "enc".into()), "for encryption"),
        (with(rsa.clone(), "n", "!".repeat(342).into()), "no base64"),
    ] {
        assert!(PublicKey::from_jwk(&jwk).is_err(), "{why}");
    }
}

#[test]
fn a_set_is_taken_whole_or_not_at_all() {
    let good = Forger::new("k", SigningAlgorithm::EdDSA).jwk();
    let set = json!({ "keys": [good, good] });
    assert_eq!(PublicKey::from_jwks(&set).unwrap().len(), 2);
    let set = json!({ "keys": [good, { "kty": "oct", "k": "AA" }] });
    assert_eq!(PublicKey::from_jwks(&set).unwrap_err(), InvalidKey::Secret);
    for set in [json!({}), json!([good]), json!({ "keys": good })] {
        assert_eq!(
            PublicKey::from_jwks(&set).unwrap_err(),
            InvalidKey::Malformed
        );
    }
}
