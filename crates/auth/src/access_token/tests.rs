use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::crypto;

use super::*;
use crate::keyring::KeyRing;

const NOW: i64 = 1_800_000_000;

const CLAIMS: &str = r#"{"iss":"http://127.0.0.1:8080","sub":"c","aud":"fathom","client_id":"c",
    "iat":1800000000,"exp":1800003600,"jti":"j","scope":"inference","tenant":"t"}"#;

async fn keys() -> SigningKeys {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.json");
    SigningKeys::generate(&KeyRing::load_or_create(&path).await.unwrap()).unwrap()
}

fn header(keys: &SigningKeys) -> String {
    format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{}"}}"#, keys.kid)
}

fn message(header: &str, claims: &str) -> String {
    let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}", encode(header), encode(claims))
}

/// A token with a good signature, whatever it says.
fn signed(keys: &SigningKeys, header: &str, claims: &str) -> String {
    let message = message(header, claims);
    let signature = crypto::sign(message.as_bytes(), &keys.encoding, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn with_hmac(header: &str, secret: &[u8]) -> String {
    let message = message(header, CLAIMS);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

fn is_good(keys: &SigningKeys, token: &str) -> bool {
    verify(token, keys, &Config::default(), NOW).is_ok()
}

#[tokio::test]
async fn a_good_token_is_accepted() {
    let keys = keys().await;
    let token = signed(&keys, &header(&keys), CLAIMS);
    let claims = verify(&token, &keys, &Config::default(), NOW).unwrap();
    assert_eq!(
        (claims.client_id.as_str(), claims.tenant.as_str()),
        ("c", "t")
    );
}

/// Part of SEC-1, SEC-3 and SEC-4: a good signature under a header that is not ours.
#[tokio::test]
async fn a_header_that_is_not_of_an_access_token_is_refused() {
    let keys = keys().await;
    let kid = &keys.kid;
    for header in [
        format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"jwt","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"typ":["at+jwt"],"alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        r#"{"typ":"at+jwt","alg":"EdDSA"}"#.to_owned(),
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"' or 1=1 --"}"#.to_owned(),
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"../../dev/null"}"#.to_owned(),
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":7}"#.to_owned(),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}","crit":["exp"]}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}","crit":["b64"],"b64":false}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}","crit":[]}}"#),
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","alg":["EdDSA"],"kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","kid":"{kid}"}}"#),
        String::new(),
    ]
    .into_iter()
    .chain(
        [
            "none", "None", "nOnE", "", "HS256", "RS256", "ES256", "PS256", "eddsa",
        ]
        .map(|alg| format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{kid}"}}"#)),
    ) {
        assert!(!is_good(&keys, &signed(&keys, &header, CLAIMS)), "{header}");
    }
}

/// Part of SEC-4: a good signature over claims that must not be believed.
#[tokio::test]
async fn claims_that_are_not_of_an_access_token_are_refused() {
    let keys = keys().await;
    let header = header(&keys);
    for (from, to) in [
        (r#""iss":"http://127.0.0.1:8080","#, ""),
        ("127.0.0.1:8080\"", "127.0.0.1:8080/\""),
        ("http://127", "HTTP://127"),
        (r#""aud":"fathom","#, ""),
        (r#""aud":"fathom""#, r#""aud":["fathom"]"#),
        (r#""aud":"fathom""#, r#""aud":"other""#),
        (r#""sub":"c""#, r#""sub":"d""#),
        (r#""client_id":"c","#, ""),
        (r#","tenant":"t""#, ""),
        (r#""exp":1800003600,"#, ""),
        (r#""exp":1800003600"#, r#""exp":"1800003600""#),
        (r#""exp":1800003600"#, r#""exp":null"#),
        (r#""exp":1800003600"#, r#""exp":-1800003600"#),
        (r#""exp":1800003600"#, r#""exp":1e400"#),
        (r#""exp":1800003600"#, r#""exp":NaN"#),
        (r#""exp":1800003600"#, r#""exp":1800003600.5"#),
        (r#""exp":1800003600"#, r#""exp":99999999999999999999"#),
        (r#""exp":1800003600"#, r#""exp":1800000000"#),
        (
            r#""exp":1800003600"#,
            r#""exp":1800003600,"exp":1800003600"#,
        ),
        (r#""iat":1800000000,"#, ""),
        (r#""iat":1800000000"#, r#""iat":1800000061"#),
        (
            r#""iat":1800000000,"exp":1800003600"#,
            r#""iat":1799990000,"exp":1799999940"#,
        ),
        ("}", "} "),
        ("}", ",}"),
    ] {
        let claims = CLAIMS.replacen(from, to, 1);
        assert_ne!(claims, CLAIMS, "{from}");
        let good = is_good(&keys, &signed(&keys, &header, &claims));
        // White space after the object is the one change that changes nothing.
        assert_eq!(good, to == "} ", "{from} -> {to}");
    }
}

/// Part of SEC-1 and SEC-2: signatures of none, of another key, of the public key as a secret.
#[tokio::test]
async fn a_signature_that_is_not_ours_is_refused() {
    let (keys, others) = (keys().await, keys().await);
    let header = header(&keys);
    let message = message(&header, CLAIMS);
    let good = signed(&keys, &header, CLAIMS);
    let signature = good.rsplit_once('.').unwrap().1;
    let public_key = keys.public_key();
    let hs256 = header.replace("EdDSA", "HS256");
    let jwk = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(&public_key)
    );
    // The prefix of every Ed25519 SubjectPublicKeyInfo (RFC 8410, section 4).
    let der = [
        &b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..],
        &public_key,
    ]
    .concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
        STANDARD.encode(&der)
    );
    let with_key = header.replace("}", &format!(r#","jwk":{jwk}}}"#));
    for (name, token) in [
        ("empty signature", format!("{message}.")),
        ("no third part", message.clone()),
        ("fourth part", format!("{good}.")),
        (
            "all zeroes",
            format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        ),
        (
            "padded",
            format!(
                "{message}.{}",
                URL_SAFE.encode(URL_SAFE_NO_PAD.decode(signature).unwrap())
            ),
        ),
        ("space after", format!("{good} ")),
        ("space before", format!(" {good}")),
        ("newline after", format!("{good}\n")),
        ("another key", signed(&others, &header, CLAIMS)),
        ("another key under its own name", {
            signed(&others, &super::tests::header(&others), CLAIMS)
        }),
        ("key in the header", signed(&others, &with_key, CLAIMS)),
        ("public key as secret", with_hmac(&hs256, &public_key)),
        (
            "public key as secret, unnamed alg",
            with_hmac(&header, &public_key),
        ),
        ("DER as secret", with_hmac(&hs256, &der)),
        ("PEM as secret", with_hmac(&hs256, pem.as_bytes())),
        (
            "PEM and newline as secret",
            with_hmac(&hs256, format!("{pem}\n").as_bytes()),
        ),
        ("JWK as secret", with_hmac(&hs256, jwk.as_bytes())),
        ("nothing as secret", with_hmac(&hs256, b"")),
        ("other claims", {
            let other = signed(&keys, &header, &CLAIMS.replace("inference", "admin"));
            format!("{}.{signature}", other.rsplit_once('.').unwrap().0)
        }),
    ] {
        assert!(!is_good(&keys, &token), "{name}");
    }
    assert!(is_good(&keys, &good));
}
