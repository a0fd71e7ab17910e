//! The id that a caller gives a request, so that its log and ours can be put side by side.

use http::{HeaderMap, HeaderName};

const X_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
/// OpenAI's limit.
const MAX_BYTES: usize = 512;

/// The id, if it is short and printable ASCII; it goes to the log and nowhere else.
pub fn of(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_CLIENT_REQUEST_ID)?.to_str().ok()?;
    let is_printable = id.bytes().all(|byte| byte.is_ascii_graphic());
    (is_printable && (1..=MAX_BYTES).contains(&id.len())).then(|| id.to_owned())
}
