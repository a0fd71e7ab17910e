//! The only way to change identities: a transaction that ends with its row in the audit log. The
//! first thing it does is to lock the log's end, so that changes have one order, which is the
//! order of their rows, of the hash chain and of what is told to those who watch.

use std::sync::Arc;
use std::time::Duration;

use fathom_proto::id::TenantId;
use sqlx::{Any, AnyConnection, Transaction};
use tokio::sync::Notify;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::audit::Row;
use crate::keyring::KeyRing;
use crate::store::Store;
use crate::{Error, clock};

/// Longest wait for the change before; it is less than what a gateway waits for an answer.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// A change that is being made. One that is dropped was never made.
#[must_use]
pub(crate) struct Change {
    transaction: Transaction<'static, Any>,
    position: i64,
    previous_mac: String,
    changed: Arc<Notify>,
    _turn: OwnedSemaphorePermit,
}

/// What a change was, for the audit log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// One of [`action`].
    pub action: &'static str,
    /// Tenant of the target.
    pub tenant: Option<TenantId>,
    /// Id of what was changed; of a secret or a limit: whose it is.
    pub target: String,
    /// The change, without any secret.
    pub details: serde_json::Value,
}

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An API key.
    Key(String),
    /// A client.
    Client(String),
    /// A user of the machine, by the command line.
    Operator(String),
    /// The service itself.
    System,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Operator(user) => write!(f, "operator:{user}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// Every kind of change. What follows for those who watch is decided by [`crate::watch`].
pub(crate) mod action {
    pub const TENANT_CREATE: &str = "tenant.create";
    pub const TENANT_UPDATE: &str = "tenant.update";
    pub const CLIENT_CREATE: &str = "client.create";
    pub const CLIENT_UPDATE: &str = "client.update";
    pub const CLIENT_SECRET_ADD: &str = "client_secret.add";
    pub const CLIENT_SECRET_REMOVE: &str = "client_secret.remove";
    pub const KEY_CREATE: &str = "key.create";
    pub const KEY_UPDATE: &str = "key.update";
    pub const LIMIT_SET: &str = "limit.set";
    pub const LIMIT_REMOVE: &str = "limit.remove";
    pub const SIGNING_KEY_CREATE: &str = "signing_key.create";
    pub const SIGNING_KEY_RETIRE: &str = "signing_key.retire";
    pub const TOKEN_REVOKE: &str = "token.revoke";
    pub const REWRAP: &str = "key_ring.rewrap";
}

impl Store {
    /// Begins a change; others wait until it is made or dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many do.
    pub(crate) async fn change(&self) -> Result<Change, Error> {
        let turn = timeout(MAX_WAIT, self.changing.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Error::Busy);
        };
        let mut transaction = self.pool.begin().await?;
        // A statement that writes, so that SQLite takes its write lock now and not half way.
        let (position, previous_mac): (i64, String) = sqlx::query_as(
            "UPDATE audit_head SET position = position + 1 WHERE id = 1 RETURNING position, mac",
        )
        .fetch_one(&mut *transaction)
        .await?;
        Ok(Change {
            transaction,
            position,
            previous_mac,
            changed: Arc::clone(&self.changed),
            _turn: turn,
        })
    }
}

impl Change {
    /// For the statements that make the change.
    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// Makes the change, with its row in the audit log. Gives the row's position.
    pub(crate) async fn commit(
        mut self,
        key_ring: &KeyRing,
        actor: &Actor,
        entry: Entry,
    ) -> Result<i64, Error> {
        let row = Row::seal(
            key_ring,
            &self.previous_mac,
            self.position,
            clock::now(),
            actor,
            entry,
        );
        Store::insert_audit_row(&mut self.transaction, &row).await?;
        self.transaction.commit().await?;
        self.changed.notify_waiters();
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::identity::Identity as _;
    use futures::future::join_all;

    use super::*;
    use crate::{Auth, Config};

    /// Who waits for a change takes no connection from those who only read, however many wait.
    #[tokio::test]
    async fn changes_that_wait_hold_up_no_reader() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fathom.db");
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let pool = fathom_kit::database::connect(&url).await.unwrap();
        let config = Config {
            key_ring: folder.path().join("keyring.json").into(),
            ..Config::default()
        };
        let auth = Auth::open(config, pool).await.unwrap();
        let store = &auth.inner.store;
        let made = store.change().await.unwrap();
        let mut waiting = std::pin::pin!(join_all((0..20).map(|_| store.change())));
        assert!(futures::poll!(&mut waiting).is_pending());
        let read = timeout(Duration::from_secs(1), auth.key_set());
        let read = tokio::select! {
            read = read => read,
            _ = &mut waiting => panic!("a change began beside another"),
        };
        read.unwrap().unwrap();
        drop(made);
    }
}
