//! A JWT as bearer.

use std::str;

use fathom_proto::identity::KeySet;
use fathom_token::{Verifier, signed};

/// The keys of RFC 8037, appendix A.2, and RFC 7517, appendix A.1. What these print of the private
/// halves is in no corpus, and no fuzzer finds it.
const KEYS: &str = r#"{"keys": [
    {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "ed",
     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "ec",
     "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// Nothing here is signed, so nothing holds, whatever it says of itself.
pub fn run(bytes: &[u8]) {
    let Ok(token) = str::from_utf8(bytes) else {
        return;
    };
    let set = KeySet {
        issuer: "https://fathom.example".to_owned(),
        audience: "fathom".to_owned(),
        jwks: KEYS.to_owned(),
    };
    let Ok(verifier) = Verifier::new(&set) else {
        panic!("the keys are good ones");
    };
    let _ = signed::header(token);
    let _ = signed::unverified_issuer(token);
    assert!(verifier.verify(token, 0).is_err(), "a forged token holds");
}
