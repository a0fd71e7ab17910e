//! What goes wrong with a call.

use fathom_api::error::ErrorBody;
use reqwest::Response;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused the request.
    #[error("{status}: {message} (request {request_id})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable name of the error; empty when the answer had none.
        code: String,
        /// What is wrong.
        message: String,
        /// The request field at fault.
        param: Option<String>,
        /// Names the request in the server's log.
        request_id: String,
    },
    /// The stream ended with an error.
    #[error("the stream failed: {message} ({code})")]
    Failed {
        /// Stable name of the error.
        code: String,
        /// What is wrong.
        message: String,
    },
    /// The stream ended before its answer did.
    #[error("the stream ended before the answer was complete")]
    Truncated,
    /// The answer is not what this client knows.
    #[error("the answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// An event is longer than any real one.
    #[error("an event of the stream is too long")]
    TooLong,
    /// The connection failed.
    #[error("the connection failed")]
    Connection(#[from] reqwest::Error),
}

impl Error {
    pub(crate) async fn refused(response: Response) -> Self {
        let status = response.status().as_u16();
        let request_id = response
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<ErrorBody<'_>>(&body) {
            Ok(ErrorBody { error }) => Self::Refused {
                status,
                code: error.code.unwrap_or_default().into_owned(),
                message: error.message.into_owned(),
                param: error.param.map(std::borrow::Cow::into_owned),
                request_id,
            },
            Err(_) => Self::Refused {
                status,
                code: String::new(),
                message: "the answer holds no error object".to_owned(),
                param: None,
                request_id,
            },
        }
    }
}
