//! Table `clients`, and what is shown of `client_secrets`.

use std::collections::HashMap;

use fathom_proto::administration::{Client, ClientMethod, ClientSecret};
use sqlx::AnyConnection;

use crate::Error;
use crate::store::{Store, model_names, model_text, scopes};

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    tenant_id: String,
    name: String,
    scopes: String,
    models: Option<String>,
    method: String,
    self_signed_bearer: i64,
    token_endpoint_audience: i64,
    jwks: Option<String>,
    created_at: i64,
    disabled_at: Option<i64>,
    expires_at: Option<i64>,
}

impl Columns {
    fn client(self, secrets: Vec<ClientSecret>) -> Result<Client, Error> {
        let invalid = |column| Error::InvalidRow {
            table: "clients",
            column,
            row: self.id.clone(),
        };
        let jwks = self.jwks.as_deref().map(serde_json::from_str).transpose();
        Ok(Client {
            scopes: scopes("clients", &self.id, &self.scopes)?,
            method: ClientMethod::from_name(&self.method).ok_or_else(|| invalid("method"))?,
            jwks: jwks.map_err(|_| invalid("jwks"))?,
            id: self.id,
            tenant: self.tenant_id.into(),
            name: self.name,
            models: self.models.as_deref().map(model_names),
            self_signed_bearer: self.self_signed_bearer == 1,
            token_endpoint_audience: self.token_endpoint_audience == 1,
            secrets,
            created_at: self.created_at,
            disabled_at: self.disabled_at,
            expires_at: self.expires_at,
        })
    }
}

impl Store {
    /// The client with its secrets that live at `now`.
    pub(crate) async fn client_resource(
        connection: &mut AnyConnection,
        id: &str,
        now: i64,
    ) -> Result<Option<Client>, Error> {
        let row: Option<Columns> = sqlx::query_as(
            "SELECT id, tenant_id, name, scopes, models, method, self_signed_bearer, \
                    token_endpoint_audience, jwks, created_at, disabled_at, expires_at \
             FROM clients WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let secrets: Vec<(String, i64, Option<i64>)> = sqlx::query_as(
            "SELECT id, created_at, expires_at FROM client_secrets \
             WHERE client_id = $1 AND (expires_at IS NULL OR expires_at > $2) \
             ORDER BY created_at, id",
        )
        .bind(id)
        .bind(now)
        .fetch_all(connection)
        .await?;
        row.client(secrets.into_iter().map(secret).collect())
            .map(Some)
    }

    /// Clients by id, of one tenant or, if that is empty, of all; with the secrets that live at
    /// `now`.
    pub(crate) async fn clients(
        &self,
        tenant: &str,
        after: &str,
        limit: i64,
        now: i64,
    ) -> Result<Vec<Client>, Error> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, tenant_id, name, scopes, models, method, self_signed_bearer, \
                    token_endpoint_audience, jwks, created_at, disabled_at, expires_at \
             FROM clients WHERE ($1 = '' OR tenant_id = $1) AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(tenant)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let secrets: Vec<(String, String, i64, Option<i64>)> = sqlx::query_as(
            "SELECT client_id, id, created_at, expires_at FROM client_secrets \
             WHERE client_id IN (SELECT id FROM clients \
                     WHERE ($1 = '' OR tenant_id = $1) AND id > $2 ORDER BY id LIMIT $3) \
                 AND (expires_at IS NULL OR expires_at > $4) \
             ORDER BY created_at, id",
        )
        .bind(tenant)
        .bind(after)
        .bind(limit)
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        let mut secrets_of: HashMap<String, Vec<ClientSecret>> = HashMap::new();
        for (client, id, created_at, expires_at) in secrets {
            let secret = secret((id, created_at, expires_at));
            secrets_of.entry(client).or_default().push(secret);
        }
        rows.into_iter()
            .map(|row| {
                let secrets = secrets_of.remove(&row.id).unwrap_or_default();
                row.client(secrets)
            })
            .collect()
    }

    pub(crate) async fn insert_client(
        connection: &mut AnyConnection,
        client: &Client,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO clients \
                 (id, tenant_id, name, scopes, models, method, self_signed_bearer, \
                  token_endpoint_audience, jwks, created_at, disabled_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(&client.id)
        .bind(client.tenant.as_str())
        .bind(&client.name)
        .bind(client.scopes.to_string())
        .bind(model_text(client.models.as_deref()))
        .bind(client.method.as_str())
        .bind(i64::from(client.self_signed_bearer))
        .bind(i64::from(client.token_endpoint_audience))
        .bind(client.jwks.as_ref().map(ToString::to_string))
        .bind(client.created_at)
        .bind(client.disabled_at)
        .bind(client.expires_at)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Writes everything of a client that can change.
    pub(crate) async fn update_client(
        connection: &mut AnyConnection,
        client: &Client,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE clients SET name = $1, scopes = $2, models = $3, self_signed_bearer = $4, \
                 token_endpoint_audience = $5, jwks = $6, disabled_at = $7, expires_at = $8 \
             WHERE id = $9",
        )
        .bind(&client.name)
        .bind(client.scopes.to_string())
        .bind(model_text(client.models.as_deref()))
        .bind(i64::from(client.self_signed_bearer))
        .bind(i64::from(client.token_endpoint_audience))
        .bind(client.jwks.as_ref().map(ToString::to_string))
        .bind(client.disabled_at)
        .bind(client.expires_at)
        .bind(&client.id)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Ids of the tenant's clients of this name that are not switched off.
    pub(crate) async fn live_client_ids(
        &self,
        tenant: &str,
        name: &str,
    ) -> Result<Vec<String>, Error> {
        Ok(sqlx::query_scalar(
            "SELECT id FROM clients WHERE tenant_id = $1 AND name = $2 AND disabled_at IS NULL",
        )
        .bind(tenant)
        .bind(name)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Deletes a secret of a client; `false` if it has none of this id.
    pub(crate) async fn delete_secret(
        connection: &mut AnyConnection,
        client: &str,
        id: &str,
    ) -> Result<bool, Error> {
        let done = sqlx::query("DELETE FROM client_secrets WHERE id = $1 AND client_id = $2")
            .bind(id)
            .bind(client)
            .execute(connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

fn secret((id, created_at, expires_at): (String, i64, Option<i64>)) -> ClientSecret {
    ClientSecret {
        id,
        created_at,
        expires_at,
    }
}
