//! Tables `models`, `model_versions` and `model_changes`: fixed statements, every value bound.

use fathom_proto::id::ModelId;
use fathom_proto::models::{Canary, ManagedModel, ModelChange, ModelState, ModelVersion};
use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, AnyPool};

use crate::Error;

/// Most models that are read; an installation has dozens.
const MAX_MODELS: i64 = 10_000;
/// Most versions of a model that are listed.
const MAX_LISTED: i64 = 1_000;
/// Most versions that are kept in memory, the newest of all models.
const MAX_VERSIONS: i64 = 100_000;

#[derive(sqlx::FromRow)]
struct ModelColumns {
    id: String,
    owned_by: String,
    context_length: i64,
    created_at: i64,
    fallback: Option<String>,
    hedging: i64,
    stable: Option<i64>,
    previous: String,
    canary: Option<i64>,
    canary_percent: Option<i64>,
    canary_guard: Option<String>,
    canary_since: Option<i64>,
    last_change: i64,
}

impl ModelColumns {
    fn model(self) -> Result<ManagedModel, Error> {
        let id = ModelId::from(self.id);
        let number = |number| number_of("models", &id, number);
        let canary = match (self.canary, self.canary_percent) {
            (Some(version), Some(percent)) => Some(Canary {
                version: number(version)?,
                percent: number(percent)?,
                guard: match self.canary_guard {
                    Some(text) => json("models", &id, &text)?,
                    None => Default::default(),
                },
                since: self.canary_since.unwrap_or_default(),
            }),
            _ => None,
        };
        let previous = self.previous.split_whitespace().map(|text| {
            let number = text.parse().map_err(|_| invalid("models", &id));
            number.and_then(|number| number_of("models", &id, number))
        });
        let state = ModelState {
            stable: self.stable.map(number).transpose()?,
            previous: previous.collect::<Result<_, _>>()?,
            canary,
            fallback: self.fallback.map(Into::into),
            hedging: self.hedging != 0,
        };
        Ok(ManagedModel {
            id,
            owned_by: self.owned_by,
            // The schema keeps it positive; more than u32 holds is as good as no limit.
            context_length: u32::try_from(self.context_length).unwrap_or(u32::MAX),
            created_at: self.created_at,
            state,
            last_change: self.last_change.cast_unsigned(),
        })
    }
}

/// Every model, by name.
pub(crate) async fn models(pool: &AnyPool) -> Result<Vec<ManagedModel>, Error> {
    let rows: Vec<ModelColumns> = sqlx::query_as(
        "SELECT id, owned_by, context_length, created_at, fallback, hedging, stable, previous, \
             canary, canary_percent, canary_guard, canary_since, last_change \
         FROM models ORDER BY id LIMIT $1",
    )
    .bind(MAX_MODELS)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(ModelColumns::model).collect()
}

