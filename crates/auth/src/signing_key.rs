//! The keys behind access tokens: published, then signing, then verifying, then retired.
//!
//! What each key does follows from the rows and the clock ([`schedule`]); replicas need no word
//! with one another. [`SigningKeys`] is what a process has of them in memory.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use fathom_token::{Claims, Verifier};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{Auth, Error};

mod key;
mod key_set;
mod maintenance;
mod rotation;
mod schedule;

pub(crate) use key::SigningKey;
pub(crate) use key_set::OpenKeys;
pub(crate) use schedule::Life;

/// Unknown key ids are looked for in the database this often at most.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The keys in memory. The lock is held to take or to put the pointer, and never while waiting.
pub(crate) struct SigningKeys {
    open: RwLock<Arc<OpenKeys>>,
    looked: Mutex<Option<Instant>>,
}

impl SigningKeys {
    pub(crate) fn new(open: OpenKeys) -> Self {
        Self {
            open: RwLock::new(Arc::new(open)),
            looked: Mutex::default(),
        }
    }

    /// The keys as they were last read.
    pub(crate) fn open(&self) -> Arc<OpenKeys> {
        self.open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, open: OpenKeys) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(open);
    }

    /// Whether it is time to look for an unknown key; then it is not, for a while.
    fn may_look(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let may = looked.is_none_or(|looked| looked.elapsed() >= RELOAD_INTERVAL);
        if may {
            *looked = Some(Instant::now());
        }
        may
    }
}

impl Auth {
    /// Signs an access token with the key whose turn it is.
    pub(crate) fn sign(&self, claims: &Claims, now: i64) -> Result<SecretString, Error> {
        let keys = self.inner.signing_keys.open();
        let signing = self.schedule(&keys.lives, now).signing();
        let key = signing.and_then(|life| keys.key(&life.kid));
        key.ok_or(Error::NoSigningKey)?.sign(claims)
    }

    /// Verifies with the keys in memory. A key that is not among them may be another replica's
    /// newest, so the database is asked, at most once a second whatever tokens come.
    pub(crate) async fn verify_access_token(&self, token: &str, now: i64) -> Result<Claims, Error> {
        let keys = &self.inner.signing_keys;
        let verify = |verifier: &Verifier| verifier.verify(token, now).map(|(_, claims)| claims);
        let result = verify(&keys.open().verifier);
        let unknown = matches!(result, Err(fathom_token::Refusal::UnknownKey));
        if unknown && keys.may_look() {
            self.reload_signing_keys().await?;
            return Ok(verify(&keys.open().verifier)?);
        }
        Ok(result?)
    }
}

#[cfg(test)]
mod tests;
