use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

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
    fn start(routes: Router, limits: Limits) -> Self {
        let listener = ListenAddress::local(0).bind().unwrap();
        let Listener::Tcp(tcp) = &listener else {
            panic!("a TCP port")
        };
        let address = tcp.local_addr().unwrap();
        let shutdown = Shutdown::new(LIMIT);
        shutdown.spawn(serve(listener, routes, limits, shutdown.clone()));
        Self { address, shutdown }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Everything until the server closes.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    timeout(LIMIT, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    text
}

/// Waits for the beginning of an answer.
async fn read_some(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 1024];
    let length = timeout(LIMIT, stream.read(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Part of EDGE-5: `axum::serve` would hold the connection for ever.
#[tokio::test]
async fn half_a_header_does_not_hold_a_connection() {
    let header_timeout = Duration::from_millis(100);
    let server = Server::start(
        hello(),
        Limits {
            header_timeout,
            ..Limits::default()
        },
    );
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: te").await.unwrap();
    let begun = Instant::now();
    read(&mut slow).await;
    assert!(
        begun.elapsed() >= header_timeout / 2,
        "{:?}",
        begun.elapsed()
    );
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
        assert!(read(&mut running).await.ends_with("finished"));
    };
    tokio::join!(server.shutdown.drain(), client);
}
