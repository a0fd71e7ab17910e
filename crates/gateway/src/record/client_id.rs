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

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-60: nothing that a terminal or a log line would take for something else.
    #[test]
    fn an_id_is_taken_only_if_it_is_short_and_printable() {
        let of = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(X_CLIENT_REQUEST_ID, id.try_into().ok()?);
            of(&headers)
        };
        assert_eq!(of(b"trace-1/a\"b"), Some("trace-1/a\"b".to_owned()));
        for id in [
            &b""[..],
            b"a b",
            b"a\tb",
            b"\x1b[31m",
            b"a\r\nb",
            b"\xc3\xa9",
            &[b'a'; 513],
        ] {
            assert_eq!(of(id), None);
        }
    }
}
