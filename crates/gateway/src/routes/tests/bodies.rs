//! EDGE-1: bodies that are no JSON, or JSON that nobody means.

use super::*;

async fn ask(body: impl Into<Body>) -> Answer {
    let path = "/v1/chat/completions";
    let asked = request(Method::POST, path, Some(ALL_SCOPES), body);
    send(routes(gateway()), asked).await
}

/// The one behind these routes cannot answer.
fn assert_reaches_the_worker(answer: &Answer) {
    assert_eq!(answer.error_code(), "worker_failed", "{}", answer.body);
}

/// A chat with this in the place of its text, and with these members beside.
fn chat(content: &[u8], members: &str) -> Vec<u8> {
    let start = br#"{"model": "m", "messages": [{"role": "user", "content": "#;
    [start, content, b"}]", members.as_bytes(), b"}"].concat()
}

/// EDGE-1: each is refused in the one form, and at once.
#[tokio::test]
async fn edge_1_what_is_no_json_is_refused() {
    let good = chat(b"\"hi\"", "");
    let utf16: Vec<u8> = String::from_utf8(good.clone())
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (what, body) in [
        ("cut off", good[..good.len() - 2].to_vec()),
        ("something behind it", [&good[..], b"{}"].concat()),
        ("a byte order mark", [b"\xef\xbb\xbf", &good[..]].concat()),
        ("UTF-16", [b"\xff\xfe", &utf16[..]].concat()),
        ("NaN", chat(b"\"hi\"", ", \"temperature\": NaN")),
        ("Infinity", chat(b"\"hi\"", ", \"temperature\": -Infinity")),
        ("1e400", chat(b"\"hi\"", ", \"temperature\": 1e400")),
        ("half a surrogate pair", chat(br#""\ud800""#, "")),
        ("the other half", chat(br#""\udc00\ud800""#, "")),
        ("overlong UTF-8", chat(b"\"\xc0\xaf\"", "")),
        ("a surrogate in UTF-8", chat(b"\"\xed\xa0\x80\"", "")),
        ("half a character", chat(b"\"\xe2\x82\"", "")),
        ("a control character", chat(b"\"a\nb\"", "")),
        ("single quotes", chat(b"'hi'", "")),
        ("a comment", chat(b"\"hi\" /* there */", "")),
        ("a comma too many", chat(b"\"hi\",", "")),
        ("a key twice", chat(b"\"hi\"", ", \"model\": \"n\"")),
        (
            "a key twice within",
            chat(b"\"hi\", \"role\": \"system\"", ""),
        ),
        (
            "a number too large",
            chat(b"\"hi\"", ", \"max_tokens\": 99999999999999999999"),
        ),
    ] {
        let answer = ask(body).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{what}: {}",
            answer.body
        );
        assert_eq!(answer.error_code(), "invalid_request", "{what}");
    }
    assert_reaches_the_worker(&ask(good).await);
}

/// EDGE-1: depth has a limit wherever it is, and no stack overflows.
#[tokio::test]
async fn edge_1_depth_has_a_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for (depth, refused) in [(100, false), (128, true), (100_000, true)] {
            let inner = if open == "[" { "" } else { "1" };
            let nested = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            let bodies = [
                (nested.clone().into_bytes(), true),
                (chat(nested.as_bytes(), ""), true),
                (
                    chat(b"\"hi\"", &format!(", \"metadata\": {nested}")),
                    refused,
                ),
                (
                    chat(b"\"hi\"", &format!(", \"unheard_of\": {nested}")),
                    refused,
                ),
            ];
            for (body, refused) in bodies {
                let answer = ask(body).await;
                if refused {
                    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
                    assert_eq!(answer.error_code(), "invalid_request");
                } else {
                    assert_reaches_the_worker(&answer);
                }
            }
        }
    }
}

/// EDGE-2: a body that says that it is too large is not read.
#[tokio::test]
async fn edge_2_a_declared_length_is_believed() {
    let config = crate::Config {
        max_body_bytes: 1_000,
        ..crate::Config::default()
    };
    let gateway = Gateway {
        config: std::sync::Arc::new(config),
        ..gateway()
    };
    for (bytes, status) in [(1_000, 400), (1_001, 413)] {
        let body = vec![b' '; bytes];
        let path = "/v1/chat/completions";
        let asked = request(Method::POST, path, Some(ALL_SCOPES), body);
        let answer = send(routes(gateway.clone()), asked).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}
