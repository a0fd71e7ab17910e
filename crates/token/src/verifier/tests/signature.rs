//! Signatures that do not hold.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use super::{CLAIMS, NOW, for_each_algorithm, verifier};
use crate::SigningAlgorithm;
use crate::forger::{ALGORITHMS, Forger, hs256, message};

/// SEC-1 and SEC-4: signatures of nobody, of another key, of another form.
#[test]
fn a_signature_that_is_not_ours_is_refused() {
    for_each_algorithm(|forger, verifier| {
        let header = forger.header().to_string();
        let good = forger.sign(&header, CLAIMS);
        let (said, signature) = good.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let encoded = |bytes: &[u8]| format!("{said}.{}", URL_SAFE_NO_PAD.encode(bytes));
        let thief = Forger::new("k", forger.algorithm);
        let other = Forger::new("other", forger.algorithm);
        let none = |alg: &str| {
            let header = json!({ "typ": "at+jwt", "alg": alg, "kid": "k" }).to_string();
            format!("{}.", message(&header, CLAIMS))
        };
        let mut tokens = vec![
            ("empty signature", format!("{said}.")),
            ("no third part", said.to_owned()),
            ("fourth part", format!("{good}.")),
            ("five parts", format!("{good}..")),
            ("alg none", none("none")),
            ("alg None", none("None")),
            ("alg nOnE", none("nOnE")),
            ("all zeroes", encoded(&vec![0; bytes.len()])),
            ("r and s of zero", encoded(&[0; 64])),
            (
                "r and s of one",
                encoded(&[[0; 31].as_slice(), &[1], &[0; 31], &[1]].concat()),
            ),
            ("all ones", encoded(&vec![255; bytes.len()])),
            ("half", encoded(&bytes[..bytes.len() / 2])),
            ("one byte less", encoded(&bytes[1..])),
            ("one byte more", encoded(&[&bytes[..], b"x"].concat())),
            (
                "turned",
                encoded(&bytes.iter().rev().copied().collect::<Vec<_>>()),
            ),
            (
                "empty DER sequence",
                encoded(&[0x30, 0x06, 2, 1, 0, 2, 1, 0]),
            ),
            (
                "padded",
                format!("{said}.{}", URL_SAFE.encode(&bytes) + "="),
            ),
            (
                "the other alphabet",
                format!("{said}.{}+/", STANDARD.encode(&bytes)),
            ),
            ("space after", format!("{good} ")),
            ("space before", format!(" {good}")),
            ("newline after", format!("{good}\n")),
            ("newline within", format!("{said}.\n{signature}")),
            ("another key", thief.sign(&header, CLAIMS)),
            (
                "a key nobody knows",
                other.sign(&other.header().to_string(), CLAIMS),
            ),
            ("other claims", {
                let claims = CLAIMS.replace("inference", "admin");
                format!("{}.{signature}", message(&header, &claims))
            }),
            ("other header", {
                let header = header.replace('}', r#","cty":"JWT"}"#);
                format!("{}.{signature}", message(&header, CLAIMS))
            }),
        ];
        for algorithm in ALGORITHMS
            .into_iter()
            .filter(|other| *other != forger.algorithm)
        {
            // Signed by a key of another kind, under the name of ours.
            tokens.push((
                "another kind of key",
                Forger::new("k", algorithm).sign(&header, CLAIMS),
            ));
        }
        for (why, token) in tokens {
            assert!(
                verifier.verify(&token, NOW).is_err(),
                "{:?}: {why}",
                forger.algorithm
            );
        }
    });
}

/// SEC-2: the public key as the secret of an HMAC, in every form that it may be at hand in.
#[test]
fn a_public_key_is_no_secret() {
    for_each_algorithm(|forger, verifier| {
        let jwk = forger.jwk();
        let raw = |member: &str| {
            let text = jwk[member].as_str().unwrap_or_default();
            URL_SAFE_NO_PAD.decode(text).unwrap()
        };
        let point = [&[4][..], &raw("x"), &raw("y")].concat();
        let (der, plain) = match forger.algorithm {
            // RFC 8410, section 4, and RFC 5480, section 2.
            SigningAlgorithm::EdDSA => (hex("302a300506032b6570032100", &raw("x")), raw("x")),
            SigningAlgorithm::ES256 => (
                hex(
                    "3059301306072a8648ce3d020106082a8648ce3d030107034200",
                    &point,
                ),
                point,
            ),
            SigningAlgorithm::RS256 => {
                let modulus = [
                    &hex("3082010a0282010100", &raw("n"))[..],
                    &hex("0203", &raw("e")),
                ];
                let plain = modulus.concat();
                (
                    hex("30820122300d06092a864886f70d01010105000382010f00", &plain),
                    plain,
                )
            }
        };
        let lines: Vec<_> = STANDARD
            .encode(&der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
            lines.join("\n")
        );
        let bare = {
            let mut jwk = jwk.clone();
            jwk.as_object_mut()
                .unwrap()
                .retain(|name, _| !["kid", "alg"].contains(&name.as_str()));
            jwk
        };
        let set = json!({ "keys": [jwk] }).to_string();
        let secrets: Vec<Vec<u8>> = vec![
            der.clone(),
            plain.clone(),
            STANDARD.encode(&der).into(),
            URL_SAFE_NO_PAD.encode(&plain).into(),
            pem.clone().into(),
            format!("{pem}\n").into(),
            format!("{pem}\r\n").into(),
            pem.replace('\n', "").into(),
            jwk.to_string().into(),
            format!("{jwk}\n").into(),
            bare.to_string().into(),
            serde_json::to_vec_pretty(&jwk).unwrap(),
            set.into(),
            raw("x"),
            raw("n"),
            b"k".to_vec(),
            Vec::new(),
        ];
        for secret in secrets {
            for alg in ["HS256", forger.algorithm.as_str()] {
                let header = json!({ "typ": "at+jwt", "alg": alg, "kid": "k" }).to_string();
                assert!(
                    verifier
                        .verify(&hs256(&secret, &header, CLAIMS), NOW)
                        .is_err(),
                    "{alg}"
                );
            }
        }
    });
}

/// SEC-4: 10,000 tokens with flipped bits, none accepted.
#[test]
fn a_token_with_flipped_bits_is_refused() {
    for algorithm in ALGORITHMS {
        let forger = Forger::new("k", algorithm);
        let verifier = verifier(&[forger.jwk()]);
        let token = forger.sign(&forger.header().to_string(), CLAIMS);
        let runs = Runs {
            cases: 10_000,
            failure_persistence: None,
            ..Runs::default()
        };
        let flips = prop::collection::btree_set(0..token.len() * 7, 1..4);
        TestRunner::new_with_rng(runs, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
            .run(&flips, |flips| {
                let mut flipped = token.as_bytes().to_vec();
                for bit in &flips {
                    flipped[bit / 7] ^= 1 << (bit % 7);
                }
                let flipped = String::from_utf8(flipped).unwrap();
                prop_assert!(verifier.verify(&flipped, NOW).is_err(), "bits {flips:?}");
                Ok(())
            })
            .unwrap();
    }
}

/// `text` in hexadecimal, and then `bytes`.
fn hex(text: &str, bytes: &[u8]) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let prefix =
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    prefix.chain(bytes.iter().copied()).collect()
}
