//! The Ed25519 keys behind access tokens, in memory.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fathom_proto::identity::KeySet;
use fathom_token::Verifier;
use jsonwebtoken::EncodingKey;
use serde_json::json;

use crate::keyring::KeyRing;
use crate::store::{SigningKeyRow, Store};
use crate::{Config, Error, clock, random};

/// The key that signs, and all that verify.
pub(crate) struct SigningKeys {
    /// Id of the key that signs.
    pub kid: String,
    /// The key that signs.
    pub encoding: EncodingKey,
    /// All of them.
    pub verifier: Verifier,
}

impl SigningKeys {
    /// Loads the keys in use; makes one when there is none.
    pub(crate) async fn load_or_create(
        store: &Store,
        key_ring: &KeyRing,
        config: &Config,
    ) -> Result<Self, Error> {
        let mut rows = store.signing_keys().await?;
        if rows.is_empty() {
            store
                .insert_signing_key(&generate(key_ring)?, clock::now())
                .await?;
            // Read back, so that of two first starts both know both keys.
            rows = store.signing_keys().await?;
        }
        Self::open(key_ring, config, rows)
    }

    /// The keys in `rows`, the newest first; there must be one.
    fn open(key_ring: &KeyRing, config: &Config, rows: Vec<SigningKeyRow>) -> Result<Self, Error> {
        let mut newest = None;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let encoding = open(key_ring, &row)?;
            keys.push(json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                "kid": row.kid, "x": row.public_key,
            }));
            newest.get_or_insert((row.kid, encoding));
        }
        let (kid, encoding) = newest.ok_or(Error::Database(sqlx::Error::RowNotFound))?;
        let set = KeySet {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            jwks: json!({ "keys": keys }).to_string(),
        };
        let verifier = Verifier::new(&set).map_err(|_| Error::Cryptography)?;
        Ok(Self {
            kid,
            encoding,
            verifier,
        })
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

fn generate(key_ring: &KeyRing) -> Result<SigningKeyRow, Error> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| Error::Cryptography)?;
    let kid = random::id()?;
    Ok(SigningKeyRow {
        public_key: URL_SAFE_NO_PAD.encode(pair.public_key()),
        private_key: key_ring.seal(SigningKeyRow::place(&kid), document.as_ref())?,
        kid,
    })
}

/// Derives both halves from the sealed one: the stored public key is not authenticated, and who
/// could replace it in the database must not be able to make tokens.
fn open(key_ring: &KeyRing, row: &SigningKeyRow) -> Result<EncodingKey, Error> {
    let invalid = |column| Error::InvalidRow {
        table: "signing_keys",
        column,
        row: row.kid.clone(),
    };
    let private_key = key_ring.open(SigningKeyRow::place(&row.kid), &row.private_key)?;
    let pair = Ed25519KeyPair::from_pkcs8(&private_key).map_err(|_| invalid("sealed"))?;
    let public_key = pair.public_key().as_ref();
    if URL_SAFE_NO_PAD.encode(public_key) != row.public_key {
        return Err(invalid("public_key"));
    }
    Ok(EncodingKey::from_ed_der(&private_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn key_ring() -> KeyRing {
        let folder = tempfile::tempdir().unwrap();
        KeyRing::load_or_create(&folder.path().join("keyring.json"))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn who_writes_the_database_cannot_put_in_a_key() {
        let key_ring = key_ring().await;
        let (ours, theirs) = (generate(&key_ring).unwrap(), generate(&key_ring).unwrap());
        assert!(open(&key_ring, &ours).is_ok());

        let public_key = theirs.public_key.clone();
        let replaced = SigningKeyRow {
            public_key,
            ..ours.clone()
        };
        assert!(matches!(
            open(&key_ring, &replaced),
            Err(Error::InvalidRow { .. })
        ));

        let moved = SigningKeyRow {
            kid: ours.kid,
            ..theirs
        };
        assert!(matches!(
            open(&key_ring, &moved),
            Err(Error::DoesNotOpen { .. })
        ));
    }

    #[tokio::test]
    async fn another_key_ring_is_told_apart() {
        let row = generate(&key_ring().await).unwrap();
        let error =
            SigningKeys::open(&key_ring().await, &Config::default(), vec![row]).unwrap_err();
        assert!(
            error.to_string().contains("restore the key ring"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_newest_signs_and_all_verify() {
        let key_ring = key_ring().await;
        let rows = vec![generate(&key_ring).unwrap(), generate(&key_ring).unwrap()];
        let kids: Vec<_> = rows.iter().map(|row| row.kid.clone()).collect();
        let keys = SigningKeys::open(&key_ring, &Config::default(), rows).unwrap();
        assert_eq!(keys.kid, kids[0]);
        assert!(kids.iter().all(|kid| keys.verifier.has_key(kid)));
        assert!(!keys.verifier.has_key("other"));
        assert!(SigningKeys::open(&key_ring, &Config::default(), Vec::new()).is_err());
    }
}
