//! The one table of error codes, and the error type of every port.

use std::fmt;
use std::time::Duration;

use crate::id::RequestId;

/// A failed call on a port.
///
/// `message` and `param` are meant for the caller; `source` is for the log alone and never
/// crosses a process border.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// What is wrong and what would be right, for the caller.
    pub message: String,
    /// The request field at fault.
    pub param: Option<String>,
    /// When a retry may succeed.
    pub retry_after: Option<Duration>,
    /// The cause, for the operator.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a code and a public message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            source: None,
        }
    }

    /// A refused request whose field `param` is at fault.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(ErrorCode::InvalidRequest, message)
        }
    }

    /// A failure of ours; the caller learns nothing of the cause.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(ErrorCode::Internal, "internal error")
        }
    }

    /// Writes the cause to the log, once, at the border where it is dropped.
    pub fn log_cause(&self, request_id: Option<&RequestId>) {
        if let Some(source) = &self.source {
            tracing::error!(
                request.id = request_id.map(RequestId::as_str),
                error.code = %self.code,
                error.cause = %CauseChain(source.as_ref()),
                "request failed"
            );
        }
    }

    /// Whether no connection came about, so that the other side knows nothing of the call.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let mut cause = self.transport().and_then(std::error::Error::source);
        while let Some(error) = cause {
            if error.is::<tonic::ConnectError>() {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether the connection broke or the call was cut off, so that nobody knows how far the
    /// other side came with it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let lost = |status: &tonic::Status| {
            use tonic::Code::{Cancelled, DeadlineExceeded, Internal, Unavailable, Unknown};
            match status.code() {
                Cancelled | DeadlineExceeded | Unavailable | Unknown => true,
                // HTTP/2 ended the stream here, as with a peer that goes away; one that was
                // received has no source.
                Internal => std::error::Error::source(status).is_some(),
                _ => false,
            }
        };
        self.transport().is_some_and(lost) && !self.is_unreachable()
    }

    /// What the network said here; `None`: somebody answered. A source does not travel, so this
    /// one is of a call of this process.
    fn transport(&self) -> Option<&tonic::Status> {
        self.source.as_ref()?.downcast_ref()
    }

    /// The same error with a hint when to come again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

/// An error and what caused it, in one line.
struct CauseChain<'a>(&'a (dyn std::error::Error + Send + Sync));

