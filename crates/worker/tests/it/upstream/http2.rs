//! HTTP/2 without TLS.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use fathom_proto::inference::{Event, Inference};
use fathom_worker::UpstreamConfig;
use futures::StreamExt;
use futures::stream::{self, Stream};
use http::{Request, Response, Version};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::server::{DONE, STOP, text};
use super::{Running, config, context, hello, outcome, start};

/// Tells when it is dropped.
struct Told(mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

/// A worker and its server, which says `Hello` and then ends, or is silent.
async fn serving(ends: bool, told: mpsc::Sender<()>) -> (Running, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| {
            assert_eq!(request.version(), Version::HTTP_2);
            let body = StreamBody::new(body(ends, Told(told.clone())));
            let answer = Response::builder().header("content-type", "text/event-stream");
            async { Ok::<_, Infallible>(answer.body(body).unwrap()) }
        });
        let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http.serve_connection(TokioIo::new(socket), service).await;
    });
    let config = UpstreamConfig {
        http2: true,
        ..config(&format!("http://{address}/v1"))
    };
    (start(config).await, tasks)
}

fn body(ends: bool, told: Told) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    let frame = |text: String| Ok(Frame::data(Bytes::from(text)));
    let hello = stream::iter([frame(text("Hello"))]);
    let end = stream::iter(ends.then(|| frame(format!("{STOP}{DONE}"))));
    let silence = stream::pending().take(usize::from(!ends));
    hello.chain(end).chain(silence).map(move |frame| {
        let _held = &told;
        frame
    })
}

#[tokio::test]
async fn streams_share_a_connection() {
    let (told, _) = mpsc::channel(1);
    let (worker, _server) = serving(true, told).await;
    let (one, other) = tokio::join!(outcome(&worker, hello()), outcome(&worker, hello()));
    assert_eq!((one.text.as_str(), other.text.as_str()), ("Hello", "Hello"));
    assert!(one.end.is_ok() && other.end.is_ok());
}

/// LIFE-1
#[tokio::test]
async fn a_caller_who_goes_away_resets_the_stream() {
    let (told, mut dropped) = mpsc::channel(1);
    let (worker, _server) = serving(false, told).await;
    let mut stream = worker.generate(hello(), context()).await.unwrap();
    while !matches!(stream.next().await, Some(Ok(Event::Delta(_)))) {}
    drop(stream);
    timeout(Duration::from_millis(100), dropped.recv())
        .await
        .unwrap()
        .unwrap();
}
