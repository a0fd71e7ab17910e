//! Table `clients`, read to find out who calls.

use fathom_proto::administration::ClientMethod;

use super::Store;
use super::grants::GrantColumns;
use crate::Error;
use crate::grant::Grant;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct ClientRow {
    pub id: String,
    pub grant: Grant,
    /// The one way it proves itself at the token endpoint.
    pub method: ClientMethod,
    pub self_signed_bearer: bool,
    /// Whether its assertions may name the token endpoint as audience.
    pub token_endpoint_audience: bool,
    /// A JWK set, of clients that sign with a key of their own.
    pub jwks: Option<String>,
}

impl Store {
    pub(crate) async fn client(&self, id: &str) -> Result<Option<ClientRow>, Error> {
        #[derive(sqlx::FromRow)]
        struct Row {
            method: String,
            self_signed_bearer: i64,
            token_endpoint_audience: i64,
            jwks: Option<String>,
            #[sqlx(flatten)]
            grant: GrantColumns,
        }
        let row: Option<Row> = sqlx::query_as(
            "SELECT c.method, c.self_signed_bearer, c.token_endpoint_audience, c.jwks, \
                    c.tenant_id, c.scopes, c.models, c.expires_at, c.disabled_at, \
                    t.expires_at AS tenant_expires_at, \
                    t.disabled_at AS tenant_disabled_at \
             FROM clients c JOIN tenants t ON t.id = c.tenant_id WHERE c.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(ClientRow {
                id: id.to_owned(),
                grant: row.grant.grant("clients", id)?,
                method: method(id, &row.method)?,
                self_signed_bearer: row.self_signed_bearer == 1,
                token_endpoint_audience: row.token_endpoint_audience == 1,
                jwks: row.jwks,
            })
        })
        .transpose()
    }
}

/// Reads a column of methods; of one that is not understood nobody is let in.
fn method(client: &str, text: &str) -> Result<ClientMethod, Error> {
    ClientMethod::from_name(text).ok_or_else(|| Error::InvalidRow {
        table: "clients",
        column: "method",
        row: client.to_owned(),
    })
}
