//! The keys that verify access tokens, as last heard of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use fathom_proto::identity::KeySet;
use fathom_token::{Claims, Refusal, Verifier};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::subjects::Touched;
use super::{Error, Inner};

/// How often a key that nobody has heard of may send us to auth: anybody can name one.
const UNKNOWN_KEY_PERIOD: Duration = Duration::from_secs(10);

/// The cached key set.
pub struct Keys {
    held: RwLock<Option<Arc<Held>>>,
    /// One question at a time, so that answers are stored in the order of the questions.
    asking: Semaphore,
    /// When an unknown key last sent us to auth, and what came of it.
    looked: Mutex<Option<Looked>>,
    /// Somebody knows that the set has changed.
    pub changed: Notify,
}

type Looked = (Instant, Result<(), Error>);

/// A key set, ready to verify with.
pub struct Held {
    /// As auth tells it.
    pub set: Arc<KeySet>,
    /// Made of it.
    pub verifier: Verifier,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            held: RwLock::default(),
            asking: Semaphore::new(1),
            looked: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl Keys {
    /// The set, if auth was ever heard.
    pub fn held(&self) -> Option<Arc<Held>> {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The key id and the claims of a token that one of the keys signed.
    pub fn verify(&self, token: &str, now: i64) -> Result<(String, Claims), Refusal> {
        let held = self.held().ok_or(Refusal::UnknownKey)?;
        held.verifier.verify(token, now)
    }

    fn looked(&self) -> MutexGuard<'_, Option<Looked>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the set has a key of this id.
    pub fn has(&self, kid: &str) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_some_and(|held| held.verifier.has_key(kid))
    }

    /// Holds a new set; whether tokens that were good under the last one are so no more.
    fn replace(&self, held: Arc<Held>) -> bool {
        let new = held.clone();
        let mut place = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let old = place.replace(held);
        drop(place);
        old.is_some_and(|old| {
            old.set.issuer != new.set.issuer
                || old.set.audience != new.set.audience
                || old.verifier.key_ids().any(|kid| !new.verifier.has_key(kid))
        })
    }
}

impl Inner {
    /// Asks auth for the key set. The subjects of a key that is gone are stale.
    pub(super) async fn fetch_keys(&self) -> Result<(), Error> {
        // The semaphore is never closed.
        let _one = self.keys.asking.acquire().await;
        self.fetch_keys_alone().await
    }

    /// Asks auth for a key that a token names and that nobody here has heard of: at most once in
    /// ten seconds, whatever names come. An answer of the last question counts until then.
    pub(super) async fn look_for_key(&self, kid: &str) -> Result<(), Error> {
        let _one = self.keys.asking.acquire().await;
        // Whoever was in front may have brought it.
        if self.keys.has(kid) {
            return Ok(());
        }
        let looked = *self.keys.looked();
        if let Some((_, result)) = looked.filter(|(at, _)| at.elapsed() < UNKNOWN_KEY_PERIOD) {
            return result;
        }
        let result = self.fetch_keys_alone().await;
        *self.keys.looked() = Some((Instant::now(), result));
        result
    }

    async fn fetch_keys_alone(&self) -> Result<(), Error> {
        let set = self.auth.key_set().await?;
        let verifier = Verifier::new(&set).map_err(|error| {
            tracing::error!(error = %error, "auth's key set cannot be used; the last one stays");
            Error::Unavailable { retry_after: None }
        })?;
        let set = Arc::new(set);
        if self.keys.replace(Arc::new(Held { set, verifier })) {
            self.subjects.change(Touched::All);
        }
        Ok(())
    }
}
