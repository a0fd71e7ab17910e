use std::time::Duration;

use fathom_client::Error;
use futures::StreamExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::ask::{ask, begin, chat, long_chat, rest, socket};
use crate::harness::{REAL, Server, home, real, sim};
use crate::process::{eventually, is_alive};

const SOON: Duration = Duration::from_secs(5);

/// Tells the server to stop and waits until it takes no more connections.
async fn stop_listening(server: &Server) {
    server.terminate();
    eventually("new connections are refused", SOON, async || {
        TcpStream::connect(server.address()).await.err()
    })
    .await;
}

/// DRAIN-1, with the real model.
#[tokio::test]
async fn a_server_that_is_told_to_stop_finishes_its_streams() {
    let mut server = real(&home(), &["--set", REAL]).await;
    let engine = server.engine_pid().unwrap();
    let mut stream = begin(
        &server.client(),
        chat("Tell me a story about the sea.", 100),
    )
    .await;
    stop_listening(&server).await;
    let (status, missing) = server.admin("admin.sock", "/readyz").await.unwrap();
    assert_eq!((status, missing.as_str()), (503, "not ready: running\n"));
    let answer = rest(&mut stream).await.unwrap();
    assert_eq!(answer.usage.completion_tokens, 100);
    assert_eq!(server.ended(SOON).await.code(), Some(0));
    assert!(!is_alive(engine));
}

/// DRAIN-1: a WebSocket whose answer runs gets all of it.
#[tokio::test]
async fn a_server_that_is_told_to_stop_finishes_the_answers_of_websockets() {
    let engine = sim(r#"inter_token="30ms", tokens=30"#);
    let mut server = Server::ready(&home(), &["--set", &engine]).await;
    let (mut socket, _) = socket(&server).await;
    ask(&mut socket, &server.demo("FATHOM_API_KEY"), "Go", 100).await;
    socket.next().await.unwrap().unwrap();
    stop_listening(&server).await;
    let mut last = String::new();
    let close = loop {
        match socket.next().await.unwrap().unwrap() {
            Frame::Text(text) => last = text.to_string(),
            Frame::Close(close) => break close.unwrap(),
            _ => {}
        }
    };
    assert!(last.contains(r#""type":"done""#), "{last}");
    assert_eq!(close.code, CloseCode::Normal);
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}

/// DRAIN-1: an idle WebSocket is told why it ends.
#[tokio::test]
async fn an_idle_websocket_is_told_that_the_server_goes_away() {
    let mut server = Server::ready(&home(), &["--set", &sim("tokens=8")]).await;
    let (mut socket, _) = socket(&server).await;
    server.terminate();
    let Some(Ok(Frame::Close(Some(close)))) = socket.next().await else {
        panic!("no close frame");
    };
    assert_eq!(close.code, CloseCode::Away);
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}

/// DRAIN-1: for a while whoever has not noticed is served; a second signal ends that at once.
#[tokio::test]
async fn a_server_that_is_told_to_stop_serves_on_until_balancers_have_noticed() {
    let arguments = ["--set", &sim("tokens=8"), "--set", "shutdown_delay=60s"];
    let mut server = Server::ready(&home(), &arguments).await;
    server.terminate();
    eventually("it wants no traffic", SOON, async || {
        let (status, _) = server.admin("admin.sock", "/readyz").await?;
        (status == 503).then_some(())
    })
    .await;
    let answer = server.client().chat(&chat("Go", 8)).await.unwrap();
    assert_eq!(answer.usage.completion_tokens, 8);
    assert!(!server.has_ended());
    server.terminate();
    assert_eq!(server.ended(SOON).await.code(), Some(1));
}

/// DRAIN-2.
#[tokio::test]
async fn a_stream_that_outlives_the_grace_period_is_told() {
    let engine = sim(r#"inter_token="50ms", tokens=10000"#);
    let arguments = ["--set", &engine, "--set", "shutdown_grace=300ms"];
    let mut server = Server::ready(&home(), &arguments).await;
    let mut stream = begin(&server.client(), long_chat()).await;
    let (mut socket, _) = socket(&server).await;
    ask(&mut socket, &server.demo("FATHOM_API_KEY"), "Go", 4000).await;
    socket.next().await.unwrap().unwrap();
    server.terminate();
    let told = Instant::now();
    match rest(&mut stream).await {
        Err(Error::Failed { code, .. }) => assert_eq!(code, "server_shutdown"),
        other => panic!("no error in the stream: {other:?}"),
    }
    let frames: Vec<_> = socket
        .by_ref()
        .filter_map(async |frame| frame.ok())
        .collect()
        .await;
    let [.., Frame::Text(last), Frame::Close(Some(close))] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert!(last.contains(r#""code":"server_shutdown""#), "{last}");
    assert_eq!(close.code, CloseCode::Away);
    assert_eq!(server.ended(SOON).await.code(), Some(0));
    println!("ended {:?} after the signal", told.elapsed());
}

/// DRAIN-2, with the real model: the child process is told in time, too.
#[tokio::test]
async fn a_real_model_is_stopped_when_the_grace_period_is_over() {
    let arguments = ["--set", REAL, "--set", "shutdown_grace=300ms"];
    let mut server = real(&home(), &arguments).await;
    let engine = server.engine_pid().unwrap();
    let mut stream = begin(&server.client(), long_chat()).await;
    server.terminate();
    match rest(&mut stream).await {
        Err(Error::Failed { code, .. }) => assert_eq!(code, "server_shutdown"),
        other => panic!("no error in the stream: {other:?}"),
    }
    assert_eq!(server.ended(SOON).await.code(), Some(0));
    assert!(!is_alive(engine));
}

/// DRAIN-1: nor does it end without a word.
#[tokio::test]
async fn a_second_signal_ends_the_server_within_a_second() {
    let engine = sim(r#"inter_token="50ms", tokens=10000"#);
    let mut server = Server::ready(&home(), &["--set", &engine]).await;
    let mut stream = begin(&server.client(), long_chat()).await;
    stop_listening(&server).await;
    server.terminate();
    let told = Instant::now();
    match rest(&mut stream).await {
        Err(Error::Failed { code, .. }) => assert_eq!(code, "server_shutdown"),
        other => panic!("no error in the stream: {other:?}"),
    }
    assert_eq!(server.ended(SOON).await.code(), Some(1));
    let took = told.elapsed();
    println!("ended {took:?} after the second signal");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// DRAIN-5: a server that still waits for its database ends as one that runs.
#[tokio::test]
async fn a_server_that_has_not_started_stops_when_it_is_told_to() {
    let nowhere = "postgres://fathom@127.0.0.1:1/fathom";
    let arguments = ["--set", &format!("auth.database={nowhere}")];
    let mut server = Server::launch(&home(), &arguments);
    eventually("it waits", SOON, async || {
        server
            .log()
            .contains("waiting for the database")
            .then_some(())
    })
    .await;
    server.terminate();
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}
