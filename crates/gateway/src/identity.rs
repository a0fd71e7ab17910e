//! Who calls, without asking each time.
//!
//! The gateway verifies access tokens itself and remembers what auth says of everything else. What
//! it remembers holds for as long as auth would say the same:
//!
//! - An answer is kept under the SHA-256 of the *whole* credential, and only if it is a yes. The
//!   cache is bounded, and one question at a time is asked for each credential.
//! - An answer is about a [`Subject`], which a change makes *stale*: what is stale does not count,
//!   and open streams that lean on it ask again ([`Session::ended`]). A subject can be found by its
//!   id for as long as a cached answer or an open stream holds it, whatever the cache has evicted.
//! - A question that a change overtakes is asked again ([`Subjects::admit`]).
//! - An access token is verified with the cached key set, and is as good as its client is now; its
//!   key must still be in the set, and its `jti` must not be revoked, each time it is used.
//! - What is remembered is trusted while auth is heard, and for `gateway.identity_grace` after that
//!   ([`contact`]). Then, and before auth was first heard, every credential is asked anew, access
//!   tokens too.
//! - A credential that is not known while auth does not answer is refused with 503, never let in.
//!
//! # Layout
//!
//! - [`Identities`]: all of it, for the routes; [`Session`]: one caller, for as long as it is here
//! - [`watch`]: the background tasks that follow what auth tells
//! - [`look_up`]: who is behind a credential that is not remembered
//! - [`auth`]: the questions to auth; [`error`]: what a caller and a log line learn of a failure
//! - [`credential`], [`subjects`], [`key_set`], [`revoked`], [`contact`]: what is remembered

mod auth;
mod contact;
mod credential;
mod error;
mod key_set;
mod look_up;
mod revoked;
mod session;
mod subjects;
mod watch;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::metrics::counter;
use fathom_proto::identity::{Identity, KeySet, Principal};
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};

use self::auth::Auth;
use self::contact::Contact;
use self::credential::{Credential, Digest};
use self::key_set::Keys;
use self::revoked::Revoked;
use self::subjects::{Subject, Subjects};
use crate::{Config, metrics};

pub use error::{Error, Refusal};
pub use session::Session;

/// A longer credential is refused without a look at it.
const MAX_CREDENTIAL_BYTES: usize = 8 * 1024;

/// A credential in steady use is shown to auth this often, which can then move it to new keys.
const LONGEST_MEMORY: Duration = Duration::from_secs(60 * 60);

/// Knows who calls; clones share what is remembered.
#[derive(Clone)]
pub struct Identities(Arc<Inner>);

struct Inner {
    auth: Auth,
    grace: Duration,
    credentials: Cache<Digest, Arc<Credential>>,
    clients: Cache<String, Arc<Client>>,
    subjects: Subjects,
    keys: Keys,
    revoked: Revoked,
    contact: Contact,
}

/// What the client of an access token may do.
struct Client {
    principal: Principal,
    subject: Arc<Subject>,
}

impl Identities {
    /// Asks `auth` and remembers. Nothing is used a second time until [`Self::keep_current`] runs.
    #[must_use]
    pub fn new(auth: Arc<dyn Identity>, config: &Config) -> Self {
        let entries = config.identity_cache_entries;
        Self(Arc::new(Inner {
            auth: Auth::new(auth, config.call_timeout),
            grace: config.identity_grace,
            credentials: Cache::builder()
                .max_capacity(entries)
                .weigher(|_, credential: &Arc<Credential>| credential.weight())
                .time_to_live(LONGEST_MEMORY)
                .build(),
            clients: Cache::builder()
                .max_capacity(entries)
                .weigher(|_, client: &Arc<Client>| credential::weight(&client.principal))
                .build(),
            subjects: Subjects::default(),
            keys: Keys::default(),
            revoked: Revoked::default(),
            contact: Contact::new(config.identity_grace),
        }))
    }

    /// The caller behind a bearer credential.
    ///
    /// # Errors
    /// [`Error::Refused`] if nobody is, [`Error::Unavailable`] if that cannot be learned now.
    pub async fn authenticate(&self, bearer: SecretString) -> Result<Session, Error> {
        let found = self.0.find(&bearer).await;
        let result = match &found {
            Ok((_, how)) => how.name(),
            Err(Error::Refused(_)) => "refused",
            Err(Error::Unavailable { .. }) => "failed",
        };
        counter!(metrics::IDENTITY_LOOKUPS, "result" => result).increment(1);
        let (credential, _) = found?;
        Ok(Session::new(self.clone(), bearer, credential))
    }

    /// The keys that verify access tokens, as last heard of; `None` before that.
    #[must_use]
    pub fn key_set(&self) -> Option<Arc<KeySet>> {
        self.0.keys.held().map(|held| held.set.clone())
    }

    /// Whether auth was heard within the last seconds.
    #[must_use]
    pub fn in_contact(&self) -> bool {
        self.0.contact.is_live()
    }

    /// Whether those who are known are let in, for auth is heard or was until not long ago.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.0.contact.is_trusted()
    }
}

/// How an identity was found.
#[derive(Clone, Copy)]
enum Found {
    Remembered,
    Verified,
    Asked,
}

impl Found {
    const fn name(self) -> &'static str {
        match self {
            Self::Remembered => "hit",
            Self::Verified => "verified",
            Self::Asked => "asked",
        }
    }
}

impl Inner {
    async fn find(&self, bearer: &SecretString) -> Result<(Arc<Credential>, Found), Error> {
        let text = bearer.expose_secret();
        if text.len() > MAX_CREDENTIAL_BYTES {
            return Err(Refusal::TooLong.into());
        }
        let digest = Digest::of(text);
        if let Some(credential) = self.credentials.get(&digest).await {
            if self.contact.is_trusted() && credential.holds(&self.keys, &self.revoked, now()) {
                return Ok((credential, Found::Remembered));
            }
            self.credentials.invalidate(&digest).await;
        }
        let credential = self
            .credentials
            .try_get_with(digest, self.look_up(bearer))
            .await
            .map_err(|error| *error)?;
        let how = if credential.is_verified_here() {
            Found::Verified
        } else {
            Found::Asked
        };
        Ok((credential, how))
    }
}

/// Seconds since the epoch. A clock that stands before it reads as the end of time: then everything
/// is over and nobody is let in.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(i64::MAX, |time| time.as_secs().cast_signed())
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
