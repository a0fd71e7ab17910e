//! EDGE-5: whoever is slow holds nothing for long.

use super::*;

const SHORT: Duration = Duration::from_millis(150);

/// All times are long but one.
fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let long = Duration::from_secs(60);
    let mut limits = Limits {
        header_timeout: long,
        idle_timeout: Some(long),
        body_timeout: Some(long),
        write_timeout: Some(long),
        ..Limits::default()
    };
    change(&mut limits);
    limits
}

/// EDGE-5: `axum::serve` would hold the connection for ever.
#[tokio::test]
async fn edge_5_half_a_header_does_not_hold_a_connection() {
    let server = Server::start(hello(), limits(|limits| limits.header_timeout = SHORT));
    for beginning in [
        "",
        "GET",
        "GET / HTTP/1.1\r\nhost: te",
        "PRI * HTTP/2.0\r\n",
    ] {
        let mut slow = server.connect().await;
        slow.write_all(beginning.as_bytes()).await.unwrap();
        assert_eq!(read(&mut slow).await, "", "{beginning:?}");
    }
    // Neither does one that comes byte by byte, after a request that was whole.
    let mut slow = server.connect().await;
    slow.write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut slow).await.ends_with("hello"));
    let trickle = async {
        let endless = b"GET / HTTP/1.1\r\nx: ".iter().chain(b"a".iter().cycle());
        for byte in endless {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    timeout(LIMIT, trickle)
        .await
        .expect("the connection stays open");
}

/// EDGE-5: an idle connection has a time of its own, on either protocol.
#[tokio::test]
async fn edge_5_an_idle_connection_is_closed() {
    let server = Server::start(hello(), limits(|limits| limits.idle_timeout = Some(SHORT)));
    let mut idle = server.connect().await;
    idle.write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut idle).await.ends_with("hello"));
    assert_eq!(read(&mut idle).await, "");

    let (mut client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    let (answer, _) = client.send_request(floods::get("/"), true).unwrap();
    let answer = async { answer.await.unwrap().status() };
    let (ended, status) = timeout(LIMIT, async { tokio::join!(connection, answer) })
        .await
        .expect("the connection stays open");
    assert_eq!(status, StatusCode::OK);
    ended.unwrap();
}

/// EDGE-5: a connection with a request is not idle, however long the request takes.
#[tokio::test]
async fn a_request_that_takes_long_is_waited_for() {
    let slow = get(async || {
        tokio::time::sleep(SHORT * 3).await;
        "slow"
    });
    let all_short = limits(|limits| {
        (limits.header_timeout, limits.idle_timeout) = (SHORT, Some(SHORT));
        (limits.body_timeout, limits.write_timeout) = (Some(SHORT), Some(SHORT));
    });
    let server = Server::start(Router::new().route("/", slow), all_short);
    assert!(server.ask(REQUEST).await.ends_with("slow"));
}

fn echo() -> Router {
    Router::new().route(
        "/",
        post(
            async |body: Result<Bytes, axum::extract::rejection::BytesRejection>| match body {
                Ok(body) => (StatusCode::OK, format!("{} bytes", body.len())),
                Err(error) if BodyStalled::is_cause_of(&error) => {
                    (StatusCode::REQUEST_TIMEOUT, "late".to_owned())
                }
                Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            },
        ),
    )
}

/// EDGE-5: a body that stops coming is answered, and its connection closed.
#[tokio::test]
async fn edge_5_a_body_that_stops_coming_is_over() {
    let server = Server::start(echo(), limits(|limits| limits.body_timeout = Some(SHORT)));
    for head in ["content-length: 1000", "transfer-encoding: chunked"] {
        let mut slow = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n5\r\nhello\r\n");
        slow.write_all(head.as_bytes()).await.unwrap();
        let answer = read(&mut slow).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("late"), "{answer}");
    }
}

/// EDGE-5: a byte now and then is no progress.
#[tokio::test]
async fn edge_5_a_body_that_trickles_is_over() {
    let server = Server::start(echo(), limits(|limits| limits.body_timeout = Some(SHORT)));
    let mut slow = server.connect().await;
    slow.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
        .await
        .unwrap();
    let (mut reader, mut writer) = slow.split();
    let trickle = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 5).await;
        }
    };
    let answer = tokio::select! {
        answer = read(&mut reader) => answer,
        () = trickle => panic!("no answer"),
    };
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// EDGE-5: over HTTP/2, where the answer says the same and other streams go on; half a header ends
/// the connection.
#[tokio::test]
async fn edge_5_what_stops_coming_over_http_2_is_over() {
    let only = |change: fn(&mut Limits)| Server::start(echo(), limits(change));
    let server = only(|limits| limits.body_timeout = Some(SHORT));
    let (mut client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    let post = || axum::http::Request::post("http://test/").body(()).unwrap();
    let asked = async {
        let (slow, mut body) = client.send_request(post(), false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        assert_eq!(slow.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        let (trickled, mut body) = client.send_request(post(), false).unwrap();
        let trickle = async {
            while body.send_data(Bytes::from_static(b"x"), false).is_ok() {
                tokio::time::sleep(SHORT / 5).await;
            }
            std::future::pending().await
        };
        let answer = tokio::select! {
            answer = trickled => answer.unwrap(),
            never = trickle => never,
        };
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        let (other, _) = client.send_request(post(), true).unwrap();
        assert_eq!(other.await.unwrap().status(), StatusCode::OK);
    };
    let all = async {
        tokio::select! {
            () = asked => {}
            ended = connection => panic!("the connection has ended: {ended:?}"),
        }
    };
    timeout(LIMIT, all).await.expect("the stream stays open");

    let server = only(|limits| limits.header_timeout = SHORT);
    let mut slow = server.connect().await;
    let mut half = floods::headers(1, floods::POST, b"/");
    // More of the header is to come.
    half[4] = 0;
    slow.write_all(floods::HELLO).await.unwrap();
    slow.write_all(&half).await.unwrap();
    while floods::next_frame(&mut slow).await.is_some() {}
}

/// A body with pauses is taken, if it is fast on the whole, and so is one that nobody limits.
#[tokio::test]
async fn a_body_that_pauses_is_waited_for() {
    for limit in [Some(SHORT), None] {
        let server = Server::start(echo(), limits(|limits| limits.body_timeout = limit));
        let mut stream = server.connect().await;
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n")
            .await
            .unwrap();
        for _ in 0..5 {
            stream.write_all(&[b'x'; 1000]).await.unwrap();
            tokio::time::sleep(SHORT / 2).await;
        }
        assert!(read_some(&mut stream).await.ends_with("5000 bytes"));
    }
}

/// EDGE-2: an answer to a body that nobody reads arrives, although the client still sends.
#[tokio::test]
async fn edge_2_an_early_answer_arrives() {
    let refuse = post(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large"));
    let server = Server::start(Router::new().route("/", refuse), Limits::default());
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
        .await
        .unwrap();
    // As a client that sends all before it reads.
    for _ in 0..64 {
        if stream.write_all(&[b'x'; 64 * 1024]).await.is_err() {
            break;
        }
    }
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

/// DRAIN-1: a peer of HTTP/2 that has no request and answers nothing does not hold the server up.
#[tokio::test]
async fn drain_1_a_silent_peer_of_http_2_is_not_waited_for() {
    let server = Server::start(hello(), Limits::default());
    let mut silent = server.connect().await;
    silent
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    // The settings of the server.
    assert!(silent.read_u8().await.is_ok());
    let begun = tokio::time::Instant::now();
    server.shutdown.drain().await;
    let took = begun.elapsed();
    assert!(took < LIMIT / 2, "{took:?}");
}
