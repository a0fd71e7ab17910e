//! Errors across gRPC: the code travels as `ErrorInfo` (google.rpc error details), so that the
//! caller gets the same [`Error`] back without reading text.

use std::collections::HashMap;
use std::error::Error as _;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Error, ErrorCode};

const DOMAIN: &str = "fathom";
const PARAM: &str = "param";

/// Longest text of an error that travels; it is written three times over where it is not ASCII.
const MAX_TEXT_BYTES: usize = 1024;

impl From<Error> for Status {
    /// The cause stays here, in the log of the process where it happened.
    fn from(error: Error) -> Self {
        error.log_cause(None);
        let row = error.code.row();
        let metadata: HashMap<String, String> = error
            .param
            .into_iter()
            .map(|param| (PARAM.to_owned(), short(param)))
            .collect();
        let mut details = ErrorDetails::with_error_info(row.name, DOMAIN, metadata);
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        Self::with_error_details(row.grpc, short(error.message), details)
    }
}

/// A text that fits into a header: one that does not would end the connection, and with it the
/// calls of everybody else on it.
fn short(mut text: String) -> String {
    let mut end = MAX_TEXT_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
            return from_transport(status);
        };
        let code = ErrorCode::from_name(&info.reason).unwrap_or(ErrorCode::Internal);
        Self {
            param: info.metadata.get(PARAM).cloned(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            ..Self::new(code, status.message())
        }
    }
}

/// A status that tonic or the network made. Its text may hold addresses, so it becomes the cause.
fn from_transport(status: Status) -> Error {
    let (code, message) = match status.code() {
        Code::Cancelled => (ErrorCode::Cancelled, "the call was cancelled"),
        Code::DeadlineExceeded => (ErrorCode::DeadlineExceeded, "the deadline passed"),
        Code::Unavailable => (ErrorCode::Unavailable, "the service is not reachable"),
        Code::Unknown => (ErrorCode::WorkerFailed, "the connection broke"),
        // HTTP/2 ended the stream here, as with a peer that goes away.
        Code::Internal if status.source().is_some() => {
            (ErrorCode::WorkerFailed, "the connection broke")
        }
        Code::OutOfRange | Code::ResourceExhausted => {
            (ErrorCode::PayloadTooLarge, "the message is too large")
        }
        _ => (ErrorCode::Internal, "internal error"),
    };
    Error {
        source: Some(Box::new(status)),
        ..Error::new(code, message)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_error_survives_the_wire() {
        for code in ErrorCode::ALL {
            let sent = Error::invalid("max_tokens", "must be positive");
            let sent = Error { code, ..sent }.retry_after(Duration::from_secs(3));
            let status = Status::from(sent);
            assert_eq!(status.code(), code.row().grpc);
            let received = Error::from(status);
            assert_eq!(received.code, code);
            assert_eq!(received.message, "must be positive");
            assert_eq!(received.param.as_deref(), Some("max_tokens"));
            assert_eq!(received.retry_after, Some(Duration::from_secs(3)));
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let status = Status::from(Error::invalid("ä".repeat(9_000), "ä".repeat(9_000)));
        assert_eq!(status.message(), "ä".repeat(512));
        assert!(status.details().len() < 4 * 1024);
    }

    #[test]
    fn a_cause_never_crosses() {
        let status = Status::from(Error::internal("password=hunter2"));
        assert!(!format!("{status:?}").contains("hunter2"));
    }

    #[test]
    fn a_network_failure_shows_no_address() {
        let error = Error::from(Status::unavailable("tcp connect error 10.0.0.7:8381"));
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert_eq!(error.to_string(), "the service is not reachable");
    }

    #[test]
    fn only_a_connection_that_did_not_come_about_is_unreachable() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let refused = tonic::ConnectError(Box::new(refused));
        let unreachable = Error::from(Status::from_error(Box::new(refused)));
        assert_eq!(unreachable.code, ErrorCode::Unavailable);
        assert!(unreachable.is_unreachable() && !unreachable.is_lost());
        let passed_on = Error::from(Status::from(unreachable));
        assert_eq!(passed_on.code, ErrorCode::Unavailable);
        assert!(!passed_on.is_unreachable() && !passed_on.is_lost());
        let answered = Error::new(ErrorCode::Unavailable, "the upstream refuses the key");
        assert!(!answered.is_unreachable() && !answered.is_lost());
    }

    #[test]
    fn a_connection_that_breaks_is_lost_and_a_refusal_is_not() {
        for broken in [
            Status::unavailable("connection reset"),
            Status::unknown("broken pipe"),
            Status::cancelled("closed"),
        ] {
            let error = Error::from(broken);
            assert!(error.is_lost() && !error.is_unreachable(), "{error:?}");
        }
        let mut gone_away = Status::internal("h2 protocol error");
        gone_away.set_source(std::sync::Arc::new(std::io::Error::other("go away")));
        let gone_away = Error::from(gone_away);
        assert!(gone_away.is_lost() && gone_away.code == ErrorCode::WorkerFailed);
        for refusal in [
            Status::permission_denied("no"),
            Status::unauthenticated("who"),
            Status::unimplemented("what"),
            Status::resource_exhausted("long"),
            Status::internal("bug"),
        ] {
            let error = Error::from(refusal);
            assert!(!error.is_lost() && !error.is_unreachable(), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_unreachable() {
        use crate::grpc::InferenceClient;
        use crate::id::RequestId;
        use crate::inference::{GenerateRequest, Inference, Prompt, RequestContext};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let endpoint = tonic::transport::Endpoint::from_shared(address).unwrap();
        let client = InferenceClient::new(endpoint.connect_lazy());
        let request = GenerateRequest::new("model".into(), Prompt::Text("hello".to_owned()));
        let context = RequestContext {
            request_id: RequestId::generate(),
            tenant: "tenant".into(),
            user: "user".into(),
            deadline: None,
        };
        let error = client.generate(request, context).await.err().unwrap();
        assert!(error.is_unreachable(), "{error:?}");
    }
}
