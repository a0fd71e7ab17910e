//! The rows of the model table, kept in memory: no request waits for the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fathom_proto::id::ModelId;
use sqlx::AnyPool;

use crate::Error;
use crate::experiments::Experiments;

/// Most rows that are read; an installation has dozens.
const MAX_ROWS: i64 = 10_000;

/// The models that clients can ask for.
pub(crate) struct Models {
    pool: AnyPool,
    rows: RwLock<Arc<HashMap<ModelId, Row>>>,
    stale: AtomicBool,
    /// What is tried out on their requests.
    pub experiments: Experiments,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub owned_by: String,
    pub context_length: u32,
    /// Seconds since the epoch.
    pub created: i64,
}

impl Models {
    /// Reads the table.
    pub async fn load(pool: AnyPool) -> Result<Self, Error> {
        let rows = RwLock::new(Arc::new(read(&pool).await?));
        Ok(Self {
            experiments: Experiments::load(pool.clone()).await?,
            pool,
            rows,
            stale: AtomicBool::new(false),
        })
    }

    /// Every row, as last read.
    pub fn rows(&self) -> Arc<HashMap<ModelId, Row>> {
        self.rows
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Most tokens of prompt and output that `model` may have together; `None`: no such model.
    pub fn context_length(&self, model: &ModelId) -> Option<u32> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(model).map(|row| row.context_length)
    }

    /// Reads the table again. If that fails, the rows of the last time stay: a database that is
    /// down stops no generation.
    pub async fn refresh(&self) {
        match read(&self.pool).await {
            Ok(rows) => {
                *self.rows.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rows);
                if self.stale.swap(false, Ordering::Relaxed) {
                    tracing::info!("the table of models is read again");
                }
            }
            Err(error) => {
                if !self.stale.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        %error,
                        "the table of models cannot be read; its last known rows stay"
                    );
                }
            }
        }
    }
}

async fn read(pool: &AnyPool) -> Result<HashMap<ModelId, Row>, sqlx::Error> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT id, owned_by, context_length, created_at FROM models ORDER BY id LIMIT $1",
    )
    .bind(MAX_ROWS)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, owned_by, context_length, created)| {
            // The schema keeps it positive; more than u32 holds is as good as no limit.
            let context_length = u32::try_from(context_length).unwrap_or(u32::MAX);
            (
                id.into(),
                Row {
                    owned_by,
                    context_length,
                    created,
                },
            )
        })
        .collect())
}