/// One model.
pub(super) async fn model(
    connection: &mut AnyConnection,
    id: &ModelId,
) -> Result<ManagedModel, Error> {
    let row: Option<ModelColumns> = sqlx::query_as(
        "SELECT id, owned_by, context_length, created_at, fallback, hedging, stable, previous, \
             canary, canary_percent, canary_guard, canary_since, last_change \
         FROM models WHERE id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(connection)
    .await?;
    match row {
        Some(row) => row.model(),
        None => Err(Error::ModelNotFound { model: id.clone() }),
    }
}

/// Writes everything of a model that changes.
pub(super) async fn write(
    connection: &mut AnyConnection,
    id: &ModelId,
    state: &ModelState,
    change: i64,
) -> Result<(), Error> {
    let previous: Vec<_> = state.previous.iter().map(u32::to_string).collect();
    let guard = state
        .canary
        .map(|canary| serde_json::to_string(&canary.guard).map_err(Error::Json));
    sqlx::query(
        "UPDATE models SET fallback = $1, hedging = $2, stable = $3, previous = $4, \
             canary = $5, canary_percent = $6, canary_guard = $7, canary_since = $8, \
             last_change = $9 WHERE id = $10",
    )
    .bind(state.fallback.as_ref().map(|model| model.to_string()))
    .bind(i64::from(state.hedging))
    .bind(state.stable.map(i64::from))
    .bind(previous.join(" "))
    .bind(state.canary.map(|canary| i64::from(canary.version)))
    .bind(state.canary.map(|canary| i64::from(canary.percent)))
    .bind(guard.transpose()?)
    .bind(state.canary.map(|canary| canary.since))
    .bind(change)
    .bind(id.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Id of the last change of all; 0: there was none.
pub(crate) async fn last_change(pool: &AnyPool) -> Result<u64, Error> {
    let position: i64 = sqlx::query_scalar("SELECT position FROM model_changes_head WHERE id = 1")
        .fetch_one(pool)
        .await?;
    Ok(position.cast_unsigned())
}

#[derive(sqlx::FromRow)]
struct VersionColumns {
    model_id: String,
    number: i64,
    target: String,
    parameters: String,
    created_at: i64,
    created_by: String,
    note: String,
}

impl VersionColumns {
    fn version(self) -> Result<(ModelId, ModelVersion), Error> {
        let model = ModelId::from(self.model_id);
        let version = ModelVersion {
            number: number_of("model_versions", &model, self.number)?,
            target: self.target.into(),
            parameters: json("model_versions", &model, &self.parameters)?,
            created_at: self.created_at,
            created_by: self.created_by,
            note: self.note,
        };
        Ok((model, version))
    }
}

/// The versions of a model, the newest first.
pub(super) async fn versions_of(
    pool: &AnyPool,
    model: &ModelId,
) -> Result<Vec<ModelVersion>, Error> {
    let rows: Vec<VersionColumns> = sqlx::query_as(
        "SELECT model_id, number, target, parameters, created_at, created_by, note \
         FROM model_versions WHERE model_id = $1 ORDER BY number DESC LIMIT $2",
    )
    .bind(model.as_str())
    .bind(MAX_LISTED)
    .fetch_all(pool)
    .await?;
    let versions = rows.into_iter().map(VersionColumns::version);
    versions
        .map(|row| row.map(|(_, version)| version))
        .collect()
}

/// The versions of all models.
pub(crate) async fn versions(pool: &AnyPool) -> Result<Vec<(ModelId, ModelVersion)>, Error> {
    let rows: Vec<VersionColumns> = sqlx::query_as(
        "SELECT model_id, number, target, parameters, created_at, created_by, note \
         FROM model_versions ORDER BY created_at DESC LIMIT $1",
    )
    .bind(MAX_VERSIONS)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(VersionColumns::version).collect()
}

#[derive(sqlx::FromRow)]
struct ChangeColumns {
    id: i64,
    at: i64,
    actor: String,
    action: String,
    model_id: String,
    from_state: String,
    to_state: String,
    why: String,
}

/// The changes of a model after one of them, the oldest first.
pub(super) async fn changes(
    pool: &AnyPool,
    model: &ModelId,
    after: i64,
    limit: i64,
) -> Result<Vec<ModelChange>, Error> {
    let rows: Vec<ChangeColumns> = sqlx::query_as(
        "SELECT id, at, actor, action, model_id, from_state, to_state, why FROM model_changes \
         WHERE model_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(model.as_str())
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let change = |row: ChangeColumns| {
        let model = ModelId::from(row.model_id);
        Ok(ModelChange {
            id: row.id.cast_unsigned(),
            at: row.at,
            actor: row.actor,
            action: row.action,
            from: json("model_changes", &model, &row.from_state)?,
            to: json("model_changes", &model, &row.to_state)?,
            model,
            why: row.why,
        })
    };
    rows.into_iter().map(change).collect()
}

/// A column of numbers.
pub(super) fn number_of(table: &'static str, row: &ModelId, number: i64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| invalid(table, row))
}

/// A column of JSON.
fn json<T: DeserializeOwned>(table: &'static str, row: &ModelId, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| invalid(table, row))
}

fn invalid(table: &'static str, row: &ModelId) -> Error {
    let row = row.clone();
    Error::InvalidRow { table, row }
}