impl fmt::Display for CauseChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Kinds of failure; [`ErrorCode::row`] is what each means on every wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed or a field is out of its range.
    InvalidRequest,
    /// Prompt and output do not fit the model's context.
    ContextLengthExceeded,
    /// No credential, or one that does not hold.
    Unauthenticated,
    /// The identity is known and may not do this.
    PermissionDenied,
    /// No such model, or none that this identity may see.
    ModelNotFound,
    /// No such route or object.
    NotFound,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// What was to be changed is not as the caller takes it to be.
    Conflict,
    /// What was asked for was here, and is not kept any more.
    Gone,
    /// The body did not come in time.
    RequestTimeout,
    /// The body is larger than allowed.
    PayloadTooLarge,
    /// The body's content type is not one we read.
    UnsupportedMediaType,
    /// The identity sends faster than its limit.
    RateLimited,
    /// As many requests as allowed run on this WebSocket.
    WebSocketStreamLimit,
    /// The caller went away.
    Cancelled,
    /// A bug or a broken part of ours.
    Internal,
    /// The worker failed before the generation was complete.
    WorkerFailed,
    /// Every place in the queue is taken.
    Overloaded,
    /// Nothing that could serve the request is up.
    Unavailable,
    /// The process is going down and this stream outlived the deadline.
    ShuttingDown,
    /// The request's deadline passed.
    DeadlineExceeded,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRow {
    /// Stable name: `code` in the error body, `reason` in gRPC's `ErrorInfo`.
    pub name: &'static str,
    /// `type` in the error body.
    pub kind: &'static str,
    /// Status of a gRPC answer.
    pub grpc: tonic::Code,
    /// Status of an HTTP answer.
    pub http: u16,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl ErrorCode {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 21] = [
        Self::InvalidRequest,
        Self::ContextLengthExceeded,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::ModelNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::Gone,
        Self::RequestTimeout,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::WebSocketStreamLimit,
        Self::Cancelled,
        Self::Internal,
        Self::WorkerFailed,
        Self::Overloaded,
        Self::Unavailable,
        Self::ShuttingDown,
        Self::DeadlineExceeded,
    ];

    /// The table. `docs/errors.md` is its reader's edition.
    #[must_use]
    pub const fn row(self) -> ErrorRow {
        use tonic::Code as Grpc;
        const fn row(
            name: &'static str,
            kind: &'static str,
            grpc: Grpc,
            http: u16,
            retryable: bool,
        ) -> ErrorRow {
            ErrorRow {
                name,
                kind,
                grpc,
                http,
                retryable,
            }
        }
        const REQUEST: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::InvalidRequest => row(
                "invalid_request",
                REQUEST,
                Grpc::InvalidArgument,
                400,
                false,
            ),
            Self::ContextLengthExceeded => row(
                "context_length_exceeded",
                REQUEST,
                Grpc::InvalidArgument,
                400,
                false,
            ),
            Self::Unauthenticated => row(
                "invalid_api_key",
                "authentication_error",
                Grpc::Unauthenticated,
                401,
                false,
            ),
            Self::PermissionDenied => row(
                "permission_denied",
                "permission_error",
                Grpc::PermissionDenied,
                403,
                false,
            ),
            Self::ModelNotFound => row("model_not_found", REQUEST, Grpc::NotFound, 404, false),
            Self::NotFound => row("not_found", REQUEST, Grpc::NotFound, 404, false),
            Self::MethodNotAllowed => row(
                "method_not_allowed",
                REQUEST,
                Grpc::Unimplemented,
                405,
                false,
            ),
            Self::Conflict => row("conflict", REQUEST, Grpc::Aborted, 409, false),
            Self::Gone => row("gone", REQUEST, Grpc::OutOfRange, 410, false),
            Self::RequestTimeout => row(
                "request_timeout",
                REQUEST,
                Grpc::DeadlineExceeded,
                408,
                true,
            ),
            Self::PayloadTooLarge => row(
                "payload_too_large",
                REQUEST,
                Grpc::ResourceExhausted,
                413,
                false,
            ),
            Self::UnsupportedMediaType => row(
                "unsupported_media_type",
                REQUEST,
                Grpc::InvalidArgument,
                415,
                false,
            ),
            Self::RateLimited => row(
                "rate_limit_exceeded",
                "rate_limit_error",
                Grpc::ResourceExhausted,
                429,
                true,
            ),
            Self::WebSocketStreamLimit => row(
                "websocket_stream_limit_reached",
                "rate_limit_error",
                Grpc::ResourceExhausted,
                429,
                true,
            ),
            Self::Cancelled => row("cancelled", REQUEST, Grpc::Cancelled, 499, false),
            Self::Internal => row("internal_error", SERVER, Grpc::Internal, 500, true),
            Self::WorkerFailed => row("worker_failed", SERVER, Grpc::Unavailable, 502, true),
            Self::Overloaded => row(
                "overloaded",
                "overloaded_error",
                Grpc::Unavailable,
                503,
                true,
            ),
            Self::Unavailable => row("unavailable", SERVER, Grpc::Unavailable, 503, true),
            Self::ShuttingDown => row("server_shutdown", SERVER, Grpc::Unavailable, 503, true),
            Self::DeadlineExceeded => row(
                "deadline_exceeded",
                "timeout_error",
                Grpc::DeadlineExceeded,
                504,
                true,
            ),
        }
    }

    /// The code whose [`ErrorRow::name`] this is.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.row().name == name)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_reviewed() {
        let table: String = ErrorCode::ALL
            .iter()
            .map(|code| {
                let row = code.row();
                format!(
                    "{:<24} {:<22} {:<18} {} {}\n",
                    row.name,
                    row.kind,
                    format!("{:?}", row.grpc),
                    row.http,
                    if row.retryable { "retryable" } else { "final" }
                )
            })
            .collect();
        insta::assert_snapshot!(table);
    }

    #[test]
    fn every_name_leads_back_to_its_code() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_name(code.row().name), Some(code));
        }
    }
}
