//! Table `api_keys`.

use fathom_proto::id::TenantId;
use fathom_proto::identity::ModelAccess;

use super::{Store, scopes, unless_tenant_is_unknown};
use crate::Error;
use crate::grant::Grant;
use crate::keyring::Mac;

/// An API key.
#[derive(Clone, Debug)]
pub(crate) struct ApiKeyRow {
    pub id: String,
    pub grant: Grant,
    /// Of the whole text of the key.
    pub mac: Mac,
}

impl Store {
    pub(crate) async fn api_key(&self, id: &str) -> Result<Option<ApiKeyRow>, Error> {
        #[derive(sqlx::FromRow)]
        struct Row {
            tenant_id: String,
            mac: String,
            pepper_id: String,
            scopes: String,
            expires_at: Option<i64>,
            key_disabled_at: Option<i64>,
            tenant_disabled_at: Option<i64>,
        }
        let row: Option<Row> = sqlx::query_as(
            "SELECT k.tenant_id, k.mac, k.pepper_id, k.scopes, k.expires_at, \
                    k.disabled_at AS key_disabled_at, t.disabled_at AS tenant_disabled_at \
             FROM api_keys k JOIN tenants t ON t.id = k.tenant_id WHERE k.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(ApiKeyRow {
                id: id.to_owned(),
                grant: Grant {
                    tenant: row.tenant_id.into(),
                    scopes: scopes("api_keys", id, &row.scopes)?,
                    models: ModelAccess::All,
                    expires_at: row.expires_at,
                    disabled: row.key_disabled_at.or(row.tenant_disabled_at).is_some(),
                },
                mac: Mac {
                    key_id: row.pepper_id,
                    text: row.mac,
                },
            })
        })
        .transpose()
    }

    pub(crate) async fn insert_api_key(
        &self,
        key: &ApiKeyRow,
        name: &str,
        now: i64,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO api_keys \
                 (id, tenant_id, name, mac, pepper_id, scopes, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&key.id)
        .bind(key.grant.tenant.as_str())
        .bind(name)
        .bind(&key.mac.text)
        .bind(&key.mac.key_id)
        .bind(key.grant.scopes.to_string())
        .bind(now)
        .bind(key.grant.expires_at)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(|error| unless_tenant_is_unknown(error, &key.grant.tenant))
    }

    /// Switches off the tenant's API keys of this name.
    pub(crate) async fn disable_api_keys(
        &self,
        tenant: &TenantId,
        name: &str,
        now: i64,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE api_keys SET disabled_at = $1 \
             WHERE tenant_id = $2 AND name = $3 AND disabled_at IS NULL",
        )
        .bind(now)
        .bind(tenant.as_str())
        .bind(name)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
