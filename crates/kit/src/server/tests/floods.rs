//! EDGE-9 and EDGE-10: HTTP/2 clients that make work. Others are in the end-to-end tests, against
//! a client that breaks the protocol.

use axum::http::Request;

use super::*;

/// A request of HTTP/2.
pub fn get(path: &str) -> Request<()> {
    Request::get(format!("http://test{path}")).body(()).unwrap()
}

/// EDGE-10: a client is told how many streams it may open.
#[tokio::test]
async fn edge_10_streams_have_a_number() {
    let never = axum::routing::get(std::future::pending::<()>);
    let server = Server::start(Router::new().route("/", never), Limits::default());
    let (client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    let mut connection = std::pin::pin!(connection);
    let ready = async {
        let mut client = client.ready().await.unwrap();
        let _request = client.send_request(get("/"), true).unwrap();
        let mut asked = 1;
        while client.current_max_send_streams() > 1_000 {
            tokio::task::yield_now().await;
            asked += 1;
            assert!(asked < 1_000_000, "no settings");
        }
        client.current_max_send_streams()
    };
    let most = tokio::select! {
        most = ready => most,
        _ = connection.as_mut() => panic!("the connection has ended"),
    };
    assert_eq!(most, 128);
}

/// How a client of HTTP/2 begins: the preface, and settings that change nothing.
pub const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
pub const GET: &[u8] = b"\x82\x86";
pub const POST: &[u8] = b"\x83\x86";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// A frame, byte for byte.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A request whose header ends here, and nothing else, byte for byte: none of it is indexed
/// (RFC 7541, section 6.2.2).
pub fn headers(stream: u32, method: &[u8], path: &[u8]) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let block = [method, b"\x01\x04test\x04", &[length], path].concat();
    frame(HEADERS, 4, stream, &block)
}

/// The kind and the payload of the next frame that comes; `None`: the connection has ended.
pub async fn next_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    let next = async {
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    };
    timeout(LIMIT, next)
        .await
        .expect("the connection stays open")
}

/// EDGE-9: streams that are reset as soon as they begin end their connection, and nothing else. At
/// most 20 of them wait to be looked at, so that a hundred at once are too many.
#[tokio::test]
async fn edge_9_rapid_resets_end_their_connection_alone() {
    let never = axum::routing::get(std::future::pending::<()>);
    let server = Server::start(hello().route("/never", never), Limits::default());
    for count in [100, 150, 1_000, 20_000] {
        let mut flood = HELLO.to_vec();
        for stream in (1..).step_by(2).take(count) {
            flood.extend(headers(stream, GET, b"/never"));
            flood.extend(frame(RESET, 0, stream, &[0, 0, 0, 8]));
        }
        let mut stream = server.connect().await;
        // The server may close before all of it is sent.
        let all_sent = stream.write_all(&flood).await.is_ok();
        let mut last = None;
        while let Some(frame) = next_frame(&mut stream).await {
            last = Some(frame);
        }
        // The reset of a connection on which more has come may overtake its last word.
        let calmed = matches!(last, Some((GOAWAY, payload)) if payload[4..8] == [0, 0, 0, 11]);
        assert!(calmed || count > 150, "{count}: {all_sent}");
        assert!(server.ask(REQUEST).await.ends_with("hello"));
    }
}

/// EDGE-10 and GRPC-7: a client that pings without end is told to be calm, in the words of gRPC,
/// between two frames of the answer that it gets.
#[tokio::test]
async fn edge_10_who_pings_without_end_is_told_to_be_calm() {
    let large = axum::routing::get(async || vec![b'x'; 1024 * 1024]);
    let server = Server::start(Router::new().route("/large", large), Limits::default());
    let mut stream = server.connect().await;
    stream.write_all(HELLO).await.unwrap();
    let mut request = headers(1, GET, b"/large");
    // It ends the stream, too.
    request[4] |= 1;
    stream.write_all(&request).await.unwrap();
    while next_frame(&mut stream).await.expect("an answer").0 != DATA {}
    let flood = frame(PING, 0, 0, &[7; 8]).repeat(3_000);
    let (mut reading, mut writing) = stream.split();
    let write = async {
        let _ = writing.write_all(&flood).await;
    };
    let read = async {
        let mut all = Vec::new();
        let read = timeout(LIMIT, reading.read_to_end(&mut all)).await;
        read.expect("the connection stays open").unwrap();
        all
    };
    let ((), all) = tokio::join!(write, read);
    let mut rest = &all[..];
    let mut last = (0, &[][..]);
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        let (payload, after) = after.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        last = (*kind, payload);
        rest = after;
    }
    assert!(rest.is_empty());
    assert_eq!(last.0, GOAWAY);
    assert_eq!(&last.1[4..], b"\0\0\0\x0btoo_many_pings");
}

/// GRPC-7: a client that measures the network whenever it is sent something keeps its connection.
#[tokio::test]
async fn grpc_7_who_pings_as_answers_come_goes_on() {
    let server = Server::start(hello(), Limits::default());
    let handshake = h2::client::handshake(server.connect().await).await;
    let (client, mut connection) = handshake.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let asked = async {
        let mut client = client;
        for _ in 0..400 {
            client = client.ready().await.unwrap();
            let (answer, _) = client.send_request(get("/"), true).unwrap();
            assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
            for _ in 0..4 {
                pings.ping(h2::Ping::opaque()).await.unwrap();
            }
        }
    };
    let all = async {
        tokio::select! {
            () = asked => {}
            ended = connection => panic!("the connection has ended: {ended:?}"),
        }
    };
    timeout(LIMIT, all).await.unwrap();
}
