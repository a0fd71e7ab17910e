//! One caller, for as long as it is here.

use std::sync::Arc;
use std::time::Duration;

use fathom_proto as proto;
use fathom_proto::id::ModelId;
use fathom_proto::identity::{Principal, Scope};
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use super::credential::Credential;
use super::{Error, Identities, Refusal, now};
use crate::error::{lacks_scope, model_not_found};

/// How long to wait before auth is asked again about an open stream.
const RETRY: Duration = Duration::from_millis(500);
/// How often the clock is looked at, which may be set.
const CLOCK: Duration = Duration::from_secs(30);

/// An authenticated caller; an extension of every request behind a policy that demands one.
/// Clones share everything.
#[derive(Clone)]
pub struct Session {
    identities: Identities,
    bearer: Arc<SecretString>,
    credential: Arc<Credential>,
}

impl Session {
    pub(super) fn new(
        identities: Identities,
        bearer: SecretString,
        credential: Arc<Credential>,
    ) -> Self {
        Self {
            identities,
            bearer: Arc::new(bearer),
            credential,
        }
    }

    /// Who calls.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.credential.principal
    }

    /// The credential, for a service that checks it for itself.
    #[must_use]
    pub fn bearer(&self) -> &SecretString {
        &self.bearer
    }

    /// Whether the caller has `scope` and may know of `model`.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check(&self, scope: Scope, model: Option<&ModelId>) -> Result<(), proto::Error> {
        let principal = self.principal();
        match model {
            _ if !principal.scopes.contains(scope) => Err(lacks_scope(scope)),
            Some(model) if !principal.models.allows(model) => Err(model_not_found(model)),
            _ => Ok(()),
        }
    }

    /// Completes when the caller may not go on with what takes `scope` and `model`, with the
    /// reason. Something that changes for its identity makes it ask again who it is; an auth
    /// service that does not answer then is asked until the grace is over. The end of a
    /// credential's lifetime is no change: what was begun in time may be finished.
    pub async fn ended(self, scope: Scope, model: Option<ModelId>) -> proto::Error {
        self.until(scope, model, false).await
    }

    /// Completes when the caller may not stay connected, with the reason: as [`Self::ended`], and
    /// also when the credential's lifetime is over.
    pub async fn over(self, scope: Scope) -> proto::Error {
        self.until(scope, None, true).await
    }

    async fn until(mut self, scope: Scope, model: Option<ModelId>, expires: bool) -> proto::Error {
        let mut unanswered_since = None;
        loop {
            tokio::select! {
                () = self.credential.subject.changed() => {}
                () = self.expired(), if expires => return Error::Refused(Refusal::Expired).into(),
            }
            let bearer = self.bearer.as_ref().clone();
            match self.identities.authenticate(bearer).await {
                Ok(session) => {
                    self = session;
                    unanswered_since = None;
                    if let Err(error) = self.check(scope, model.as_ref()) {
                        return error;
                    }
                }
                Err(error @ Error::Refused(_)) => return error.into(),
                Err(error @ Error::Unavailable { .. }) => {
                    let since = *unanswered_since.get_or_insert_with(Instant::now);
                    let inner = &self.identities.0;
                    if !inner.contact.is_trusted() || since.elapsed() >= inner.grace {
                        return error.into();
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Completes when the credential's lifetime is over.
    async fn expired(&self) {
        let ends_at = self.credential.ends_at(now());
        while let Ok(left @ 1..) = u64::try_from(ends_at.saturating_sub(now())) {
            sleep(Duration::from_secs(left).min(CLOCK)).await;
        }
    }
}
