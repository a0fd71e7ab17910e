//! One caller, for as long as it is here.

use std::sync::Arc;
use std::time::Duration;

use fathom_proto as proto;
use fathom_proto::id::ModelId;
use fathom_proto::identity::{Principal, Scope};
use secrecy::SecretString;
use tokio::sync::watch;
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
        let mut session = self;
        loop {
            session.credential.subject.changed().await;
            session = match session.renewed(Lifetime::MayBeOver).await {
                Ok(session) => session,
                Err(error) => return error,
            };
            if let Err(error) = session.check(scope, model.as_ref()) {
                return error;
            }
        }
    }

    /// Completes when the caller in `current` may not stay connected, with the reason: as
    /// [`Self::ended`], and also when the credential's lifetime is over. Until then `current` is who
    /// it is now, with the rights that it has gained and lost meanwhile.
    pub async fn over(current: &watch::Sender<Self>, scope: Scope) -> proto::Error {
        loop {
            let session = current.borrow().clone();
            tokio::select! {
                () = session.credential.subject.changed() => {}
                () = session.expired() => return Error::Refused(Refusal::Expired).into(),
            }
            let session = match session.renewed(Lifetime::Counts).await {
                Ok(session) => session,
                Err(error) => return error,
            };
            let may_stay = session.check(scope, None);
            current.send_replace(session);
            if let Err(error) = may_stay {
                return error;
            }
        }
    }

    /// Who the caller is after something has changed for it. Auth is asked until it answers, or
    /// is not trusted any more.
    async fn renewed(&self, lifetime: Lifetime) -> Result<Self, proto::Error> {
        let mut unanswered_since = None;
        let inner = &self.identities.0;
        loop {
            let is_over = || lifetime == Lifetime::MayBeOver && self.credential.is_over(now());
            let was_over = is_over();
            let renewed = match was_over {
                true => {
                    let found = inner.look_again(&self.bearer, &self.credential).await;
                    found.map(|credential| Self {
                        credential,
                        ..self.clone()
                    })
                }
                false => {
                    let bearer = self.bearer.as_ref().clone();
                    self.identities.authenticate(bearer).await
                }
            };
            match renewed {
                Ok(session) => return Ok(session),
                // It ended while it was asked for.
                Err(Error::Refused(_)) if is_over() && !was_over => {}
                Err(error @ Error::Refused(_)) => return Err(error.into()),
                Err(error @ Error::Unavailable { .. }) => {
                    let since = *unanswered_since.get_or_insert_with(Instant::now);
                    if !inner.contact.is_trusted() || since.elapsed() >= inner.grace {
                        return Err(error.into());
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

/// What the end of a credential's lifetime means for what is begun with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    /// It ends too.
    Counts,
    /// It may be finished.
    MayBeOver,
}
