//! One key: making it, keeping it, signing with it.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fathom_token::{Claims, SigningAlgorithm, TYPE};
use jsonwebtoken::Header;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};

use crate::Error;

/// A key that signs access tokens.
pub(crate) struct SigningKey {
    kid: String,
    pair: Pair,
}

enum Pair {
    EdDSA(Ed25519KeyPair),
    ES256(EcdsaKeyPair),
    RS256(RsaKeyPair),
}

impl SigningKey {
    /// A fresh private key, PKCS #8. One of RSA takes a while: not for the runtime's threads.
    pub(super) fn generate(algorithm: SigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, Error> {
        let random = SystemRandom::new();
        let bytes = match algorithm {
            SigningAlgorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random)?.as_ref().to_vec(),
            SigningAlgorithm::ES256 => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::generate_pkcs8(curve, &random)?
                    .as_ref()
                    .to_vec()
            }
            SigningAlgorithm::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
                let document: Pkcs8V1Der<'_> = pair.as_der()?;
                document.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(bytes))
    }

    /// The key in a PKCS #8 document; `None` if it is not one of this algorithm.
    pub(super) fn from_pkcs8(
        kid: &str,
        algorithm: SigningAlgorithm,
        document: &[u8],
    ) -> Option<Self> {
        let pair = match algorithm {
            SigningAlgorithm::EdDSA => Ed25519KeyPair::from_pkcs8(document).map(Pair::EdDSA),
            SigningAlgorithm::ES256 => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_pkcs8(curve, document).map(Pair::ES256)
            }
            SigningAlgorithm::RS256 => RsaKeyPair::from_pkcs8(document).map(Pair::RS256),
        };
        Some(Self {
            kid: kid.to_owned(),
            pair: pair.ok()?,
        })
    }

    /// The public half as it is stored.
    pub(super) fn public_key(&self) -> String {
        match &self.pair {
            Pair::EdDSA(pair) => URL_SAFE_NO_PAD.encode(pair.public_key()),
            Pair::ES256(pair) => URL_SAFE_NO_PAD.encode(pair.public_key()),
            Pair::RS256(pair) => URL_SAFE_NO_PAD.encode(pair.public_key()),
        }
    }

    /// The public half as a JWK (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
    pub(super) fn public_jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::EdDSA(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) })
            }
            Pair::ES256(pair) => {
                // An uncompressed point: a byte that says so, then both coordinates.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
            }
            Pair::RS256(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": text(&public.n), "e": text(&public.e) })
            }
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm().as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A signed token (RFC 7515, section 3.1; RFC 9068, section 2.1).
    pub(crate) fn sign(&self, claims: &Claims) -> Result<SecretString, Error> {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.kid.clone()),
            ..Header::new(self.algorithm().into())
        };
        let mut token = part(&header)?;
        token.push('.');
        token.push_str(&part(claims)?);
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::EdDSA(pair) => pair.try_sign(token.as_bytes())?.as_ref().to_vec(),
            Pair::ES256(pair) => pair.sign(&random, token.as_bytes())?.as_ref().to_vec(),
            Pair::RS256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature)?;
                signature
            }
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token.into())
    }

    fn algorithm(&self) -> SigningAlgorithm {
        match self.pair {
            Pair::EdDSA(_) => SigningAlgorithm::EdDSA,
            Pair::ES256(_) => SigningAlgorithm::ES256,
            Pair::RS256(_) => SigningAlgorithm::RS256,
        }
    }
}

/// A part of a token.
fn part(value: &impl serde::Serialize) -> Result<String, Error> {
    let json = serde_json::to_vec(value).map_err(|_| Error::Cryptography)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use fathom_token::PublicKey;

    use super::*;

    #[test]
    fn every_algorithm_makes_keys_that_open_and_have_public_members_alone() {
        for (algorithm, members) in [
            (SigningAlgorithm::EdDSA, "alg crv kid kty use x"),
            (SigningAlgorithm::ES256, "alg crv kid kty use x y"),
            (SigningAlgorithm::RS256, "alg e kid kty n use"),
        ] {
            let document = SigningKey::generate(algorithm).unwrap();
            let key = SigningKey::from_pkcs8("k", algorithm, &document).unwrap();
            let jwk = key.public_jwk();
            let mut names: Vec<_> = jwk
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), members);
            let public = PublicKey::from_jwk(&jwk).unwrap();
            assert_eq!(public.algorithm, algorithm.into());
            assert_eq!(public.kid.as_deref(), Some("k"));
            for other in [
                SigningAlgorithm::EdDSA,
                SigningAlgorithm::ES256,
                SigningAlgorithm::RS256,
            ] {
                let opens = SigningKey::from_pkcs8("k", other, &document).is_some();
                assert_eq!(opens, other == algorithm);
            }
        }
    }
}
