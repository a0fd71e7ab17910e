//! A caller who goes away ends the generation at the server; LIFE-1 and LIFE-2.

use std::time::Duration;

use fathom_proto::inference::{Event, Inference};
use futures::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::server::{Server, Step, head, send, text};
use super::{context, hello, worker};

/// How long it takes at most.
const LIMIT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn before_the_head_of_the_answer() {
    let mut server = Server::start(vec![Step::Hang]).await;
    let worker = worker(&server.url()).await;
    let mut asked = worker.generate(hello(), context());
    tokio::select! {
        _ = &mut asked => panic!("there is no answer"),
        _ = server.requests.recv() => {}
    }
    drop(asked);
    timeout(LIMIT, server.gone.recv()).await.unwrap().unwrap();
    assert_eq!(worker.load().running, 0);
}

#[tokio::test]
async fn before_the_first_token_and_within_a_silent_or_talking_stream() {
    let talk = Step::Talk(text("x").into_bytes());
    for steps in [
        vec![head(), Step::Hang],
        vec![head(), send(text("x")), Step::Hang],
        vec![head(), talk],
    ] {
        let tokens = steps.len() > 2 || matches!(steps[1], Step::Talk(_));
        let mut server = Server::start(steps).await;
        let worker = worker(&server.url()).await;
        let mut stream = worker.generate(hello(), context()).await.unwrap();
        if tokens {
            while !matches!(stream.next().await, Some(Ok(Event::Delta(_)))) {}
        }
        assert!(tokens || stream.next().now_or_never().is_none());
        drop(stream);
        timeout(LIMIT, server.gone.recv()).await.unwrap().unwrap();
        assert_eq!(worker.load().running, 0);
    }
}
