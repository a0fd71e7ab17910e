//! Table `revoked_tokens`.

use sqlx::AnyConnection;

use super::Store;
use crate::Error;

/// A revoked token.
#[derive(sqlx::FromRow)]
pub(crate) struct RevokedToken {
    pub id: String,
    pub client_id: String,
    pub expires_at: i64,
}

impl Store {
    /// Whether the access token with this `jti` was ended before its time.
    pub(crate) async fn is_revoked(&self, jti: &str) -> Result<bool, Error> {
        let row: Option<(i64,)> =
            sqlx::query_as("SELECT expires_at FROM revoked_tokens WHERE id = $1")
                .bind(jti)
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.is_some())
    }

    /// How many tokens of a client were ended and would still hold at `now`.
    pub(crate) async fn count_revoked_tokens(&self, client: &str, now: i64) -> Result<i64, Error> {
        let (count,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM revoked_tokens WHERE client_id = $1 AND expires_at > $2",
        )
        .bind(client)
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(count)
    }

    /// Ends an access token; `false` if it had been ended before.
    pub(crate) async fn insert_revoked_token(
        connection: &mut AnyConnection,
        jti: &str,
        client: &str,
        expires_at: i64,
    ) -> Result<bool, Error> {
        let done = sqlx::query(
            "INSERT INTO revoked_tokens (id, client_id, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(jti)
        .bind(client)
        .bind(expires_at)
        .execute(connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets tokens that ended before `end` anyway.
    pub(crate) async fn purge_revoked_tokens(&self, end: i64) -> Result<(), Error> {
        sqlx::query("DELETE FROM revoked_tokens WHERE expires_at < $1")
            .bind(end)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Up to `limit` revoked tokens that end after `end`, by id, after the id `after`.
    pub(crate) async fn live_revoked_tokens(
        &self,
        after: &str,
        end: i64,
        limit: i64,
    ) -> Result<Vec<RevokedToken>, Error> {
        Ok(sqlx::query_as(
            "SELECT id, client_id, expires_at FROM revoked_tokens \
             WHERE id > $1 AND expires_at > $2 ORDER BY id LIMIT $3",
        )
        .bind(after)
        .bind(end)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?)
    }
}
