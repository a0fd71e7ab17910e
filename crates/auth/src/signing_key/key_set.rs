//! The keys of a process, opened.

use std::sync::Arc;

use fathom_proto::identity::KeySet;
use fathom_token::Verifier;
use serde_json::json;

use super::{Life, SigningKey};
use crate::store::SigningKeyRow;
use crate::{Auth, Config, Error, clock};

/// Every key that is not retired, and the lives of the others.
pub(crate) struct OpenKeys {
    pub lives: Vec<Life>,
    pub verifier: Verifier,
    pub set: KeySet,
    keys: Vec<(String, Arc<SigningKey>)>,
}

impl OpenKeys {
    /// No keys: nothing is signed and nothing verified.
    pub(crate) fn none(config: &Config) -> Result<Self, Error> {
        Self::new(config, Vec::new(), Vec::new())
    }

    /// Makes the set of `keys`, which are those of `lives` that are not retired.
    fn new(
        config: &Config,
        lives: Vec<Life>,
        keys: Vec<(String, Arc<SigningKey>)>,
    ) -> Result<Self, Error> {
        let jwks: Vec<_> = keys.iter().map(|(_, key)| key.public_jwk()).collect();
        let set = KeySet {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            jwks: json!({ "keys": jwks }).to_string(),
        };
        Ok(Self {
            lives,
            verifier: Verifier::new(&set).map_err(|_| Error::Cryptography)?,
            set,
            keys,
        })
    }

    pub(crate) fn key(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.keys
            .iter()
            .find_map(|(known, key)| (known == kid).then(|| key.clone()))
    }
}

impl Auth {
    /// Reads the keys again.
    pub(crate) async fn reload_signing_keys(&self) -> Result<(), Error> {
        let rows = self.inner.store.signing_keys().await?;
        self.take_signing_keys(rows).await
    }

    /// Opens the keys in `rows`, unless they are the ones in memory.
    pub(super) async fn take_signing_keys(&self, rows: Vec<SigningKeyRow>) -> Result<(), Error> {
        let former = self.inner.signing_keys.open();
        if rows.iter().map(|row| &row.life).eq(&former.lives) {
            return Ok(());
        }
        let lives: Vec<Life> = rows.iter().map(|row| row.life.clone()).collect();
        let schedule = self.schedule(&lives, clock::now());
        let signing = schedule.signing().map(|life| &life.kid);
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| row.life.retired_at.is_none()) {
            let kid = &row.life.kid;
            let key = match former.key(kid) {
                Some(key) => key,
                None => match self.open_signing_key(row).await {
                    Ok(key) => Arc::new(key),
                    Err(error) if signing == Some(kid) => return Err(error),
                    // The others must not be held up by it, least of all one that is retired now.
                    Err(error) => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "a signing key is left out; its tokens are refused"
                        );
                        continue;
                    }
                },
            };
            keys.push((kid.clone(), key));
        }
        let open = OpenKeys::new(&self.inner.config, lives, keys)?;
        self.inner.signing_keys.replace(open);
        Ok(())
    }

    /// Derives both halves from the sealed one: the stored public key is not authenticated, and
    /// who could replace it in the database must not be able to make tokens.
    async fn open_signing_key(&self, row: &SigningKeyRow) -> Result<SigningKey, Error> {
        let Life { kid, algorithm, .. } = &row.life;
        let invalid = |column| Error::InvalidRow {
            table: "signing_keys",
            column,
            row: kid.clone(),
        };
        let document = self
            .open_sealed(SigningKeyRow::place(kid), &row.private_key)
            .await?;
        let key = SigningKey::from_pkcs8(kid, *algorithm, &document);
        let key = key.ok_or_else(|| invalid("sealed"))?;
        if key.public_key() != row.public_key {
            return Err(invalid("public_key"));
        }
        Ok(key)
    }
}
