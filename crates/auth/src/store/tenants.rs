//! Table `tenants`.

use fathom_proto::administration::Tenant;
use fathom_proto::id::TenantId;
use sqlx::AnyConnection;

use super::Store;
use crate::Error;

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    name: String,
    created_at: i64,
    disabled_at: Option<i64>,
    expires_at: Option<i64>,
}

impl From<Columns> for Tenant {
    fn from(row: Columns) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
            expires_at: row.expires_at,
        }
    }
}

impl Store {
    pub(crate) async fn tenant(
        connection: &mut AnyConnection,
        id: &str,
    ) -> Result<Option<Tenant>, Error> {
        let row: Option<Columns> = sqlx::query_as(
            "SELECT id, name, created_at, disabled_at, expires_at FROM tenants WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(connection)
        .await?;
        Ok(row.map(Tenant::from))
    }

    /// [`Error::UnknownTenant`] when there is no such tenant for something new to belong to.
    pub(crate) async fn require_tenant(
        connection: &mut AnyConnection,
        id: &TenantId,
    ) -> Result<(), Error> {
        match Self::tenant(connection, id.as_str()).await? {
            Some(_) => Ok(()),
            None => Err(Error::UnknownTenant(id.clone())),
        }
    }

    /// Tenants by id.
    pub(crate) async fn tenants(&self, after: &str, limit: i64) -> Result<Vec<Tenant>, Error> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, name, created_at, disabled_at, expires_at FROM tenants \
             WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Tenant::from).collect())
    }

    pub(crate) async fn insert_tenant(
        connection: &mut AnyConnection,
        tenant: &Tenant,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO tenants (id, name, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(tenant.id.as_str())
        .bind(&tenant.name)
        .bind(tenant.created_at)
        .bind(tenant.expires_at)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Writes everything of a tenant that can change.
    pub(crate) async fn update_tenant(
        connection: &mut AnyConnection,
        tenant: &Tenant,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE tenants SET name = $1, disabled_at = $2, expires_at = $3 WHERE id = $4",
        )
        .bind(&tenant.name)
        .bind(tenant.disabled_at)
        .bind(tenant.expires_at)
        .bind(tenant.id.as_str())
        .execute(connection)
        .await?;
        Ok(())
    }
}
