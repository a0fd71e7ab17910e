//! Compressed bodies, both ways.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_compression::tokio::bufread::{GzipDecoder, GzipEncoder, ZstdDecoder, ZstdEncoder};
use axum::body::Bytes;
use tokio::io::AsyncReadExt;

use super::fakes::{delta, finished, hanging, started, steered};
use super::*;

/// An answer that is worth it.
fn talkative() -> crate::Gateway {
    let text = "All work and no play makes a dull answer. ".repeat(100);
    gateway_with(vec![started(3), delta(&text, 1), finished(3, 1)])
}

fn chat(accept_encoding: &str) -> Request<Body> {
    let mut request = post("/v1/chat/completions", chat_body());
    let headers = request.headers_mut();
    headers.insert("accept-encoding", accept_encoding.parse().unwrap());
    request
}

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzipEncoder::new(bytes).read_to_end(&mut out).await.unwrap();
    out
}

async fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ZstdEncoder::new(bytes).read_to_end(&mut out).await.unwrap();
    out
}

fn compressed(encoding: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = request(Method::POST, "/v1/chat/completions", Some(ALL_SCOPES), body);
    let headers = request.headers_mut();
    headers.insert("content-encoding", encoding.parse().unwrap());
    request
}

#[tokio::test]
async fn a_whole_answer_is_compressed_as_the_caller_wants_it() {
    for (accepted, encoding) in [
        ("gzip", Some("gzip")),
        ("br", Some("br")),
        ("zstd", Some("zstd")),
        ("gzip, br, zstd", Some("zstd")),
        ("gzip;q=1.0, br;q=0.5, zstd;q=0.1", Some("gzip")),
        ("gzip;q=0", None),
        ("identity", None),
        ("deflate, compress", None),
    ] {
        let response = routes(talkative()).oneshot(chat(accepted)).await.unwrap();
        let headers = response.headers().clone();
        let sent = headers.get("content-encoding");
        assert_eq!(
            sent.map(|value| value.to_str().unwrap()),
            encoding,
            "{accepted}"
        );
        assert_eq!(headers["vary"], "accept-encoding", "{accepted}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let mut text = Vec::new();
        match encoding {
            Some("gzip") => {
                _ = GzipDecoder::new(&body[..])
                    .read_to_end(&mut text)
                    .await
                    .unwrap();
            }
            Some("zstd") => {
                _ = ZstdDecoder::new(&body[..])
                    .read_to_end(&mut text)
                    .await
                    .unwrap();
            }
            Some(_) => {
                assert!(body.len() < 1000, "{accepted}: {}", body.len());
                continue;
            }
            None => text = body.to_vec(),
        }
        let answer: Value = serde_json::from_slice(&text).unwrap();
        let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(said.len(), 4200, "{accepted}");
    }
}

#[tokio::test]
async fn a_small_answer_and_one_with_secrets_are_sent_as_they_are() {
    let gateway = gateway_with(vec![started(3), delta("Hello", 1), finished(3, 1)]);
    let answer = send(routes(gateway), chat("gzip")).await;
    assert!(!answer.headers.contains_key("content-encoding"));
    let allowed = |path: &&str| crate::compression::is_allowed(path);
    let kept: Vec<_> = table().into_iter().map(|(path, ..)| path).collect();
    let kept: Vec<_> = kept.into_iter().filter(|path| !allowed(path)).collect();
    assert!(kept.contains(&"/oauth/token") && kept.contains(&"/admin/v1/keys"));
    assert!(
        kept.iter()
            .all(|path| path.starts_with("/oauth/") || path.starts_with("/admin/"))
    );
}

/// Each event is there when it happens, whatever the caller would take.
#[tokio::test]
async fn no_event_waits_for_a_compressor() {
    let mut body = chat_body();
    body["stream"] = true.into();
    for accept in ["*/*", "application/x-protobuf"] {
        let (gateway, mut calls) = steered();
        let mut request = post("/v1/chat/completions", body.clone());
        let headers = request.headers_mut();
        headers.insert("accept-encoding", "gzip, br, zstd".parse().unwrap());
        headers.insert("accept", accept.parse().unwrap());
        let answer = routes(gateway).oneshot(request);
        let begin = async {
            let call = calls.recv().await.unwrap();
            call.tell(started(1)).await;
            call
        };
        let (response, call) = tokio::join!(answer, begin);
        let response = response.unwrap();
        assert!(!response.headers().contains_key("content-encoding"));
        let mut body = response.into_body();
        if accept == "*/*" {
            body.frame().await.unwrap().unwrap();
        }
        for word in ["one", "two", "three"] {
            call.tell(delta(word, 1)).await;
            let event = body.frame().await.unwrap().unwrap().into_data().unwrap();
            let event = String::from_utf8_lossy(&event).into_owned();
            assert!(event.contains(word), "{event}");
        }
    }
}

#[tokio::test]
async fn a_compressed_request_is_read_as_what_it_stands_for() {
    let text = chat_body().to_string();
    let (half, rest) = text.as_bytes().split_at(20);
    let members = [gzip(half).await, gzip(rest).await].concat();
    for (encoding, body) in [
        ("gzip", gzip(text.as_bytes()).await),
        ("x-gzip", gzip(text.as_bytes()).await),
        ("GZIP", members),
        ("zstd", zstd(text.as_bytes()).await),
        ("identity", text.clone().into_bytes()),
    ] {
        let answer = send(routes(talkative()), compressed(encoding, body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{encoding}: {}", answer.body);
    }
}

/// EDGE-3: nothing is inflated past the limit of a body: the rest of a bomb is not even read.
#[tokio::test]
async fn a_bomb_is_refused_before_it_is_inflated() {
    let zeros = vec![0; 8 * 1024 * 1024];
    for (encoding, part) in [("gzip", gzip(&zeros).await), ("zstd", zstd(&zeros).await)] {
        assert!(zeros.len() / part.len() > 900, "{encoding}: {}", part.len());
        // Parts that follow one another are one body, of 256 MiB at least.
        let bomb = part.repeat(256 * 1024 / part.len());
        let size = bomb.len();
        let read = Arc::new(AtomicUsize::new(0));
        let counted = read.clone();
        let pieces: Vec<_> = bomb.chunks(1024).map(Bytes::copy_from_slice).collect();
        let pieces = futures::stream::iter(pieces.into_iter().map(move |piece| {
            counted.fetch_add(piece.len(), Ordering::Relaxed);
            Ok::<_, Infallible>(piece)
        }));
        let request = compressed(encoding, Body::from_stream(pieces));
        let answer = send(routes(hanging()), request).await;
        assert_eq!(
            answer.status,
            StatusCode::PAYLOAD_TOO_LARGE,
            "{}",
            answer.body
        );
        assert_eq!(answer.error_code(), "payload_too_large");
        // At most a 64th of the body is what is taken, and the decoder has read a little ahead.
        let read = read.load(Ordering::Relaxed);
        assert!(read < size / 32, "{encoding}: {read} of {size} bytes");
    }
}

/// EDGE-3
#[tokio::test]
async fn encodings_that_are_unknown_or_nested_are_refused_with_what_would_be_taken() {
    let text = chat_body().to_string();
    let once = gzip(text.as_bytes()).await;
    let twice = gzip(&once).await;
    for encoding in [
        "br",
        "deflate",
        "compress",
        "gzip, gzip",
        "gzip, zstd",
        "gzip, br",
    ] {
        let answer = send(routes(talkative()), compressed(encoding, twice.clone())).await;
        assert_eq!(
            answer.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{encoding}"
        );
        assert_eq!(answer.error_code(), "unsupported_media_type");
        assert_eq!(answer.headers["accept-encoding"], "gzip, zstd");
        assert!(answer.body.contains("gzip") && answer.body.contains("zstd"));
    }
    // Said once and done twice: what comes out is no JSON.
    let answer = send(routes(talkative()), compressed("gzip", twice)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

/// EDGE-3: nothing is inflated for somebody who is not known yet.
#[tokio::test]
async fn a_form_is_taken_as_it_is_alone() {
    let bomb = gzip(&[b'a'; 60_000]).await;
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        for encoding in ["gzip", "zstd", "br"] {
            let mut ask = request(Method::POST, path, None, bomb.clone());
            let headers = ask.headers_mut();
            let form = "application/x-www-form-urlencoded".parse().unwrap();
            headers.insert("content-type", form);
            headers.insert("content-encoding", encoding.parse().unwrap());
            let answer = send(routes(talkative()), ask).await;
            assert_eq!(answer.status, 415, "{path} {encoding}: {}", answer.body);
            assert_eq!(answer.headers["accept-encoding"], "identity");
        }
    }
}

/// EDGE-3: what goes on and on without standing for anything.
#[tokio::test]
async fn a_body_that_is_too_large_as_it_comes_is_refused() {
    let nothing = gzip(b"").await.repeat(300_000);
    let answer = send(routes(talkative()), compressed("gzip", nothing.clone())).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    // And one that does not say how much it is.
    let mut ask = compressed("gzip", Vec::new());
    let pieces = nothing.chunks(16 * 1024).map(<[u8]>::to_vec);
    let pieces: Vec<_> = pieces.map(Ok::<_, std::io::Error>).collect();
    *ask.body_mut() = Body::from_stream(futures::stream::iter(pieces));
    let answer = send(routes(talkative()), ask).await;
    assert_eq!(
        answer.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "{}",
        answer.body
    );
}

/// EDGE-3: what is not what it says.
#[tokio::test]
async fn a_body_that_cannot_be_inflated_is_refused() {
    let text = chat_body().to_string();
    let mut cut = gzip(text.as_bytes()).await;
    cut.truncate(cut.len() - 10);
    // A frame of zstd whose window would be 2 GiB.
    let window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    for (encoding, body) in [("gzip", cut), ("gzip", text.into_bytes()), ("zstd", window)] {
        let answer = send(routes(talkative()), compressed(encoding, body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        assert!(answer.body.contains("Content-Encoding"), "{}", answer.body);
    }
}

/// A layer that puts an error into the form of a dialect sends it as it is, and does not say that
/// it is compressed.
#[tokio::test]
async fn an_error_has_the_encoding_that_it_names() {
    for (path, accept) in [
        ("/chat/completions", "application/json"),
        ("/v1/messages", "application/json"),
        ("/v1/completions", "application/x-protobuf"),
        ("/admin/v1/tenants", "application/json"),
    ] {
        let fails = || async { ApiError::new(ErrorCode::InvalidRequest, "long ".repeat(1000)) };
        let router: Router = Router::new()
            .route(path, axum::routing::get(fails))
            .layer(crate::compression::answers())
            .layer(from_fn(error::layer));
        let mut ask = request(Method::GET, path, None, "");
        let headers = ask.headers_mut();
        headers.insert("accept", accept.parse().unwrap());
        headers.insert("accept-encoding", "gzip".parse().unwrap());
        let response = router.oneshot(ask).await.unwrap();
        assert!(
            !response.headers().contains_key("content-encoding"),
            "{path}"
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.windows(10).any(|it| it == b"long long "), "{path}");
    }
}
