//! The tables, and all the SQL of this crate: fixed statements, every value bound.

use std::sync::Arc;

use fathom_proto::id::ModelId;
use fathom_proto::identity::Scopes;
use sqlx::AnyPool;
use tokio::sync::{Notify, Semaphore};

use crate::Error;

mod administration;
mod api_keys;
mod audit;
mod client_secrets;
mod clients;
mod grants;
mod limits;
mod revoked_tokens;
mod rewrap;
mod signing_keys;
mod tenants;
mod used_assertions;

pub(crate) use api_keys::ApiKeyRow;
pub(crate) use audit::Head;
pub(crate) use client_secrets::{Kept, SecretRow};
pub(crate) use clients::ClientRow;
pub(crate) use rewrap::SealedTable;
pub(crate) use signing_keys::SigningKeyRow;

/// The database of identities.
pub(crate) struct Store {
    pub(crate) pool: AnyPool,
    /// Told of each change that this process makes.
    pub(crate) changed: Arc<Notify>,
    /// One change at a time takes a connection; those that wait for the log's end hold none.
    pub(crate) changing: Arc<Semaphore>,
}

impl Store {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self {
            pool,
            changed: Arc::default(),
            changing: Arc::new(Semaphore::new(1)),
        }
    }
}

/// Reads a column of scopes; an unknown name fails, so that no row grants what is not understood.
fn scopes(table: &'static str, row: &str, text: &str) -> Result<Scopes, Error> {
    Scopes::parse(text.split_whitespace()).map_err(|_| Error::InvalidRow {
        table,
        column: "scopes",
        row: row.to_owned(),
    })
}

/// Reads a column of models.
fn model_names(text: &str) -> Vec<ModelId> {
    text.split_whitespace().map(ModelId::from).collect()
}

/// The text of a column of models.
fn model_text(models: Option<&[ModelId]>) -> Option<String> {
    let names = models?.iter().map(ModelId::as_str);
    Some(names.collect::<Vec<_>>().join(" "))
}
