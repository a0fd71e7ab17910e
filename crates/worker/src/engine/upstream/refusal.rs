//! What an error of another server means here.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::error::{Failure, Reply, UpstreamError};

/// When to come again to a busy server that does not say.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// The latest time to come again that is passed on.
const MAX_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// The body of an error, in the forms that servers have: OpenAI's, one with plain text in
/// `error` (Ollama), and one without `error` (older vLLM).
#[derive(Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    error: Option<Said>,
    #[serde(default)]
    message: Option<String>,
}

/// What is in `error`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Said {
    Object(Box<ErrorObject>),
    Text(String),
}

/// OpenAI's error object.
#[derive(Default, Deserialize)]
pub(super) struct ErrorObject {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    param: Option<Value>,
    #[serde(default, rename = "type")]
    kind: Option<Value>,
    /// A word, or the status that the answer would have had.
    #[serde(default)]
    code: Option<Value>,
}

/// What an answer with another status than 200 means.
pub(super) fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let ErrorBody { error, message } = serde_json::from_slice(body).unwrap_or_default();
    let said = error.unwrap_or_else(|| Said::Text(message.unwrap_or_default()));
    means(Some(status), retry_after(headers), said)
}

/// What an error within a stream means.
pub(super) fn of_event(said: Said) -> UpstreamError {
    means(None, None, said)
}

