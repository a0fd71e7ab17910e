//! Table `used_assertions`.

use super::Store;
use crate::Error;

impl Store {
    /// How many assertions of the client are remembered that end after `now`.
    pub(crate) async fn count_used_assertions(&self, client: &str, now: i64) -> Result<i64, Error> {
        let (count,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM used_assertions WHERE client_id = $1 AND expires_at > $2",
        )
        .bind(client)
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(count)
    }

    /// Takes an assertion. The primary key lets one of all callers have `true`, in whichever
    /// process and however close they come.
    pub(crate) async fn use_assertion(
        &self,
        client: &str,
        jti_hash: &str,
        expires_at: i64,
    ) -> Result<bool, Error> {
        let done = sqlx::query(
            "INSERT INTO used_assertions (client_id, jti_hash, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (client_id, jti_hash) DO NOTHING",
        )
        .bind(client)
        .bind(jti_hash)
        .bind(expires_at)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets assertions that ended before `end`.
    pub(crate) async fn purge_used_assertions(&self, end: i64) -> Result<(), Error> {
        sqlx::query("DELETE FROM used_assertions WHERE expires_at < $1")
            .bind(end)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
