//! Table `api_keys`, without the hashes.

use fathom_proto::administration::ApiKey;
use sqlx::AnyConnection;

use crate::Error;
use crate::keyring::Mac;
use crate::store::{Store, model_names, model_text, scopes};

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    tenant_id: String,
    name: String,
    scopes: String,
    models: Option<String>,
    created_at: i64,
    disabled_at: Option<i64>,
    expires_at: Option<i64>,
}

impl Columns {
    fn key(self) -> Result<ApiKey, Error> {
        Ok(ApiKey {
            scopes: scopes("api_keys", &self.id, &self.scopes)?,
            id: self.id,
            tenant: self.tenant_id.into(),
            name: self.name,
            models: self.models.as_deref().map(model_names),
            created_at: self.created_at,
            disabled_at: self.disabled_at,
            expires_at: self.expires_at,
        })
    }
}

impl Store {
    pub(crate) async fn key(
        connection: &mut AnyConnection,
        id: &str,
    ) -> Result<Option<ApiKey>, Error> {
        let row: Option<Columns> = sqlx::query_as(
            "SELECT id, tenant_id, name, scopes, models, created_at, disabled_at, expires_at \
             FROM api_keys WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(connection)
        .await?;
        row.map(Columns::key).transpose()
    }

    /// API keys by id, of one tenant or, if that is empty, of all.
    pub(crate) async fn keys(
        &self,
        tenant: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<ApiKey>, Error> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, tenant_id, name, scopes, models, created_at, disabled_at, expires_at \
             FROM api_keys WHERE ($1 = '' OR tenant_id = $1) AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(tenant)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Columns::key).collect()
    }

    pub(crate) async fn insert_key(
        connection: &mut AnyConnection,
        key: &ApiKey,
        mac: &Mac,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO api_keys \
                 (id, tenant_id, name, mac, pepper_id, scopes, models, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&key.id)
        .bind(key.tenant.as_str())
        .bind(&key.name)
        .bind(&mac.text)
        .bind(&mac.key_id)
        .bind(key.scopes.to_string())
        .bind(model_text(key.models.as_deref()))
        .bind(key.created_at)
        .bind(key.expires_at)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Writes everything of a key that can change.
    pub(crate) async fn update_key(
        connection: &mut AnyConnection,
        key: &ApiKey,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE api_keys SET name = $1, scopes = $2, models = $3, disabled_at = $4, \
                 expires_at = $5 \
             WHERE id = $6",
        )
        .bind(&key.name)
        .bind(key.scopes.to_string())
        .bind(model_text(key.models.as_deref()))
        .bind(key.disabled_at)
        .bind(key.expires_at)
        .bind(&key.id)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Ids of the tenant's keys of this name that are not switched off.
    pub(crate) async fn live_key_ids(
        &self,
        tenant: &str,
        name: &str,
    ) -> Result<Vec<String>, Error> {
        Ok(sqlx::query_scalar(
            "SELECT id FROM api_keys WHERE tenant_id = $1 AND name = $2 AND disabled_at IS NULL",
        )
        .bind(tenant)
        .bind(name)
        .fetch_all(&self.pool)
        .await?)
    }
}
