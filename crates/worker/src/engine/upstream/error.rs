//! What can go wrong between this worker and another server.

use std::time::Duration;

use fathom_proto::ErrorCode;
use http::StatusCode;
use serde_json::error::Category;

/// What stays in the log: it may hold what the other server says to its operator.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why another server did not answer as it should. The text is for callers, the source for the
/// operator.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is no connection, so that nothing was sent.
    #[error("the model's server cannot be reached")]
    Unreachable(#[source] Cause),
    /// It does not take the request, and says why.
    #[error("the model's server refuses the request: {message}")]
    Refused {
        /// What it says.
        message: String,
        /// The request field at fault, if it names one.
        param: Option<String>,
    },
    /// Prompt and answer do not fit its model's context.
    #[error("the model's server refuses the request: {message}")]
    ContextLength {
        /// What it says.
        message: String,
    },
    /// It does not take the operator's key, or wants to be paid.
    #[error("the model's server does not serve this installation now")]
    Denied(#[source] Reply),
    /// It has too much to do, or this worker asked too often.
    #[error("the model's server is busy")]
    Busy {
        /// When to come again.
        retry_after: Duration,
        /// What it answered.
        #[source]
        reply: Reply,
    },
    /// It failed, or its answer is none.
    #[error("the model's server failed before the answer was complete")]
    Failed(#[source] Failure),
    /// It took too long.
    #[error("the model's server took longer than {} s for {what}", limit.as_secs_f32())]
    Late {
        /// What it was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
}

/// An answer that is an error.
#[derive(Debug, thiserror::Error)]
#[error("it answered {}: {message}", status.as_ref().map_or("in its stream", StatusCode::as_str))]
pub struct Reply {
    /// Its status; `None` for an error within a stream.
    pub status: Option<StatusCode>,
    /// What it says.
    pub message: String,
}

/// How an answer went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It is an error.
    #[error(transparent)]
    Reply(#[from] Reply),
    /// The connection broke after the request was sent, which may have run.
    #[error("the connection broke before the answer began")]
    Lost(#[source] Cause),
    /// It does not begin as HTTP does, or its head has no end.
    #[error("its head is no HTTP, or too long")]
    Head(#[source] Cause),
    /// It points to another address, which is not followed: the key is for this host alone.
    #[error("it redirects with status {0}, which is not followed; set `base_url` to its target")]
    Redirect(StatusCode),
    /// It is no event stream and no JSON.
    #[error("its content type is `{0}` instead of `text/event-stream` or `application/json`")]
    ContentType(String),
    /// It is compressed, which nobody asked for.
    #[error("its content is encoded, which was not asked for")]
    Encoded,
    /// It ends in the middle.
    #[error("its stream ended before the answer was complete")]
    Cut,
    /// The connection broke in the middle.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// Nothing more comes.
    #[error("it sent no token for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// It is not what the API says.
    #[error("it sent what the API does not know: {0:?} error in column {1}")]
    Garbled(Category, usize),
    /// It has no end.
    #[error("it sent more than {0} bytes at once")]
    TooLong(usize),
    /// It holds no answer.
    #[error("{0}")]
    Incomplete(&'static str),
}

impl Failure {
    /// Without the words of `error`, which may quote what was generated.
    pub(super) fn garbled(error: serde_json::Error) -> Self {
        Self::Garbled(error.classify(), error.column())
    }
}

impl UpstreamError {
    /// The row of the error table that it belongs to.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable(_) | Self::Denied(_) => ErrorCode::Unavailable,
            Self::Refused { .. } => ErrorCode::InvalidRequest,
            Self::ContextLength { .. } => ErrorCode::ContextLengthExceeded,
            Self::Busy { .. } => ErrorCode::Overloaded,
            Self::Failed(_) => ErrorCode::WorkerFailed,
            Self::Late { .. } => ErrorCode::DeadlineExceeded,
        }
    }

    /// The request field at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Refused { param, .. } => param.as_deref(),
            _ => None,
        }
    }

    /// When to come again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The server's own words.
    pub(super) fn words(&mut self) -> impl Iterator<Item = &mut String> {
        let (text, more) = match self {
            Self::Refused { message, param } => (Some(message), param.as_mut()),
            Self::ContextLength { message } => (Some(message), None),
            Self::Denied(reply)
            | Self::Busy { reply, .. }
            | Self::Failed(Failure::Reply(reply)) => (Some(&mut reply.message), None),
            Self::Failed(Failure::ContentType(text)) => (Some(text), None),
            Self::Unreachable(_) | Self::Failed(_) | Self::Late { .. } => (None, None),
        };
        text.into_iter().chain(more)
    }

    /// What the operator has to know.
    pub(crate) fn into_cause(self) -> Option<Cause> {
        match self {
            Self::Unreachable(cause) => Some(cause),
            Self::Denied(reply) | Self::Busy { reply, .. } => Some(Box::new(reply)),
            Self::Failed(failure) => Some(Box::new(failure)),
            Self::Refused { .. } | Self::ContextLength { .. } | Self::Late { .. } => None,
        }
    }
}

impl From<Failure> for UpstreamError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
