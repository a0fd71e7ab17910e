//! The promises of every port, on real sockets.

mod floods;
mod http1;
mod readers;
mod times;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Extension;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;
use crate::net::ListenAddress;

const LIMIT: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// A server on a port of its own.
struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
}

impl Server {
    fn start(routes: Router, edge: impl Into<Edge>) -> Self {
        let listener = ListenAddress::local(0).bind().unwrap();
        let Listener::Tcp(tcp) = &listener else {
            panic!("a TCP port")
        };
        let address = tcp.local_addr().unwrap();
        let shutdown = Shutdown::new(LIMIT);
        shutdown.spawn(serve(listener, routes, edge.into(), shutdown.clone()));
        Self { address, shutdown }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Asks over a connection of its own.
    async fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_some(&mut stream).await
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Everything until the server closes; a reset is an end, too.
async fn read(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut bytes))
        .await
        .expect("the connection stays open");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for the beginning of an answer.
async fn read_some(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = [0; 4096];
    let length = timeout(LIMIT, stream.read(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Waits until `condition` holds.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, wait).await.expect(what);
}

#[tokio::test]
async fn a_connection_over_the_cap_waits_until_another_ends() {
    let server = Server::start(
        hello(),
        Limits {
            max_connections: 1,
            ..Limits::default()
        },
    );
    let mut first = server.connect().await;
    first.write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut first).await.ends_with("hello"));
    let mut second = server.connect().await;
    second.write_all(REQUEST).await.unwrap();
    let early = timeout(Duration::from_millis(50), second.read_u8()).await;
    assert!(early.is_err(), "the second must wait");
    drop(first);
    assert!(read_some(&mut second).await.ends_with("hello"));
}

/// EDGE-7, with 300 of its 20,000 connections: an address that opens more than its share loses
/// these at once, and another is served.
#[tokio::test]
async fn edge_7_connections_of_one_address_leave_room_for_others() {
    let limits = Limits {
        max_connections_per_address: 20,
        ..Limits::default()
    };
    let server = Server::start(hello(), limits);
    let mut greedy = Vec::new();
    let mut closed = 0;
    for _ in 0..300 {
        // It may be closed before it is known here that it was opened.
        match TcpStream::connect(server.address).await {
            Ok(stream) => greedy.push(stream),
            Err(_) => closed += 1,
        }
    }
    for stream in &mut greedy[20..] {
        closed += usize::from(read(stream).await.is_empty());
    }
    assert_eq!(closed, 280);
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(server.address).await.unwrap();
    other.write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut other).await.ends_with("hello"));
    greedy[0].write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut greedy[0]).await.ends_with("hello"));
    // Who closes some may open some.
    greedy.clear();
    let served = async {
        loop {
            let mut stream = server.connect().await;
            let _ = stream.write_all(REQUEST).await;
            let mut byte = [0];
            if let Ok(1) = stream.read(&mut byte).await {
                break;
            }
        }
    };
    timeout(LIMIT, served)
        .await
        .expect("the share is not free again");
}

/// SEC-23: handlers see the caller that a trusted proxy names, and no header of it.
#[tokio::test]
async fn sec_23_the_caller_is_whom_a_trusted_proxy_names() {
    let whoami = get(
        async |Extension(peer): Extension<Peer>, headers: axum::http::HeaderMap| {
            let rest = headers.contains_key("x-forwarded-for");
            format!("{:?} {} {rest}", peer.address.unwrap(), peer.secure)
        },
    );
    let ask = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.1, 198.51.100.7\r\n\
        x-forwarded-proto: https\r\nconnection: close\r\n\r\n";
    for (trusted, expected) in [
        ("192.0.2.0/24", "127.0.0.1 false false"),
        ("127.0.0.1", "198.51.100.7 true false"),
    ] {
        let edge = Edge {
            trusted_proxies: trusted.parse().unwrap(),
            ..Edge::default()
        };
        let server = Server::start(Router::new().route("/", whoami.clone()), edge);
        let answer = server.ask(ask).await;
        assert!(answer.ends_with(expected), "{trusted}: {answer}");
    }
}

/// Part of DRAIN-1: a client of HTTP/2 is told to go elsewhere, and gets what it has asked for.
#[tokio::test]
async fn drain_1_a_connection_of_http_2_is_told_to_go_elsewhere() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_go) = (begun.clone(), go.clone());
    let slow = get(async move || {
        handler_begun.notify_one();
        handler_go.notified().await;
        "finished"
    });
    let server = Server::start(Router::new().route("/slow", slow), Limits::default());
    let (mut client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    let (answer, _) = client.send_request(floods::get("/slow"), true).unwrap();
    let asked = async {
        begun.notified().await;
        let drained = async {
            // GOAWAY comes before the answer does.
            while client.clone().ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
            go.notify_one();
        };
        tokio::join!(server.shutdown.drain(), drained);
    };
    let body = async {
        let mut body = answer.await.unwrap().into_body();
        body.data().await.unwrap().unwrap()
    };
    let all = async { tokio::join!(connection, body, asked) };
    let (ended, body, ()) = timeout(LIMIT, all).await.expect("it goes on");
    ended.unwrap();
    assert_eq!(body, "finished");
}

/// Part of DRAIN-1
#[tokio::test]
async fn draining_finishes_the_running_request_and_closes_the_idle_connection() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_go) = (begun.clone(), go.clone());
    let slow = get(async move || {
        handler_begun.notify_one();
        handler_go.notified().await;
        "finished"
    });
    let server = Server::start(hello().route("/slow", slow), Limits::default());
    let mut idle = server.connect().await;
    idle.write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut idle).await.ends_with("hello"));
    let mut running = server.connect().await;
    running
        .write_all(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    begun.notified().await;

    let client = async {
        assert_eq!(read(&mut idle).await, "");
        assert!(
            TcpStream::connect(server.address).await.is_err(),
            "no new connections"
        );
        go.notify_one();
        let answer = read(&mut running).await;
        assert!(answer.ends_with("finished"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    };
    tokio::join!(server.shutdown.drain(), client);
}
