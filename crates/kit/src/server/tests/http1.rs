//! EDGE-4 and EDGE-6: headers that are too large, or that two readers read in two ways.

use super::*;

/// EDGE-4: a header has its largest size and count.
#[tokio::test]
async fn edge_4_headers_without_end_are_refused() {
    let server = Server::start(hello(), Limits::default());
    let many = "x: 1\r\n".repeat(200);
    let large = format!("x: {}\r\n", "a".repeat(1024 * 1024));
    let just_too_large = format!("x: {}\r\n", "a".repeat(16 * 1024));
    for headers in [many, large, just_too_large] {
        let mut stream = server.connect().await;
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        // The server may close before all of it is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = read(&mut stream).await;
        let size = headers.len();
        // A reset may overtake the answer to a header that is still being sent.
        let refused = answer.starts_with("HTTP/1.1 431") || (answer.is_empty() && size > 100_000);
        assert!(refused, "{size} bytes: {answer}");
    }
    let fits = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "a".repeat(15_000)
    );
    assert!(server.ask(fits.as_bytes()).await.ends_with("hello"));
}

/// EDGE-6: what may end in two places ends in the one that is safe, or nowhere; whatever was
/// smuggled behind it is not served.
#[tokio::test]
async fn edge_6_no_request_hides_in_another() {
    let smuggled = Arc::new(AtomicUsize::new(0));
    let count = smuggled.clone();
    let routes = Router::new()
        .route(
            "/",
            post(async |body: Bytes| format!("{} bytes", body.len())),
        )
        .route(
            "/smuggled",
            get(async move || {
                count.fetch_add(1, Ordering::SeqCst);
                "smuggled"
            }),
        );
    let server = Server::start(routes, Limits::default());
    let hidden = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let chunks = "0\r\n\r\n";
    for headers in [
        // A length and chunks: chunks count, and the connection ends.
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "content-length: 3\r\ncontent-length: 4",
        "content-length: 3, 4",
        "content-length: +3",
        "content-length: 0x3",
        "content-length: -1",
        "content-length: 99999999999999999999999",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding : chunked",
        "transfer-encoding\t: chunked",
        "x: a\r\n transfer-encoding: chunked",
        "x: a\0\r\ntransfer-encoding: chunked",
        "x\0: a",
        "x: a\rtransfer-encoding: chunked",
        // A bare LF ends a line (RFC 9112, section 2.2), for whoever reads it so and whoever does not.
        "content-length: 4\nx: a\ntransfer-encoding: chunked",
        "x: a\ncontent-length: 4\r\ntransfer-encoding: chunked",
        "x: a\ntransfer-encoding: chunked\r\ncontent-length: 4",
        "content-length: 3\ncontent-length: 4",
        "x: a\n transfer-encoding: chunked",
    ] {
        let mut stream = server.connect().await;
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n{chunks}{hidden}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read(&mut stream).await;
        let served = answer.matches("HTTP/1.1 200").count();
        let refused = answer.starts_with("HTTP/1.1 400") || answer.is_empty();
        assert!(refused || served == 1, "{headers:?}: {answer}");
        assert_eq!(smuggled.load(Ordering::SeqCst), 0, "{headers:?}: {answer}");
    }
}

/// EDGE-6: a request that comes right behind another one is another one.
#[tokio::test]
async fn edge_6_requests_in_a_row_are_told_apart() {
    let routes = hello().route(
        "/",
        post(async |body: Bytes| format!("{} bytes;", body.len())),
    );
    let server = Server::start(routes, Limits::default());
    let mut stream = server.connect().await;
    let two = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc\
        POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n\
        GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(two.as_bytes()).await.unwrap();
    let answers = read(&mut stream).await;
    for body in ["3 bytes;", "4 bytes;", "hello"] {
        assert!(answers.contains(body), "{answers}");
    }
}

/// EDGE-2: a length that lies ends the request or what follows it, and no more.
#[tokio::test]
async fn edge_2_a_length_that_lies_harms_itself_alone() {
    let routes = hello().route(
        "/",
        post(async |body: Bytes| format!("{} bytes;", body.len())),
    );
    let server = Server::start(routes, Limits::default());
    let mut short = server.connect().await;
    short
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        .await
        .unwrap();
    short.shutdown().await.unwrap();
    let answer = read(&mut short).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    let mut long = server.connect().await;
    long.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcdefgh\r\n\r\n")
        .await
        .unwrap();
    let answers = read(&mut long).await;
    assert!(answers.contains("3 bytes;"), "{answers}");
    assert!(answers.contains("HTTP/1.1 400"), "{answers}");
    assert!(server.ask(REQUEST).await.ends_with("hello"));
}

/// EDGE-6: over HTTP/2, a path that would be two lines or two words of HTTP/1.1 is none.
#[tokio::test]
async fn edge_6_a_path_of_http_2_hides_no_line() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let routes = Router::new().fallback(async move || {
        count.fetch_add(1, Ordering::SeqCst);
        "served"
    });
    let server = Server::start(routes, Limits::default());
    for (index, path) in [
        &b"/ HTTP/1.1\r\nhost: b\r\n\r\nGET /smuggled"[..],
        b"/a b",
        b"/a\r\nx: y",
        b"/a\nb",
        b"/a\0",
        b"a",
        b"",
        b"http://other/",
        b"/sound",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = server.connect().await;
        let mut request = floods::headers(1, floods::GET, path);
        request[4] |= 1;
        let bytes = [floods::HELLO, &request].concat();
        stream.write_all(&bytes).await.unwrap();
        // Until it is answered or refused.
        let sound = index == 8;
        let answered = async {
            while let Some((kind, payload)) = floods::next_frame(&mut stream).await {
                match kind {
                    // The answer, with the status 200.
                    1 => return payload[0] == 0x88,
                    // The stream is reset, or the connection given up.
                    3 | 7 => return false,
                    _ => {}
                }
            }
            false
        };
        let answered = answered.await;
        let path = String::from_utf8_lossy(path);
        assert_eq!(answered, sound, "{path:?}");
        assert_eq!(
            served.load(Ordering::SeqCst),
            usize::from(sound),
            "{path:?}"
        );
    }
}
