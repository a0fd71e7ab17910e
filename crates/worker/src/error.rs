//! What can go wrong in the worker, by situation.

use std::fmt;
use std::time::Duration;

use fathom_engine::{EngineError, LoadError, PromptError};
use fathom_proto::ErrorCode;
use fathom_proto::id::ModelId;

use crate::engine::upstream::UpstreamError;
use crate::store::StoreError;

/// Why a worker does not start, or does not generate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No engine is configured for the model.
    #[error("this worker does not serve the model `{model}`")]
    ModelNotFound {
        /// The name asked for.
        model: ModelId,
    },
    /// The prompt leaves no room for an answer.
    #[error(
        "the prompt has {prompt_tokens} tokens, but {model} takes at most {limit} of prompt and \
         answer ({}); shorten it", limits(*registry, weights, *weights_context)
    )]
    ContextLength {
        /// The request field at fault.
        param: &'static str,
        /// The name asked for.
        model: ModelId,
        /// Tokens of the prompt.
        prompt_tokens: PromptTokens,
        /// Most tokens of prompt and answer together.
        limit: u32,
        /// What the table of models allows.
        registry: Option<u32>,
        /// Name of the weights.
        weights: String,
        /// What the weights do here.
        weights_context: u32,
    },
    /// The prompt cannot be used as it is.
    #[error("the prompt is empty; give it at least one token")]
    EmptyPrompt,
    /// A token id that the weights do not know.
    #[error("the prompt holds a token id outside the model's vocabulary")]
    UnknownToken,
    /// Tokens that another worker is said to have generated cannot be of this answer.
    #[error("`generated` cannot be gone on from: {problem}")]
    Generated {
        /// Why not.
        problem: String,
    },
    /// The prompt cannot be turned into tokens.
    #[error("{source}")]
    Prompt {
        /// The request field at fault.
        param: &'static str,
        /// What the tokenizer or template says.
        #[source]
        source: PromptError,
    },
    /// A sampling parameter that the engine does not take.
    #[error("`{parameter}` is out of its range")]
    Sampling {
        /// The request field at fault.
        parameter: &'static str,
    },
    /// A model that generates text and no vectors was asked for vectors.
    #[error("the model `{model}` has no embeddings; ask one that does")]
    NoEmbeddings {
        /// The name asked for.
        model: ModelId,
    },
    /// A field that changes what the caller gets, and that the engine cannot honour.
    #[error("`{param}` is not supported by this model: {problem}")]
    Unsupported {
        /// The request field at fault.
        param: String,
        /// Why not, and what would be right.
        problem: String,
    },
    /// Every place in the queue is taken.
    #[error("the model is busy: {max_queue} requests wait already")]
    QueueFull {
        /// Its size.
        max_queue: usize,
    },
    /// The request waited as long as one may.
    #[error("the model is busy: the request waited {} s for its turn", max_queue_age.as_secs_f32())]
    QueueTooSlow {
        /// How long that is.
        max_queue_age: Duration,
    },
    /// The request's deadline passed.
    #[error("the deadline of the request passed")]
    DeadlineExceeded,
    /// The caller did not read the answer, which held everyone else up.
    #[error("the answer was not read in time")]
    NotRead,
    /// The process ends.
    #[error("the worker shuts down")]
    ShuttingDown,
    /// The engine failed while it generated.
    #[error("the engine failed before the generation was complete")]
    Engine(#[source] EngineError),
    /// The engine panicked; the panic itself is on standard error.
    #[error("the engine failed before the generation was complete")]
    Panicked,
    /// The simulated engine was told to fail.
    #[error("the simulated engine fails, as it was told to")]
    Simulated {
        /// The row of the error table.
        code: ErrorCode,
        /// When to come again.
        retry_after: Option<Duration>,
    },
    /// An operator asks for an engine that cannot be.
    #[error("{problem}")]
    LoadRequest {
        /// The request field at fault.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Another server was asked, and did not answer as it should.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The operating system has no thread to read a prompt on.
    #[error("the worker cannot read the prompt")]
    Tokenizer(#[source] std::io::Error),
    /// A thread of the worker panicked.
    #[error("a task of the worker failed")]
    Task(#[from] tokio::task::JoinError),
    /// The configuration names no engine, or one without a model.
    #[error("`worker.engines`: {problem}")]
    Engines {
        /// What is wrong and what would be right.
        problem: String,
    },
    /// An engine does not start.
    #[error("cannot start the engine that serves {serves}")]
    Load {
        /// Names of its models.
        serves: String,
        /// Why not.
        #[source]
        source: LoadError,
    },
    /// The default weights are not there and cannot be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long a prompt is that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptTokens {
    /// It has so many tokens.
    Counted(u32),
    /// It has so many bytes that it has at least so many tokens, and was not read.
    AtLeast(u32),
}

impl fmt::Display for PromptTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted(tokens) => write!(f, "{tokens}"),
            Self::AtLeast(tokens) => write!(f, "at least {tokens}"),
        }
    }
}