fn means(status: Option<StatusCode>, retry_after: Option<Duration>, said: Said) -> UpstreamError {
    let object = match said {
        Said::Object(object) => *object,
        Said::Text(message) => ErrorObject {
            message: Some(message),
            ..ErrorObject::default()
        },
    };
    let word = |value: &Option<Value>| {
        value
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (code, kind) = (word(&object.code), word(&object.kind));
    let message = object.message.unwrap_or_default();
    let meant = status.or_else(|| {
        let number = object.code.as_ref().and_then(Value::as_u64)?;
        StatusCode::from_u16(u16::try_from(number).ok()?).ok()
    });
    let reply = |message| Reply { status, message };
    match meant.map(|status| status.as_u16()) {
        _ if is_context_length(&code, &kind, &message) => UpstreamError::ContextLength { message },
        // An exhausted account does not come back when one waits.
        Some(401..=403) => UpstreamError::Denied(reply(message)),
        _ if matches!(code.as_str(), "insufficient_quota" | "invalid_api_key") => {
            UpstreamError::Denied(reply(message))
        }
        None if kind == "authentication_error" => UpstreamError::Denied(reply(message)),
        Some(400 | 404 | 413 | 422) => UpstreamError::Refused {
            message: if message.is_empty() {
                "it does not say why".to_owned()
            } else {
                message
            },
            param: Some(word(&object.param)).filter(|param| !param.is_empty()),
        },
        Some(429 | 503 | 529) => UpstreamError::Busy {
            retry_after: retry_after.unwrap_or(BUSY_RETRY),
            reply: reply(message),
        },
        None if matches!(code.as_str(), "rate_limit_exceeded" | "overloaded") => {
            UpstreamError::Busy {
                retry_after: BUSY_RETRY,
                reply: reply(message),
            }
        }
        _ => match status {
            Some(status) if status.is_redirection() => Failure::Redirect(status).into(),
            _ => Failure::Reply(reply(message)).into(),
        },
    }
}

/// Servers say it in one of two codes, or in their message alone.
fn is_context_length(code: &str, kind: &str, message: &str) -> bool {
    const CODES: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];
    if CODES.contains(&code) || CODES.contains(&kind) {
        return true;
    }
    let message = message.to_ascii_lowercase();
    [
        "maximum context length",
        "context length exceeded",
        "exceeds the context",
        "available context size",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// When to come again: in seconds, as a date, or in OpenAI's milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let milliseconds = text("retry-after-ms").and_then(|text| text.trim().parse().ok());
    let delay = milliseconds.map(Duration::from_millis).or_else(|| {
        let text = text(RETRY_AFTER.as_str())?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    });
    delay.map(|delay| delay.min(MAX_RETRY))
}

#[cfg(test)]
mod tests {
    use fathom_proto::ErrorCode;

    use super::*;

    fn status(status: u16, headers: &[(&'static str, &str)], body: &str) -> UpstreamError {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        of_status(
            StatusCode::from_u16(status).unwrap(),
            &headers.collect(),
            body.as_bytes(),
        )
    }

    #[test]
    fn each_status_has_its_code() {
        for (number, code) in [
            (400, ErrorCode::InvalidRequest),
            (401, ErrorCode::Unavailable),
            (402, ErrorCode::Unavailable),
            (403, ErrorCode::Unavailable),
            (404, ErrorCode::InvalidRequest),
            (413, ErrorCode::InvalidRequest),
            (418, ErrorCode::WorkerFailed),
            (422, ErrorCode::InvalidRequest),
            (429, ErrorCode::Overloaded),
            (301, ErrorCode::WorkerFailed),
            (204, ErrorCode::WorkerFailed),
            (500, ErrorCode::WorkerFailed),
            (502, ErrorCode::WorkerFailed),
            (503, ErrorCode::Overloaded),
            (504, ErrorCode::WorkerFailed),
            (529, ErrorCode::Overloaded),
        ] {
            assert_eq!(status(number, &[], "").code(), code, "{number}");
        }
    }

    #[test]
    fn the_callers_mistake_is_told_in_the_servers_words() {
        for (body, message) in [
            (
                r#"{"error":{"message":"no such field","param":"top_q"}}"#,
                "no such field",
            ),
            (r#"{"error":"no such field"}"#, "no such field"),
            (
                r#"{"object":"error","message":"no such field","code":400}"#,
                "no such field",
            ),
            ("<html>", "it does not say why"),
        ] {
            assert_eq!(
                status(400, &[], body).to_string(),
                format!("the model's server refuses the request: {message}"),
            );
        }
        let named = status(400, &[], r#"{"error":{"message":"x","param":"top_q"}}"#);
        assert_eq!(named.param(), Some("top_q"));
    }

    #[test]
    fn what_is_for_the_operator_is_not_told_to_the_caller() {
        let body = r#"{"error":{"message":"Your api key: ****cd15 is invalid"}}"#;
        let error = status(401, &[], body);
        assert!(!error.to_string().contains("cd15"), "{error}");
        assert!(error.into_cause().unwrap().to_string().contains("cd15"));
    }

    #[test]
    fn a_prompt_that_is_too_long_is_known_by_code_or_text() {
        for body in [
            r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#,
            r#"{"error":{"message":"x","type":"exceed_context_size_error"}}"#,
            r#"{"error":{"message":"This model's maximum context length is 4096 tokens."}}"#,
        ] {
            assert_eq!(
                status(400, &[], body).code(),
                ErrorCode::ContextLengthExceeded
            );
        }
    }

    #[test]
    fn the_time_to_come_again_is_read_in_every_form() {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        for (headers, least, most) in [
            (vec![("retry-after", "7")], 7_000, 7_000),
            (
                vec![("retry-after", "7"), ("retry-after-ms", "1500")],
                1_500,
                1_500,
            ),
            (vec![("retry-after", date.as_str())], 98_000, 100_000),
            (vec![("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")], 0, 0),
            (
                vec![("retry-after", "99999999999999")],
                86_400_000,
                86_400_000,
            ),
            (vec![("retry-after", "soon")], 1_000, 1_000),
            (vec![], 1_000, 1_000),
        ] {
            let delay = status(429, &headers, "").retry_after().unwrap().as_millis();
            assert!((least..=most).contains(&delay), "{headers:?}: {delay}");
        }
    }

    #[test]
    fn an_exhausted_account_is_no_reason_to_come_again() {
        let body = r#"{"error":{"message":"x","code":"insufficient_quota"}}"#;
        assert_eq!(status(429, &[], body).retry_after(), None);
    }
}
