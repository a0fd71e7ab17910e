//! Verifying the access tokens of one issuer.

use std::collections::HashMap;

use fathom_proto::identity::KeySet;

use crate::{Claims, InvalidKey, PublicKey, Refusal, Signed, TYPE, signed, times};

/// Verifies the access tokens of one issuer for one audience.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuer: String,
    audience: String,
    keys: HashMap<String, PublicKey>,
}

impl Verifier {
    /// A verifier with the keys of `set`.
    ///
    /// # Errors
    /// [`InvalidKey`] of a key that is not taken.
    pub fn new(set: &KeySet) -> Result<Self, InvalidKey> {
        let jwks = serde_json::from_str(&set.jwks).map_err(|_| InvalidKey::Malformed)?;
        let mut keys = HashMap::new();
        for mut key in PublicKey::from_jwks(&jwks)? {
            let kid = key.kid.take().ok_or(InvalidKey::Malformed)?;
            keys.insert(kid, key);
        }
        Ok(Self {
            issuer: set.issuer.clone(),
            audience: set.audience.clone(),
            keys,
        })
    }

    /// `iss` of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The ids of the keys, in no order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Whether tokens under this key are verified.
    #[must_use]
    pub fn has_key(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// The id of the key that `token` names and the claims it signed, if they hold at `now` (in
    /// seconds since the epoch). The name is used to look the key up and for nothing else.
    pub fn verify(&self, token: &str, now: i64) -> Result<(String, Claims), Refusal> {
        let header = signed::header(token)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(Refusal::Header);
        }
        let kid = header.kid.ok_or(Refusal::UnknownKey)?;
        let key = self.keys.get(&kid).ok_or(Refusal::UnknownKey)?;
        if header.alg != key.algorithm {
            return Err(Refusal::Header);
        }
        let claims: Claims = Signed::verify(token, &key.decoding, key.algorithm)?.read()?;
        if claims.iss != self.issuer
            || claims.aud != self.audience
            || claims.sub != claims.client_id
        {
            return Err(Refusal::Audience);
        }
        times::check(claims.iat, claims.exp, now)?;
        times::begun(claims.nbf, now)?;
        Ok((kid, claims))
    }
}

#[cfg(test)]
mod tests;
