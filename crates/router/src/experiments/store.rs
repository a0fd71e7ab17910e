//! The tables of experiments.

mod rows;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use fathom_proto::feedback::Score;
use fathom_proto::id::{RequestId, TenantId};
use serde::Serialize;
use sqlx::{Any, AnyPool, Transaction};

use super::counts::{Sums, Unwritten};
use super::definition::{Experiment, NewExperiment, State};
use super::report::MILLIONTHS;
use super::{Error, Report};

/// How long a request can be scored after it began.
const SCORED_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Experiments in the database; clones share the pool.
#[derive(Clone, Debug)]
pub struct ExperimentStore(AnyPool);

/// Who changed an experiment, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExperimentChange {
    /// `created` or `stopped`.
    pub change: String,
    /// Which arm; `None`: all of the experiment.
    pub arm: Option<String>,
    /// In seconds since the epoch.
    pub at: i64,
    /// `operator:NAME`, or `router`.
    pub who: String,
    /// Their words.
    pub why: String,
}

impl ExperimentStore {
    /// The experiments in `pool`.
    #[must_use]
    pub fn new(pool: AnyPool) -> Self {
        Self(pool)
    }

    /// Makes an experiment; it runs from now on, at every router within seconds.
    ///
    /// # Errors
    /// What cannot be an experiment, or would be a second one on its model.
    pub async fn create(&self, new: &NewExperiment, who: &str, why: &str) -> Result<(), Error> {
        new.check()?;
        let mut transaction = self.0.begin().await?;
        let model: Option<(String,)> = sqlx::query_as("SELECT id FROM models WHERE id = $1")
            .bind(new.model.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        if model.is_none() {
            return Err(Error::UnknownModel(new.model.clone()));
        }
        // An arm of a version that is not there would be answered, and counted, as any other.
        for version in new.arms.iter().filter_map(|arm| arm.version) {
            let known: Option<(i64,)> = sqlx::query_as(
                "SELECT number FROM model_versions WHERE model_id = $1 AND number = $2",
            )
            .bind(new.model.as_str())
            .bind(i64::from(version))
            .fetch_optional(&mut *transaction)
            .await?;
            if known.is_none() {
                return Err(Error::UnknownVersion(new.model.clone(), version));
            }
        }
        let made = sqlx::query(
            "INSERT INTO experiments (name, model_id, state, salt, max_error_increase, \
             max_score_decrease, created_at) VALUES ($1, $2, 'running', $3, $4, $5, $6) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&new.name)
        .bind(new.model.as_str())
        .bind(salt()?)
        .bind(millionths(new.guard_rail.max_error_increase))
        .bind(millionths(new.guard_rail.max_score_decrease))
        .bind(now())
        .execute(&mut *transaction)
        .await?;
        if made.rows_affected() == 0 {
            drop(transaction);
            return Err(match self.experiment(&new.name).await {
                Ok(_) => Error::NameTaken(new.name.clone()),
                Err(Error::Unknown(_)) => Error::ModelTaken(new.model.clone()),
                Err(error) => error,
            });
        }
        for (position, arm) in (0_i64..).zip(&new.arms) {
            let parameters = serde_json::to_string(&arm.parameters);
            sqlx::query(
                "INSERT INTO experiment_arms (experiment, name, position, weight, parameters, \
                 version) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(&new.name)
            .bind(&arm.name)
            .bind(position)
            .bind(i64::from(arm.weight))
            .bind(parameters.map_err(|error| sqlx::Error::Encode(error.into()))?)
            .bind(arm.version.map(i64::from))
            .execute(&mut *transaction)
            .await?;
        }
        change(&mut transaction, &new.name, None, "created", who, why).await?;
        Ok(transaction.commit().await?)
    }

    /// Ends an experiment for good: its requests are answered as all others.
    ///
    /// # Errors
    /// An experiment that does not run.
    pub async fn stop(&self, name: &str, who: &str, why: &str) -> Result<(), Error> {
        let mut transaction = self.0.begin().await?;
        let stopped = sqlx::query(
            "UPDATE experiments SET state = 'stopped' WHERE name = $1 AND state = 'running'",
        )
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        if stopped.rows_affected() == 0 {
            drop(transaction);
            self.experiment(name).await?;
            return Err(Error::Stopped(name.to_owned()));
        }
        change(&mut transaction, name, None, "stopped", who, why).await?;
        Ok(transaction.commit().await?)
    }

    /// Sends the requests of an arm to the first arm; whether they did not go there before.
    pub(super) async fn stop_arm(&self, name: &str, arm: &str, why: &str) -> Result<bool, Error> {
        let mut transaction = self.0.begin().await?;
        let stopped = sqlx::query(
            "UPDATE experiment_arms SET stopped_at = $1 \
             WHERE experiment = $2 AND name = $3 AND stopped_at IS NULL",
        )
        .bind(now())
        .bind(name)
        .bind(arm)
        .execute(&mut *transaction)
        .await?;
        if stopped.rows_affected() == 0 {
            return Ok(false);
        }
        change(&mut transaction, name, Some(arm), "stopped", "router", why).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Every experiment, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn experiments(&self) -> Result<Vec<Experiment>, Error> {
        rows::read(&self.0, None, None).await
    }

    /// Those that run.
    pub(super) async fn running(&self) -> Result<Vec<Experiment>, Error> {
        rows::read(&self.0, Some(State::Running), None).await
    }

    /// One experiment.
    ///
    /// # Errors
    /// No such one.
    pub async fn experiment(&self, name: &str) -> Result<Experiment, Error> {
        let mut found = rows::read(&self.0, None, Some(name)).await?;
        found.pop().ok_or_else(|| Error::Unknown(name.to_owned()))
    }

    /// What an experiment has come to, and how it was changed, the oldest first.
    ///
    /// # Errors
    /// No such one.
    pub async fn report(&self, name: &str) -> Result<(Report, Vec<ExperimentChange>), Error> {
        let report = Report::of(&self.experiment(name).await?);
        let changes: Vec<(String, String, i64, String, String)> = sqlx::query_as(
            "SELECT change, arm, at, who, why FROM experiment_changes WHERE experiment = $1 \
             ORDER BY at, change, arm",
        )
        .bind(name)
        .fetch_all(&self.0)
        .await?;
        let changes = changes.into_iter();
        let changes = changes.map(|(change, arm, at, who, why)| ExperimentChange {
            change,
            arm: Some(arm).filter(|arm| !arm.is_empty()),
            at,
            who,
            why,
        });
        Ok((report, changes.collect()))
    }

    /// Adds what a router has counted, all of it or nothing.
    pub(super) async fn write(&self, unwritten: &Unwritten) -> Result<(), Error> {
        let mut transaction = self.0.begin().await?;
        for (request, remembered) in &unwritten.requests {
            sqlx::query(
                "INSERT INTO experiment_requests (request_id, tenant_id, experiment, arm, at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
            .bind(request.as_str())
            .bind(remembered.tenant.as_str())
            .bind(&remembered.assignment.experiment)
            .bind(&remembered.assignment.arm)
            .bind(remembered.at)
            .execute(&mut *transaction)
            .await?;
        }
        for (experiment, arms) in &unwritten.sums {
            for (arm, sums) in arms {
                add(&mut transaction, experiment, arm, sums).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// Scores a request of `tenant`, in place of the score that it had.
    pub(super) async fn score(
        &self,
        tenant: &TenantId,
        request: &RequestId,
        score: Score,
    ) -> Result<(), Error> {
        let mut transaction = self.0.begin().await?;
        // The row is locked from here on, so that its former score is taken away once.
        let found: Option<(String, String, Option<i64>)> = sqlx::query_as(
            "UPDATE experiment_requests SET scored_at = $1 \
             WHERE request_id = $2 AND tenant_id = $3 RETURNING experiment, arm, score",
        )
        .bind(now())
        .bind(request.as_str())
        .bind(tenant.as_str())
        .fetch_optional(&mut *transaction)
        .await?;
        let (experiment, arm, former) = found.ok_or(Error::UnknownRequest)?;
        let new = millionths(score.value());
        sqlx::query("UPDATE experiment_requests SET score = $1 WHERE request_id = $2")
            .bind(new)
            .bind(request.as_str())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "UPDATE experiment_arms SET scores = scores + $1, score_sum = score_sum + $2, \
             score_squares = score_squares + $3 WHERE experiment = $4 AND name = $5",
        )
        .bind(i64::from(former.is_none()))
        .bind(new - former.unwrap_or(0))
        .bind(square(new) - former.map_or(0, square))
        .bind(&experiment)
        .bind(&arm)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets requests that are too old to be scored; their scores stay in the sums.
    pub(super) async fn purge(&self) -> Result<(), Error> {
        let age = i64::try_from(SCORED_WITHIN.as_secs()).unwrap_or(i64::MAX);
        sqlx::query("DELETE FROM experiment_requests WHERE at < $1")
            .bind(now().saturating_sub(age))
            .execute(&self.0)
            .await?;
        Ok(())
    }
}

async fn add(
    transaction: &mut Transaction<'static, Any>,
    experiment: &str,
    arm: &str,
    sums: &Sums,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE experiment_arms SET requests = requests + $1, errors = errors + $2, \
         tokens = tokens + $3, first_tokens = first_tokens + $4, \
         first_token_ms = first_token_ms + $5, \
         first_token_ms_squared = first_token_ms_squared + $6, duration_ms = duration_ms + $7 \
         WHERE experiment = $8 AND name = $9",
    )
    .bind(sums.requests)
    .bind(sums.errors)
    .bind(sums.tokens)
    .bind(sums.first_tokens)
    .bind(sums.first_token_ms)
    .bind(sums.first_token_ms_squared)
    .bind(sums.duration_ms)
    .bind(experiment)
    .bind(arm)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn change(
    transaction: &mut Transaction<'static, Any>,
    experiment: &str,
    arm: Option<&str>,
    change: &str,
    who: &str,
    why: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO experiment_changes (experiment, arm, change, at, who, why) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(experiment)
    .bind(arm.unwrap_or_default())
    .bind(change)
    .bind(now())
    .bind(who)
    .bind(why)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Seconds since the epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

fn millionths(value: f64) -> i64 {
    // What comes here was checked to be from -2 to 2.
    (value * MILLIONTHS).round() as i64
}

/// The square of a score, in millionths as the score.
fn square(score: i64) -> i64 {
    let score = score as f64 / MILLIONTHS;
    millionths(score * score)
}

fn salt() -> Result<String, Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)
        .map_err(|_| sqlx::Error::Encode("the system gives no random numbers".into()))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
