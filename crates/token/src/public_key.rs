//! Keys of a JWK set. The key fixes the algorithm; a token never does.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};

/// Shortest RSA modulus (RFC 7518, section 3.3), in characters of base64url for 256 bytes.
const MIN_RSA_MODULUS_CHARS: usize = 256 * 4 / 3;

/// A public key that verifies signatures of one algorithm.
#[derive(Clone)]
pub struct PublicKey {
    /// Its name.
    pub kid: Option<String>,
    /// The one algorithm that it is for.
    pub algorithm: Algorithm,
    /// The key.
    pub decoding: DecodingKey,
}

/// Algorithms that access tokens can be signed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    #[default]
    EdDSA,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSA of 2048 bits with SHA-256 (RSASSA-PKCS1-v1_5), for verifiers that know no other.
    RS256,
}

impl SigningAlgorithm {
    /// Its name in a header or a JWK.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::EdDSA, Self::ES256, Self::RS256]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::EdDSA => Self::EdDSA,
            SigningAlgorithm::ES256 => Self::ES256,
            SigningAlgorithm::RS256 => Self::RS256,
        }
    }
}

/// Why a JWK is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It is no JWK.
    #[error("expected a JWK (RFC 7517)")]
    Malformed,
    /// It holds a private or a shared secret.
    #[error("holds a secret; give the public members alone")]
    Secret,
    /// It is for another purpose.
    #[error("is not for signatures; `use` must be `sig`")]
    Use,
    /// It is for an algorithm that is not taken.
    #[error("must be Ed25519 (EdDSA), P-256 (ES256) or RSA of at least 2048 bits (RS256, PS256)")]
    Algorithm,
}

impl PublicKey {
    /// Reads one key of a JWK set (RFC 7517, section 4).
    ///
    /// # Errors
    /// [`InvalidKey`] says what would be right.
    pub fn from_jwk(jwk: &serde_json::Value) -> Result<Self, InvalidKey> {
        // Who registers a private key by mistake must hear of it, and it must not be stored.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|member| jwk.get(member).is_some())
        {
            return Err(InvalidKey::Secret);
        }
        let jwk: Jwk = serde_json::from_value(jwk.clone()).map_err(|_| InvalidKey::Malformed)?;
        if !matches!(
            jwk.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        ) {
            return Err(InvalidKey::Use);
        }
        let algorithm = algorithm(&jwk).ok_or(InvalidKey::Algorithm)?;
        Ok(Self {
            decoding: DecodingKey::from_jwk(&jwk).map_err(|_| InvalidKey::Malformed)?,
            kid: jwk.common.key_id,
            algorithm,
        })
    }

    /// Reads all keys of a JWK set.
    ///
    /// # Errors
    /// [`InvalidKey`] of the first that is not taken.
    pub fn from_jwks(jwks: &serde_json::Value) -> Result<Vec<Self>, InvalidKey> {
        let keys = jwks.get("keys").and_then(serde_json::Value::as_array);
        let keys = keys.ok_or(InvalidKey::Malformed)?;
        keys.iter().map(Self::from_jwk).collect()
    }
}

/// The algorithm that the key's type fixes; `alg` may narrow it and never widen it.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let named = jwk.common.key_algorithm;
    let one = |algorithm, name| (named.is_none() || named == Some(name)).then_some(algorithm);
    match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            one(Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            one(Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(key) if key.n.len() >= MIN_RSA_MODULUS_CHARS => match named {
            None | Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::PS256) => Some(Algorithm::PS256),
            Some(_) => None,
        },
        _ => None,
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
