//! What can go wrong in the router, by situation.

use std::time::Duration;

use fathom_proto::ErrorCode;
use fathom_proto::id::ModelId;

/// Why the router does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table of models has no such row.
    #[error("the model `{model}` does not exist; list the models to see which do")]
    ModelNotFound {
        /// The name asked for.
        model: ModelId,
    },
    /// The model exists and nothing that serves it is up.
    #[error("no worker serves `{model}` at the moment")]
    NoWorker {
        /// The name asked for.
        model: ModelId,
    },
    /// There are workers of the model, and each fails too often to be asked.
    #[error("every worker of `{model}` fails at the moment")]
    AllOut {
        /// The name asked for.
        model: ModelId,
        /// When one of them may be asked again.
        retry_after: Duration,
    },
    /// Every worker of the model is full, and stays so.
    #[error("every worker of `{model}` is full; send the request again later")]
    Full {
        /// The name asked for.
        model: ModelId,
    },
    /// The request's deadline is over, or too near for an answer.
    #[error("the deadline passed, or is too near for an answer")]
    DeadlinePassed,
    /// The worker says nothing and keeps the connection.
    #[error("the worker was silent for {limit:?}")]
    WorkerSilent {
        /// As long as it may be.
        limit: Duration,
    },
    /// The worker was lost while it generated, or ended the stream before its end.
    #[error("the worker failed before the generation was complete")]
    WorkerLost {
        /// What the connection said; absent when the stream just ended.
        #[source]
        source: Option<Box<fathom_proto::Error>>,
    },
    /// A worker announces itself in a way that cannot be used.
    #[error("{problem}")]
    Announcement {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// Every place in the registry is taken.
    #[error("the registry is full with {max_workers} workers; raise `router.max_workers`")]
    RegistryFull {
        /// Its size.
        max_workers: usize,
    },
    /// A field of a request is wrong.
    #[error("`{field}` {problem}")]
    InvalidField {
        /// The field.
        field: &'static str,
        /// What is wrong with it, or what would be right.
        problem: String,
    },
    /// A model is not as a change takes it to be.
    #[error("{0}")]
    Conflict(String),
    /// A row holds what this version never writes.
    #[error("a row of {table} of the model `{row}` is not understood")]
    InvalidRow {
        /// The table.
        table: &'static str,
        /// The model.
        row: ModelId,
    },
    /// What was to be stored cannot be written as JSON.
    #[error("a row cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The tables of models cannot be read or written.
    #[error("the tables of models cannot be used")]
    Database(#[from] sqlx::Error),
    /// The experiments cannot be read.
    #[error(transparent)]
    Experiments(#[from] crate::experiments::Error),
}

/// When to come again if no worker is up or has room: a restarted one needs about as long.
const NO_WORKER_RETRY: Duration = Duration::from_secs(1);

impl Error {
    /// The row of the error table that it belongs to.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::ModelNotFound { .. } => ErrorCode::ModelNotFound,
            Self::NoWorker { .. } | Self::AllOut { .. } => ErrorCode::Unavailable,
            Self::Full { .. } => ErrorCode::Overloaded,
            Self::DeadlinePassed => ErrorCode::DeadlineExceeded,
            Self::WorkerLost { .. } | Self::WorkerSilent { .. } => ErrorCode::WorkerFailed,
            Self::Announcement { .. } | Self::InvalidField { .. } => ErrorCode::InvalidRequest,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::RegistryFull { .. } => ErrorCode::Overloaded,
            Self::InvalidRow { .. } | Self::Json(_) | Self::Database(_) | Self::Experiments(_) => {
                ErrorCode::Internal
            }
        }
    }
}

impl From<Error> for fathom_proto::Error {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let public = Self::new(error.code(), message);
        match error {
            Error::ModelNotFound { .. } => Self {
                param: Some("model".to_owned()),
                ..public
            },
            Error::NoWorker { .. } | Error::Full { .. } => public.retry_after(NO_WORKER_RETRY),
            Error::AllOut { retry_after, .. } => public.retry_after(retry_after),
            Error::WorkerLost { source } => Self {
                source: source.map(|source| source as _),
                ..public
            },
            Error::Announcement { field, .. } | Error::InvalidField { field, .. } => Self {
                param: Some(field.to_owned()),
                ..public
            },
            Error::RegistryFull { .. }
            | Error::DeadlinePassed
            | Error::WorkerSilent { .. }
            | Error::Conflict(_) => public,
            Error::InvalidRow { .. }
            | Error::Json(_)
            | Error::Database(_)
            | Error::Experiments(_) => Self::internal(error),
        }
    }
}
