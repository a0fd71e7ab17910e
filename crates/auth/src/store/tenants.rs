//! Table `tenants`.

use fathom_proto::id::TenantId;

use super::Store;
use crate::Error;

impl Store {
    pub(crate) async fn insert_tenant(
        &self,
        id: &TenantId,
        name: &str,
        now: i64,
    ) -> Result<(), Error> {
        sqlx::query("INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(id.as_str())
            .bind(name)
            .bind(now)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(|error| match error.as_database_error() {
                Some(cause) if cause.is_unique_violation() => Error::TenantExists(id.clone()),
                _ => Error::Database(error),
            })
    }
}
