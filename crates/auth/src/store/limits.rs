//! Table `limits`. The empty text stands for no subject, and for no model.

use fathom_proto::id::TenantId;
use fathom_proto::identity::{Limit, LimitTarget, Limits};
use sqlx::AnyConnection;

use super::Store;
use crate::Error;

/// Most limits that are listed at once.
const MAX_LISTED: i64 = 10_000;

#[derive(sqlx::FromRow)]
struct Columns {
    tenant_id: String,
    subject: String,
    model_id: String,
    concurrent_requests: Option<i64>,
    requests_per_minute: Option<i64>,
    tokens_per_minute: Option<i64>,
    budget_micro_usd_per_day: Option<i64>,
    budget_micro_usd_per_month: Option<i64>,
}

impl Columns {
    fn limit(self) -> Result<Limit, Error> {
        let row = format!("{}/{}", self.tenant_id, self.subject);
        let limits = Limits {
            concurrent_requests: amount(self.concurrent_requests, &row)?,
            requests_per_minute: amount(self.requests_per_minute, &row)?,
            tokens_per_minute: amount(self.tokens_per_minute, &row)?,
            budget_micro_usd_per_day: amount(self.budget_micro_usd_per_day, &row)?,
            budget_micro_usd_per_month: amount(self.budget_micro_usd_per_month, &row)?,
        };
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Limit {
            target: LimitTarget {
                tenant: self.tenant_id.into(),
                subject: some(self.subject),
                model: some(self.model_id).map(Into::into),
            },
            limits,
        })
    }
}

/// Reads an amount; a negative one fails, so that no row lets more through than was meant.
fn amount<T: TryFrom<i64>>(amount: Option<i64>, row: &str) -> Result<Option<T>, Error> {
    amount
        .map(T::try_from)
        .transpose()
        .map_err(|_| Error::InvalidRow {
            table: "limits",
            column: "amounts",
            row: row.to_owned(),
        })
}

/// Amounts are checked to be below 2^63 where they come in.
fn write(amount: Option<u64>) -> Option<i64> {
    amount.map(|amount| i64::try_from(amount).unwrap_or(i64::MAX))
}

fn key(target: &LimitTarget) -> [&str; 3] {
    [
        target.tenant.as_str(),
        target.subject.as_deref().unwrap_or_default(),
        target.model.as_ref().map_or("", |model| model.as_str()),
    ]
}

impl Store {
    /// The limits of a tenant and of one of its clients or keys.
    pub(crate) async fn limits_of(
        &self,
        tenant: &TenantId,
        subject: &str,
    ) -> Result<Vec<Limit>, Error> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT tenant_id, subject, model_id, concurrent_requests, requests_per_minute, \
                    tokens_per_minute, budget_micro_usd_per_day, budget_micro_usd_per_month \
             FROM limits WHERE tenant_id = $1 AND (subject = '' OR subject = $2) \
             ORDER BY subject, model_id",
        )
        .bind(tenant.as_str())
        .bind(subject)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Columns::limit).collect()
    }

    /// Limits of one tenant or, if that is empty, of all.
    pub(crate) async fn limits(&self, tenant: &str) -> Result<Vec<Limit>, Error> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT tenant_id, subject, model_id, concurrent_requests, requests_per_minute, \
                    tokens_per_minute, budget_micro_usd_per_day, budget_micro_usd_per_month \
             FROM limits WHERE $1 = '' OR tenant_id = $1 \
             ORDER BY tenant_id, subject, model_id LIMIT $2",
        )
        .bind(tenant)
        .bind(MAX_LISTED + 1)
        .fetch_all(&self.pool)
        .await?;
        if i64::try_from(rows.len()).is_ok_and(|rows| rows > MAX_LISTED) {
            return Err(Error::InvalidField {
                field: "tenant",
                problem: "must be named: there are more than 10,000 limits in all",
            });
        }
        rows.into_iter().map(Columns::limit).collect()
    }

    pub(crate) async fn limit(
        connection: &mut AnyConnection,
        target: &LimitTarget,
    ) -> Result<Option<Limit>, Error> {
        let [tenant, subject, model] = key(target);
        let row: Option<Columns> = sqlx::query_as(
            "SELECT tenant_id, subject, model_id, concurrent_requests, requests_per_minute, \
                    tokens_per_minute, budget_micro_usd_per_day, budget_micro_usd_per_month \
             FROM limits WHERE tenant_id = $1 AND subject = $2 AND model_id = $3",
        )
        .bind(tenant)
        .bind(subject)
        .bind(model)
        .fetch_optional(connection)
        .await?;
        row.map(Columns::limit).transpose()
    }

    pub(crate) async fn count_limits(
        connection: &mut AnyConnection,
        tenant: &TenantId,
    ) -> Result<i64, Error> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM limits WHERE tenant_id = $1")
                .bind(tenant.as_str())
                .fetch_one(connection)
                .await?,
        )
    }

    /// Whether a client or API key of this id belongs to the tenant.
    pub(crate) async fn is_subject_of(
        connection: &mut AnyConnection,
        subject: &str,
        tenant: &TenantId,
    ) -> Result<bool, Error> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM clients WHERE id = $1 AND tenant_id = $2 \
             UNION ALL SELECT id FROM api_keys WHERE id = $1 AND tenant_id = $2",
        )
        .bind(subject)
        .bind(tenant.as_str())
        .fetch_optional(connection)
        .await?;
        Ok(found.is_some())
    }

    pub(crate) async fn set_limit(
        connection: &mut AnyConnection,
        limit: &Limit,
    ) -> Result<(), Error> {
        let [tenant, subject, model] = key(&limit.target);
        let limits = &limit.limits;
        sqlx::query(
            "INSERT INTO limits \
                 (tenant_id, subject, model_id, concurrent_requests, requests_per_minute, \
                  tokens_per_minute, budget_micro_usd_per_day, budget_micro_usd_per_month) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (tenant_id, subject, model_id) DO UPDATE SET \
                 concurrent_requests = excluded.concurrent_requests, \
                 requests_per_minute = excluded.requests_per_minute, \
                 tokens_per_minute = excluded.tokens_per_minute, \
                 budget_micro_usd_per_day = excluded.budget_micro_usd_per_day, \
                 budget_micro_usd_per_month = excluded.budget_micro_usd_per_month",
        )
        .bind(tenant)
        .bind(subject)
        .bind(model)
        .bind(limits.concurrent_requests.map(i64::from))
        .bind(limits.requests_per_minute.map(i64::from))
        .bind(write(limits.tokens_per_minute))
        .bind(write(limits.budget_micro_usd_per_day))
        .bind(write(limits.budget_micro_usd_per_month))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Deletes the limits of a target; `false` if it has none.
    pub(crate) async fn delete_limit(
        connection: &mut AnyConnection,
        target: &LimitTarget,
    ) -> Result<bool, Error> {
        let [tenant, subject, model] = key(target);
        let done = sqlx::query(
            "DELETE FROM limits WHERE tenant_id = $1 AND subject = $2 AND model_id = $3",
        )
        .bind(tenant)
        .bind(subject)
        .bind(model)
        .execute(connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
