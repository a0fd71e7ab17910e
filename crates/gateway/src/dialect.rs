//! Whose API a route speaks. OpenAI's is below `/v1`; DeepSeek serves the same routes without it,
//! and below `/beta` with what it calls beta. They differ in errors, and in what a request may
//! hold; this is the one place that tells them apart, by the path.

use fathom_api::error::ErrorBody;
use fathom_proto::{Error, ErrorCode};

use crate::error;

/// Whose API a route speaks; an extension of every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's, and whatever is only ours.
    #[default]
    OpenAi,
    /// DeepSeek's.
    DeepSeek {
        /// Below `/beta`: prefixes of answers and strict functions.
        beta: bool,
    },
}

impl Dialect {
    /// The dialect of a path.
    pub fn of(path: &str) -> Self {
        let first = path.trim_start_matches('/').split('/').next();
        match first.unwrap_or_default() {
            "beta" => Self::DeepSeek { beta: true },
            "chat" | "completions" | "embeddings" | "models" | "user" => {
                Self::DeepSeek { beta: false }
            }
            _ => Self::OpenAi,
        }
    }

    /// The body of an error.
    pub fn body(self, error: &Error) -> ErrorBody<'_> {
        let mut body = error::body(error);
        body.error.code = Some(self.word(error.code).into());
        body
    }

    /// The `code` in the body of an error.
    pub fn word(self, code: ErrorCode) -> &'static str {
        let row = code.row();
        match (self, row.http) {
            // Every refusal has this one code there, and the status says more.
            (Self::DeepSeek { .. }, 400..500) if code != ErrorCode::RateLimited => {
                "invalid_request_error"
            }
            _ => row.name,
        }
    }

    /// The status of an error that is `malformed` if the request could not be read at all.
    pub fn status(self, code: ErrorCode, malformed: bool) -> u16 {
        match (self, code) {
            (Self::OpenAi, code) => code.row().http,
            (_, ErrorCode::InvalidRequest) if !malformed => 422,
            (_, ErrorCode::ModelNotFound) => 400,
            // There is no 502.
            (_, ErrorCode::WorkerFailed) => 500,
            (_, code) => code.row().http,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_decides() {
        for path in ["/v1/chat/completions", "/oauth/token", "/nowhere", "/"] {
            assert_eq!(Dialect::of(path), Dialect::OpenAi, "{path}");
        }
        for path in ["/chat/completions", "/models/m", "/user/balance"] {
            assert_eq!(
                Dialect::of(path),
                Dialect::DeepSeek { beta: false },
                "{path}"
            );
        }
        for path in ["/beta/chat/completions", "/beta/completions"] {
            assert_eq!(
                Dialect::of(path),
                Dialect::DeepSeek { beta: true },
                "{path}"
            );
        }
    }
}
