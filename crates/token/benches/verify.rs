//! What it costs to verify an access token, by algorithm.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set up has failed")]

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use criterion::{Criterion, criterion_group, criterion_main};
use fathom_proto::identity::KeySet;
use fathom_token::{Claims, SigningAlgorithm, TYPE, Verifier};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

const NOW: i64 = 1_800_000_000;

fn key(algorithm: SigningAlgorithm) -> EncodingKey {
    let random = SystemRandom::new();
    match algorithm {
        SigningAlgorithm::EdDSA => {
            EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random).unwrap().as_ref())
        }
        SigningAlgorithm::ES256 => {
            let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
            EncodingKey::from_ec_der(document.as_ref())
        }
        SigningAlgorithm::RS256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            // PKCS #8 says 26 bytes before an RSA key of 2048 bits (RFC 5958).
            EncodingKey::from_rsa_der(&document.as_ref()[26..])
        }
    }
}

fn verify(criterion: &mut Criterion) {
    for algorithm in [
        SigningAlgorithm::EdDSA,
        SigningAlgorithm::ES256,
        SigningAlgorithm::RS256,
    ] {
        let key = key(algorithm);
        let mut jwk = Jwk::from_encoding_key(&key, algorithm.into()).unwrap();
        jwk.common.key_id = Some("k".to_owned());
        let verifier = Verifier::new(&KeySet {
            issuer: "https://fathom.example".to_owned(),
            audience: "fathom".to_owned(),
            jwks: json!({ "keys": [jwk] }).to_string(),
        })
        .unwrap();
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some("k".to_owned()),
            ..Header::new(algorithm.into())
        };
        let claims = Claims {
            iss: "https://fathom.example".to_owned(),
            sub: "0123456789abcdef0123456789abcdef".to_owned(),
            aud: "fathom".to_owned(),
            client_id: "0123456789abcdef0123456789abcdef".to_owned(),
            iat: NOW,
            exp: NOW + 3_600,
            nbf: None,
            jti: "fedcba9876543210fedcba9876543210".to_owned(),
            scope: "inference models:read".to_owned(),
            tenant: "acme".to_owned(),
        };
        let token = encode(&header, &claims, &key).unwrap();
        criterion.bench_function(&format!("verify {}", algorithm.as_str()), |bencher| {
            bencher.iter(|| verifier.verify(&token, NOW).unwrap());
        });
    }
}

criterion_group!(benches, verify);
criterion_main!(benches);
