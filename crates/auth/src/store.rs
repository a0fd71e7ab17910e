//! The tables, and all the SQL of this crate: fixed statements, every value bound.

use fathom_proto::id::TenantId;
use fathom_proto::identity::Scopes;
use sqlx::AnyPool;

use crate::Error;

mod api_keys;
mod clients;
mod signing_keys;
mod tenants;

pub(crate) use api_keys::ApiKeyRow;
pub(crate) use clients::{ClientRow, SecretRow};
pub(crate) use signing_keys::SigningKeyRow;

/// The database of identities.
pub(crate) struct Store {
    pub(crate) pool: AnyPool,
}

impl Store {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self { pool }
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

/// Names the situation behind a refused insert of something that belongs to a tenant.
fn unless_tenant_is_unknown(error: sqlx::Error, tenant: &TenantId) -> Error {
    match error.as_database_error() {
        Some(cause) if cause.is_foreign_key_violation() => Error::UnknownTenant(tenant.clone()),
        _ => Error::Database(error),
    }
}
