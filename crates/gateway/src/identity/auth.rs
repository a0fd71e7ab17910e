//! The questions to auth, each with a time limit.

use std::sync::Arc;
use std::time::Duration;

use fathom_proto::identity::{ChangeStream, Identity, KeySet, Principal};
use fathom_proto::{self as proto, ErrorCode};
use secrecy::SecretString;
use tokio::time::timeout;

use super::{Error, Refusal};

/// Auth, which may hang or be away.
pub struct Auth {
    port: Arc<dyn Identity>,
    limit: Duration,
}

impl Auth {
    /// Waits at most `limit` for each answer.
    pub fn new(port: Arc<dyn Identity>, limit: Duration) -> Self {
        Self { port, limit }
    }

    /// Whose a credential is.
    pub async fn authenticate(&self, bearer: SecretString) -> Result<Principal, Error> {
        let answer = self.answer(self.port.authenticate(bearer)).await;
        answer.map_err(|error| logged(&error))
    }

    /// What a client may do.
    pub async fn client(&self, id: &str) -> Result<Principal, Error> {
        let answer = self.answer(self.port.client(id)).await;
        answer.map_err(|error| logged(&error))
    }

    /// The keys that verify access tokens.
    pub async fn key_set(&self) -> Result<KeySet, Error> {
        let answer = self.answer(self.port.key_set()).await;
        answer.map_err(|error| Error::of(&error))
    }

    /// What changes after a position.
    pub async fn watch(&self, after: i64) -> Result<ChangeStream, Error> {
        let answer = self.answer(self.port.watch_revocations(Some(after))).await;
        answer.map_err(|error| Error::of(&error))
    }

    async fn answer<T>(
        &self,
        answer: impl Future<Output = Result<T, proto::Error>>,
    ) -> Result<T, proto::Error> {
        timeout(self.limit, answer).await.unwrap_or_else(|_| {
            let message = "auth does not answer";
            Err(proto::Error::new(ErrorCode::Unavailable, message))
        })
    }
}

impl Error {
    /// Whatever is no refusal leaves open who calls.
    fn of(error: &proto::Error) -> Self {
        match error.code {
            ErrorCode::Unauthenticated => Refusal::Unknown.into(),
            ErrorCode::PermissionDenied => Refusal::Ended.into(),
            _ => Self::Unavailable {
                retry_after: error.retry_after,
            },
        }
    }
}

/// Several requests may wait for one answer, so the cause of a failure is logged where it comes in.
/// Background tasks ask again and again; they tell of the contact, not of each attempt.
fn logged(error: &proto::Error) -> Error {
    let known = Error::of(error);
    if matches!(known, Error::Unavailable { .. }) {
        error.log_cause(None);
    }
    known
}
