//! The only way to change models: a transaction that ends with its row in the record of changes.
//! The first thing it does is to lock the record's end, so that changes have one order, and what
//! is read within one is as the change before has left it.

use std::time::{SystemTime, UNIX_EPOCH};

use fathom_proto::id::ModelId;
use fathom_proto::inference::Sampling;
use fathom_proto::models::{ManagedModel, ModelState, NewModel};
use sqlx::{Any, AnyPool, Transaction};

use super::{check, rows};
use crate::Error;

/// A change that is being made. One that is dropped was never made.
#[must_use]
pub(super) struct Change {
    transaction: Transaction<'static, Any>,
    id: i64,
    /// When it is made, in seconds since the epoch.
    pub at: i64,
}

/// What a change was.
pub(super) struct Record<'a> {
    actor: &'a str,
    action: &'static str,
    why: &'a str,
}

impl<'a> Record<'a> {
    pub const fn new(actor: &'a str, action: &'static str, why: &'a str) -> Self {
        Self { actor, action, why }
    }
}

impl Change {
    /// Begins a change; others wait until it is made or dropped.
    pub async fn begin(pool: &AnyPool) -> Result<Self, Error> {
        let mut transaction = pool.begin().await?;
        // A statement that writes, so that SQLite takes its write lock now and not half way.
        let id = sqlx::query_scalar(
            "UPDATE model_changes_head SET position = position + 1 WHERE id = 1 \
             RETURNING position",
        )
        .fetch_one(&mut *transaction)
        .await?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            transaction,
            id,
            at: since.unwrap_or_default().as_secs().cast_signed(),
        })
    }

    /// The model as the change before has left it.
    pub async fn model(&mut self, id: &ModelId) -> Result<ManagedModel, Error> {
        rows::model(&mut self.transaction, id).await
    }

    /// Adds a model.
    pub async fn insert(&mut self, new: &NewModel) -> Result<(), Error> {
        let inserted = sqlx::query(
            "INSERT INTO models (id, owned_by, context_length, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
        )
        .bind(new.id.as_str())
        .bind(&new.owned_by)
        .bind(i64::from(new.context_length))
        .bind(self.at)
        .execute(&mut *self.transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            let problem = format!("the model `{}` exists; choose another name", new.id);
            return Err(Error::Conflict(problem));
        }
        Ok(())
    }

    /// Adds a version, and gives its number.
    pub async fn add_version(
        &mut self,
        actor: &str,
        model: &ModelId,
        target: &ModelId,
        parameters: &Sampling,
        note: &str,
    ) -> Result<u32, Error> {
        let parameters = serde_json::to_string(parameters).map_err(Error::Json)?;
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO model_versions \
                 (model_id, number, target, parameters, created_at, created_by, note) \
             SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6 \
             FROM model_versions WHERE model_id = $1 RETURNING number",
        )
        .bind(model.as_str())
        .bind(target.as_str())
        .bind(parameters)
        .bind(self.at)
        .bind(actor)
        .bind(note)
        .fetch_one(&mut *self.transaction)
        .await?;
        rows::number_of("model_versions", model, number)
    }

    /// A version that must be there.
    pub async fn version(&mut self, model: &ModelId, number: u32) -> Result<u32, Error> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT number FROM model_versions WHERE model_id = $1 AND number = $2",
        )
        .bind(model.as_str())
        .bind(i64::from(number))
        .fetch_optional(&mut *self.transaction)
        .await?;
        match found {
            Some(_) => Ok(number),
            None => check::invalid("version", format!("names {number}, which does not exist")),
        }
    }

    /// Makes the change: `model` is in the state `to` from now on.
    pub async fn commit(
        mut self,
        model: ManagedModel,
        to: ModelState,
        record: Record<'_>,
    ) -> Result<ManagedModel, Error> {
        check::words("actor", record.actor)?;
        check::words("why", record.why)?;
        rows::write(&mut self.transaction, &model.id, &to, self.id).await?;
        let json = |state: &ModelState| serde_json::to_string(state).map_err(Error::Json);
        sqlx::query(
            "INSERT INTO model_changes \
                 (id, at, actor, action, model_id, from_state, to_state, why) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.id)
        .bind(self.at)
        .bind(record.actor)
        .bind(record.action)
        .bind(model.id.as_str())
        .bind(json(&model.state)?)
        .bind(json(&to)?)
        .bind(record.why)
        .execute(&mut *self.transaction)
        .await?;
        self.transaction.commit().await?;
        let id = self.id.cast_unsigned();
        tracing::info!(
            model = %model.id,
            change = id,
            actor = record.actor,
            action = record.action,
            stable = to.stable,
            canary = to.canary.map(|canary| canary.version),
            percent = to.canary.map(|canary| canary.percent),
            "a model is changed"
        );
        Ok(ManagedModel {
            state: to,
            last_change: id,
            ..model
        })
    }
}
