//! Tables `clients` and `client_secrets`.

use fathom_proto::id::TenantId;
use fathom_proto::identity::ModelAccess;

use super::{Store, scopes, unless_tenant_is_unknown};
use crate::Error;
use crate::grant::Grant;
use crate::keyring::{Place, Sealed};

/// Live secrets read of one client; replacing a secret needs two at once.
const MAX_SECRETS: i64 = 4;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct ClientRow {
    pub id: String,
    pub grant: Grant,
    pub self_signed_bearer: bool,
}

/// A secret of a client.
#[derive(Clone, Debug)]
pub(crate) struct SecretRow {
    pub id: String,
    pub sealed: Sealed,
}

impl SecretRow {
    /// Where the secret with this id opens.
    pub(crate) fn place(id: &str) -> Place<'_> {
        Place {
            table: "client_secrets",
            row: id,
        }
    }
}

impl Store {
    pub(crate) async fn client(&self, id: &str) -> Result<Option<ClientRow>, Error> {
        #[derive(sqlx::FromRow)]
        struct Row {
            tenant_id: String,
            scopes: String,
            self_signed_bearer: i64,
            expires_at: Option<i64>,
            client_disabled_at: Option<i64>,
            tenant_disabled_at: Option<i64>,
        }
        let row: Option<Row> = sqlx::query_as(
            "SELECT c.tenant_id, c.scopes, c.self_signed_bearer, c.expires_at, \
                    c.disabled_at AS client_disabled_at, t.disabled_at AS tenant_disabled_at \
             FROM clients c JOIN tenants t ON t.id = c.tenant_id WHERE c.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(ClientRow {
                id: id.to_owned(),
                grant: Grant {
                    tenant: row.tenant_id.into(),
                    scopes: scopes("clients", id, &row.scopes)?,
                    models: ModelAccess::All,
                    expires_at: row.expires_at,
                    disabled: row.client_disabled_at.or(row.tenant_disabled_at).is_some(),
                },
                self_signed_bearer: row.self_signed_bearer == 1,
            })
        })
        .transpose()
    }

    /// The client's secrets that live at `now`, the newest first.
    pub(crate) async fn client_secrets(
        &self,
        client: &str,
        now: i64,
    ) -> Result<Vec<SecretRow>, Error> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT id, sealed, key_id FROM client_secrets \
             WHERE client_id = $1 AND (expires_at IS NULL OR expires_at > $2) \
             ORDER BY created_at DESC, id LIMIT $3",
        )
        .bind(client)
        .bind(now)
        .bind(MAX_SECRETS)
        .fetch_all(&self.pool)
        .await?;
        let row = |(id, text, key_id)| SecretRow {
            id,
            sealed: Sealed { key_id, text },
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Adds a client and its first secret, or neither.
    pub(crate) async fn insert_client(
        &self,
        client: &ClientRow,
        name: &str,
        secret: &SecretRow,
        now: i64,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO clients \
                 (id, tenant_id, name, scopes, self_signed_bearer, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&client.id)
        .bind(client.grant.tenant.as_str())
        .bind(name)
        .bind(client.grant.scopes.to_string())
        .bind(i64::from(client.self_signed_bearer))
        .bind(now)
        .bind(client.grant.expires_at)
        .execute(&mut *transaction)
        .await
        .map_err(|error| unless_tenant_is_unknown(error, &client.grant.tenant))?;
        sqlx::query(
            "INSERT INTO client_secrets (id, client_id, sealed, key_id, created_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&secret.id)
        .bind(&client.id)
        .bind(&secret.sealed.text)
        .bind(&secret.sealed.key_id)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Switches off the tenant's clients of this name.
    pub(crate) async fn disable_clients(
        &self,
        tenant: &TenantId,
        name: &str,
        now: i64,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE clients SET disabled_at = $1 \
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