/// When to come again if the queue is full.
const BUSY_RETRY: Duration = Duration::from_secs(1);

impl Error {
    /// The row of the error table that it belongs to.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::ModelNotFound { .. } => ErrorCode::ModelNotFound,
            Self::ContextLength { .. } => ErrorCode::ContextLengthExceeded,
            Self::EmptyPrompt
            | Self::UnknownToken
            | Self::Generated { .. }
            | Self::Prompt { .. }
            | Self::NoEmbeddings { .. }
            | Self::Unsupported { .. }
            | Self::Sampling { .. }
            | Self::LoadRequest { .. } => ErrorCode::InvalidRequest,
            Self::QueueFull { .. } | Self::QueueTooSlow { .. } => ErrorCode::Overloaded,
            Self::DeadlineExceeded | Self::NotRead => ErrorCode::DeadlineExceeded,
            Self::ShuttingDown => ErrorCode::ShuttingDown,
            Self::Engine(_) | Self::Panicked => ErrorCode::WorkerFailed,
            Self::Simulated { code, .. } => *code,
            Self::Upstream(error) => error.code(),
            Self::Tokenizer(_)
            | Self::Task(_)
            | Self::Engines { .. }
            | Self::Load { .. }
            | Self::Store(_) => ErrorCode::Internal,
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::ModelNotFound { .. } | Self::NoEmbeddings { .. } => Some("model"),
            Self::Unsupported { param, .. } => Some(param),
            Self::ContextLength { param, .. }
            | Self::Prompt { param, .. }
            | Self::Sampling { parameter: param }
            | Self::LoadRequest { field: param, .. } => Some(param),
            Self::EmptyPrompt | Self::UnknownToken => Some("prompt"),
            Self::Generated { .. } => Some("generated"),
            Self::Upstream(error) => error.param(),
            _ => None,
        }
    }
}

impl From<Error> for fathom_proto::Error {
    fn from(error: Error) -> Self {
        let code = error.code();
        if code == ErrorCode::Internal {
            return Self::internal(error);
        }
        let public = Self {
            param: error.param().map(str::to_owned),
            ..Self::new(code, error.to_string())
        };
        match error {
            Error::QueueFull { .. } | Error::QueueTooSlow { .. } => public.retry_after(BUSY_RETRY),
            Error::Simulated { retry_after, .. } => Self {
                retry_after,
                ..public
            },
            Error::Engine(source) => Self {
                source: Some(Box::new(source)),
                ..public
            },
            Error::Upstream(error) => Self {
                retry_after: error.retry_after(),
                source: error.into_cause(),
                ..public
            },
            _ => public,
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::EmptyPrompt => Self::EmptyPrompt,
            EngineError::UnknownToken => Self::UnknownToken,
            EngineError::InvalidSampling { parameter } => Self::Sampling { parameter },
            error @ EngineError::Generated { .. } => Self::Generated {
                problem: error.to_string(),
            },
            EngineError::Stalled => Self::NotRead,
            EngineError::Stopped => Self::ShuttingDown,
            error => Self::Engine(error),
        }
    }
}

/// Both limits that hold, so that the reader sees which one to raise.
fn limits(registry: Option<u32>, weights: &str, weights_context: u32) -> String {
    let weights = format!("the weights {weights} do {weights_context}");
    match registry {
        Some(registry) => format!("the registry allows {registry}, {weights}"),
        None => weights,
    }
}
