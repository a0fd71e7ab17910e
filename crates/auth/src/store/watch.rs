//! What those who watch must know of at once: tokens that were revoked and would still hold.

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
