//! Tokens made by hand, whatever they say.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use crate::SigningAlgorithm;

/// PKCS #8 says this much before an RSA key of 2048 bits (RFC 5958).
const RSA_PREFIX_BYTES: usize = 26;

pub(crate) const ALGORITHMS: [SigningAlgorithm; 3] = [
    SigningAlgorithm::EdDSA,
    SigningAlgorithm::ES256,
    SigningAlgorithm::RS256,
];

/// A key pair, and what can be done with it.
pub(crate) struct Forger {
    pub kid: &'static str,
    pub algorithm: SigningAlgorithm,
    key: EncodingKey,
}

impl Forger {
    pub(crate) fn new(kid: &'static str, algorithm: SigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let key = match algorithm {
            SigningAlgorithm::EdDSA => {
                let document = Ed25519KeyPair::generate_pkcs8v1(&random).unwrap();
                EncodingKey::from_ed_der(document.as_ref())
            }
            SigningAlgorithm::ES256 => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
                EncodingKey::from_ec_der(document.as_ref())
            }
            SigningAlgorithm::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                EncodingKey::from_rsa_der(&document.as_ref()[RSA_PREFIX_BYTES..])
            }
        };
        Self {
            kid,
            algorithm,
            key,
        }
    }

    /// The public half.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm.into()).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = self.kid.into();
        jwk
    }

    /// A header as we make it.
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": self.algorithm.as_str(), "kid": self.kid })
    }

    /// A token with a good signature.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        self.sign_as(self.algorithm.into(), header, claims)
    }

    pub(crate) fn sign_as(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let signature = crypto::sign(message.as_bytes(), &self.key, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// A token with an HMAC for a signature.
pub(crate) fn hs256(secret: &[u8], header: &str, claims: &str) -> String {
    let message = message(header, claims);
    let key = EncodingKey::from_secret(secret);
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// `header.claims` in base64url.
pub(crate) fn message(header: &str, claims: &str) -> String {
    let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}", encode(header), encode(claims))
}
