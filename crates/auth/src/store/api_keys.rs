//! Table `api_keys`: reading a key to check it.

use super::Store;
use super::grants::GrantColumns;
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
            mac: String,
            pepper_id: String,
            #[sqlx(flatten)]
            grant: GrantColumns,
        }
        let row: Option<Row> = sqlx::query_as(
            "SELECT k.mac, k.pepper_id, k.tenant_id, k.scopes, k.models, k.expires_at, \
                    k.disabled_at, t.expires_at AS tenant_expires_at, \
                    t.disabled_at AS tenant_disabled_at \
             FROM api_keys k JOIN tenants t ON t.id = k.tenant_id WHERE k.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(ApiKeyRow {
                id: id.to_owned(),
                grant: row.grant.grant("api_keys", id)?,
                mac: Mac {
                    key_id: row.pepper_id,
                    text: row.mac,
                },
            })
        })
        .transpose()
    }

    /// Puts another hash of the same key in place of `old`, unless somebody else has.
    pub(crate) async fn replace_api_key_mac(
        &self,
        id: &str,
        old: &Mac,
        new: &Mac,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE api_keys SET mac = $1, pepper_id = $2 \
             WHERE id = $3 AND mac = $4 AND pepper_id = $5",
        )
        .bind(&new.text)
        .bind(&new.key_id)
        .bind(id)
        .bind(&old.text)
        .bind(&old.key_id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
