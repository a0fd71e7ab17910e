//! Tables `audit_log` and `audit_head`.

use sqlx::AnyConnection;

use super::Store;
use crate::Error;
use crate::audit::Row;
use crate::keyring::Mac;

/// The end of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub position: i64,
    pub mac: String,
}

impl Store {
    pub(crate) async fn audit_head(&self) -> Result<Head, Error> {
        let (position, mac) = sqlx::query_as("SELECT position, mac FROM audit_head WHERE id = 1")
            .fetch_one(&self.pool)
            .await?;
        Ok(Head { position, mac })
    }

    /// Up to `limit` rows after a position, the oldest first.
    pub(crate) async fn audit_rows(&self, after: i64, limit: i64) -> Result<Vec<Row>, Error> {
        #[derive(sqlx::FromRow)]
        struct Columns {
            position: i64,
            at: i64,
            actor: String,
            action: String,
            tenant_id: Option<String>,
            target: String,
            details: String,
            key_id: String,
            mac: String,
        }
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT position, at, actor, action, tenant_id, target, details, key_id, mac \
             FROM audit_log WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let row = |row: Columns| Row {
            position: row.position,
            at: row.at,
            actor: row.actor,
            action: row.action,
            tenant: row.tenant_id.map(Into::into),
            target: row.target,
            details: row.details,
            mac: Mac {
                key_id: row.key_id,
                text: row.mac,
            },
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// The hash of the row at a position.
    pub(crate) async fn audit_mac(&self, position: i64) -> Result<Option<String>, Error> {
        Ok(
            sqlx::query_scalar("SELECT mac FROM audit_log WHERE position = $1")
                .bind(position)
                .fetch_optional(&self.pool)
                .await?,
        )
    }

    pub(crate) async fn insert_audit_row(
        connection: &mut AnyConnection,
        row: &Row,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO audit_log \
                 (position, at, actor, action, tenant_id, target, details, key_id, mac) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(row.position)
        .bind(row.at)
        .bind(&row.actor)
        .bind(&row.action)
        .bind(row.tenant.as_ref().map(|tenant| tenant.as_str()))
        .bind(&row.target)
        .bind(&row.details)
        .bind(&row.mac.key_id)
        .bind(&row.mac.text)
        .execute(&mut *connection)
        .await?;
        sqlx::query("UPDATE audit_head SET mac = $1 WHERE id = 1")
            .bind(&row.mac.text)
            .execute(connection)
            .await?;
        Ok(())
    }
}
