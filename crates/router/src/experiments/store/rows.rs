//! Experiments as rows: one for each arm.

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};

use crate::experiments::Error;
use crate::experiments::counts::Sums;
use crate::experiments::definition::{Arm, Experiment, GuardRail, State};
use crate::experiments::report::MILLIONTHS;

/// Most arms that are read; an installation has dozens.
const MAX_ROWS: i64 = 10_000;

/// The newest first; those in `state`, or all; with the name `name`, or any.
pub(super) async fn read(
    pool: &AnyPool,
    state: Option<State>,
    name: Option<&str>,
) -> Result<Vec<Experiment>, Error> {
    let rows = sqlx::query(
        "SELECT e.name AS experiment, e.model_id, e.state, e.salt, e.max_error_increase, \
         e.max_score_decrease, e.created_at, a.name AS arm, a.weight, a.parameters, a.version, \
         a.stopped_at, a.requests, a.errors, a.tokens, a.first_tokens, a.first_token_ms, \
         a.first_token_ms_squared, a.duration_ms, a.scores, a.score_sum, a.score_squares \
         FROM experiments e JOIN experiment_arms a ON a.experiment = e.name \
         WHERE ($1 = '' OR e.state = $1) AND ($2 = '' OR e.name = $2) \
         ORDER BY e.created_at DESC, e.name, a.position LIMIT $3",
    )
    .bind(state.map_or("", State::name))
    .bind(name.unwrap_or_default())
    .bind(MAX_ROWS)
    .fetch_all(pool)
    .await?;
    let mut experiments: Vec<Experiment> = Vec::new();
    for row in &rows {
        let arm = arm(row)?;
        let name: String = row.try_get("experiment")?;
        match experiments.last_mut() {
            Some(last) if last.name == name => last.arms.push(arm),
            _ => experiments.push(experiment(row, name, arm)?),
        }
    }
    Ok(experiments)
}

fn experiment(row: &AnyRow, name: String, first: Arm) -> Result<Experiment, sqlx::Error> {
    let model: String = row.try_get("model_id")?;
    let state: String = row.try_get("state")?;
    let part = |column| {
        row.try_get::<i64, _>(column)
            .map(|it| it as f64 / MILLIONTHS)
    };
    Ok(Experiment {
        name,
        model: model.into(),
        state: if state == State::Running.name() {
            State::Running
        } else {
            State::Stopped
        },
        salt: row.try_get("salt")?,
        guard_rail: GuardRail {
            max_error_increase: part("max_error_increase")?,
            max_score_decrease: part("max_score_decrease")?,
        },
        created_at: row.try_get("created_at")?,
        arms: vec![first],
    })
}

fn arm(row: &AnyRow) -> Result<Arm, sqlx::Error> {
    let parameters: String = row.try_get("parameters")?;
    let parameters = serde_json::from_str(&parameters);
    let number = |column| {
        let number: Option<i64> = row.try_get(column)?;
        let number = number.map(u32::try_from).transpose();
        number.map_err(|error| sqlx::Error::Decode(error.into()))
    };
    Ok(Arm {
        name: row.try_get("arm")?,
        weight: number("weight")?.unwrap_or(1),
        parameters: parameters.map_err(|error| sqlx::Error::Decode(error.into()))?,
        version: number("version")?,
        stopped_at: row.try_get("stopped_at")?,
        sums: Sums {
            requests: row.try_get("requests")?,
            errors: row.try_get("errors")?,
            tokens: row.try_get("tokens")?,
            first_tokens: row.try_get("first_tokens")?,
            first_token_ms: row.try_get("first_token_ms")?,
            first_token_ms_squared: row.try_get("first_token_ms_squared")?,
            duration_ms: row.try_get("duration_ms")?,
            scores: row.try_get("scores")?,
            score_sum: row.try_get("score_sum")?,
            score_squares: row.try_get("score_squares")?,
        },
    })
}
