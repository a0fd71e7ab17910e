//! LIFE-3 and LIFE-5: readers that go, and readers that stay and do not read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use futures::{Stream, StreamExt, stream};

use super::*;

/// What a generation has given so far, and whether it runs.
#[derive(Clone, Default)]
struct Generation {
    pieces: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

const PIECE: usize = 1024;

impl Generation {
    /// A route whose answer never ends.
    fn route(&self) -> Router {
        let generation = self.clone();
        let endless = get(async move || {
            generation.running.fetch_add(1, Ordering::SeqCst);
            Body::from_stream(Endless(generation))
        });
        hello().route("/endless", endless)
    }

    fn pieces(&self) -> usize {
        self.pieces.load(Ordering::SeqCst)
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

struct Endless(Generation);

impl Stream for Endless {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.pieces.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; PIECE]))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

const ENDLESS: &[u8] = b"GET /endless HTTP/1.1\r\nhost: test\r\n\r\n";
const STALL: Duration = Duration::from_millis(400);

fn limits() -> Limits {
    Limits {
        write_timeout: Some(STALL),
        ..Limits::default()
    }
}

/// A client with a small buffer, so that what is not read is with the server.
async fn small(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(server.address).await.unwrap()
}

/// LIFE-5: a reader that takes nothing is given up, and was given no more than fits the buffers.
#[tokio::test]
async fn life_5_a_reader_that_stops_is_dropped_and_its_generation_ends() {
    let generation = Generation::default();
    let server = Server::start(generation.route(), limits());
    let mut stopped = small(&server).await;
    stopped.write_all(ENDLESS).await.unwrap();
    eventually("it runs", || generation.running() == 1).await;
    // Meanwhile others are served.
    assert!(server.ask(REQUEST).await.ends_with("hello"));
    eventually("it ends", || generation.running() == 0).await;
    // 64 KiB here, as much that the kernel holds unsent, and what is under way.
    let given = generation.pieces() * PIECE;
    assert!(given < 512 * 1024, "{given} bytes");
}

/// LIFE-5: a reader that is slow is not one that has stopped.
#[tokio::test]
async fn life_5_a_slow_reader_is_waited_for() {
    let generation = Generation::default();
    let server = Server::start(generation.route(), limits());
    let mut slow = small(&server).await;
    slow.write_all(ENDLESS).await.unwrap();
    let mut piece = vec![0; 64 * 1024];
    for _ in 0..8 {
        slow.read_exact(&mut piece).await.unwrap();
        tokio::time::sleep(STALL / 2).await;
    }
    assert_eq!(generation.running(), 1);
    drop(slow);
    eventually("it ends", || generation.running() == 0).await;
}

/// LIFE-5: over HTTP/2, where one stream stops and the others of its connection go on.
#[tokio::test]
async fn life_5_a_stream_that_is_not_read_is_dropped_alone() {
    let generation = Generation::default();
    let server = Server::start(generation.route(), limits());
    let mut client = h2::client::Builder::new();
    client.initial_window_size(32 * 1024);
    let handshake = client.handshake::<_, Bytes>(server.connect().await);
    let (mut client, connection) = handshake.await.unwrap();
    let connection = async move { connection.await.unwrap() };
    let streams = async {
        let (stopped, _) = client.send_request(floods::get("/endless"), true).unwrap();
        let stopped = stopped.await.unwrap();
        let (read, _) = client.send_request(floods::get("/endless"), true).unwrap();
        let mut read = read.await.unwrap().into_body();
        let mut bytes = 0;
        // The one that is read goes on after the other one is given up.
        while generation.running() == 2 || bytes < 1024 * 1024 {
            let data = read.data().await.unwrap().unwrap();
            bytes += data.len();
            read.flow_control().release_capacity(data.len()).unwrap();
        }
        assert_eq!(generation.running(), 1);
        let mut stopped = stopped.into_body();
        let mut held = 0;
        let error = loop {
            match stopped.data().await {
                Some(Ok(data)) => held += data.len(),
                Some(Err(error)) => break error,
                None => panic!("the stream must not look complete"),
            }
        };
        assert!(held <= 32 * 1024, "{held}");
        assert!(error.is_reset(), "{error}");
    };
    let both = async {
        tokio::select! {
            () = streams => {}
            () = connection => panic!("the connection has ended"),
        }
    };
    timeout(LIMIT, both).await.unwrap();
    eventually("all end with their connection", || {
        generation.running() == 0
    })
    .await;
}

/// A whole answer is read for as long as it takes, whatever time an idle connection has.
#[tokio::test]
async fn life_5_a_large_answer_is_not_cut_by_the_idle_time() {
    const BYTES: usize = 4 * 1024 * 1024;
    let large = get(async || vec![b'x'; BYTES]);
    let limits = Limits {
        idle_timeout: Some(Duration::from_millis(100)),
        ..limits()
    };
    let server = Server::start(Router::new().route("/large", large), limits);
    let mut slow = small(&server).await;
    slow.write_all(b"GET /large HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let mut read = 0;
    let mut piece = vec![0; 256 * 1024];
    // All of it takes longer than the idle time and the farewell after it.
    while read < BYTES {
        let count = slow.read(&mut piece).await.unwrap();
        assert!(count > 0, "cut after {read} bytes");
        read += count;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// LIFE-5: over HTTP/2 a whole answer is handed over in pieces, so that one whose reader stops is
/// seen and let go, while others keep the connection busy.
#[tokio::test]
async fn life_5_a_whole_answer_that_is_not_read_is_dropped_alone() {
    let running = Arc::new(AtomicUsize::new(0));
    let count = running.clone();
    let large = get(async move || {
        count.fetch_add(1, Ordering::SeqCst);
        let guard = Running(count.clone());
        let whole = Bytes::from(vec![b'x'; 4 * 1024 * 1024]);
        let whole = stream::iter([Ok::<_, Infallible>(whole)]);
        Body::from_stream(whole.chain(stream::pending()).inspect(move |_| {
            // It is held, and dropped, with the body.
            let _ = &guard;
        }))
    });
    let server = Server::start(hello().route("/large", large), limits());
    let handshake = h2::client::Builder::new()
        .initial_window_size(32 * 1024)
        .handshake::<_, Bytes>(server.connect().await);
    let (client, connection) = handshake.await.unwrap();
    let streams = async {
        let mut client = client.ready().await.unwrap();
        let (stopped, _) = client.send_request(floods::get("/large"), true).unwrap();
        let mut stopped = stopped.await.unwrap().into_body();
        while running.load(Ordering::SeqCst) > 0 {
            let (other, _) = client.send_request(floods::get("/"), true).unwrap();
            assert_eq!(other.await.unwrap().status(), StatusCode::OK);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let error = loop {
            match stopped.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the stream must not look complete"),
            }
        };
        assert!(error.is_reset(), "{error}");
    };
    let both = async {
        tokio::select! {
            () = streams => {}
            ended = connection => panic!("the connection has ended: {ended:?}"),
        }
    };
    timeout(LIMIT, both).await.unwrap();
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// LIFE-3: a client that closes its half has gone, and its generation ends.
#[tokio::test]
async fn life_3_a_half_closed_connection_is_gone() {
    let generation = Generation::default();
    let server = Server::start(generation.route(), Limits::default());
    let mut half = small(&server).await;
    half.write_all(ENDLESS).await.unwrap();
    eventually("it runs", || generation.running() == 1).await;
    half.shutdown().await.unwrap();
    eventually("it ends", || generation.running() == 0).await;
}
