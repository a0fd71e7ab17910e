//! What can go wrong with experiments.

use std::time::Duration;

use fathom_proto::ErrorCode;
use fathom_proto::id::ModelId;

/// When a database that is away may be back.
const DATABASE_RETRY: Duration = Duration::from_secs(2);

/// Why something is not done with an experiment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be an experiment.
    #[error("{0}")]
    Invalid(String),
    /// No experiment has this name.
    #[error("there is no experiment `{0}`; `fathom experiments list` shows which there are")]
    Unknown(String),
    /// Another experiment has this name, running or stopped.
    #[error("an experiment `{0}` exists already; choose another name")]
    NameTaken(String),
    /// A request is in one experiment at most.
    #[error("an experiment on `{0}` is running; stop it first")]
    ModelTaken(ModelId),
    /// The table of models has no such row.
    #[error("the model `{0}` does not exist")]
    UnknownModel(ModelId),
    /// An arm names a version that the model does not have.
    #[error("the model `{0}` has no version {1}; `fathom models versions {0}` lists them")]
    UnknownVersion(ModelId, u32),
    /// It was stopped before.
    #[error("the experiment `{0}` is stopped already")]
    Stopped(String),
    /// No request of the tenant with this id is in an experiment, or not of late.
    #[error("no request of yours with this id is part of an experiment")]
    UnknownRequest,
    /// The database cannot be read or written.
    #[error("the experiments cannot be read or written")]
    Database(#[from] sqlx::Error),
}

impl From<Error> for fathom_proto::Error {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Invalid(_)
            | Error::NameTaken(_)
            | Error::ModelTaken(_)
            | Error::UnknownModel(_)
            | Error::UnknownVersion(..)
            | Error::Stopped(_) => ErrorCode::InvalidRequest,
            Error::Unknown(_) | Error::UnknownRequest => ErrorCode::NotFound,
            Error::Database(_) => {
                let message = "scores cannot be taken at the moment";
                return Self {
                    source: Some(error.into()),
                    ..Self::new(ErrorCode::Unavailable, message).retry_after(DATABASE_RETRY)
                };
            }
        };
        Self::new(code, error.to_string())
    }
}
