use std::path::Path;
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::ErrorCode;
use fathom_proto::inference::{Event, Inference, RequestContext};
use fathom_worker::{Config, EngineConfig, Error, SimConfig, Worker};
use futures::StreamExt;
use tokio::time::Instant;

use crate::harness::{answer, chat, context, start};

fn sim(inter_token: Duration) -> EngineConfig {
    let serves = vec!["deepseek-chat".to_owned()];
    EngineConfig::Sim(SimConfig {
        serves,
        inter_token,
        ..SimConfig::default()
    })
}

#[tokio::test]
async fn the_place_is_free_with_the_last_event() {
    let (worker, _shutdown) = start(sim(Duration::ZERO)).await;
    let mut stream = worker.generate(chat("hello"), context()).await.unwrap();
    assert_eq!(worker.load().running, 1);
    while !matches!(stream.next().await, Some(Ok(Event::Finished { .. }))) {}
    assert_eq!(worker.load().running, 0);
    assert!(stream.next().await.is_none());
    assert_eq!(answer(&worker, chat("hello")).await.tokens, 32);
}

#[tokio::test]
async fn a_model_that_no_engine_serves_is_not_found() {
    let (worker, _shutdown) = start(sim(Duration::ZERO)).await;
    let asked = fathom_proto::inference::GenerateRequest {
        model: "other".into(),
        ..chat("hi")
    };
    let error = worker.generate(asked, context()).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline_with_an_error() {
    let (worker, _shutdown) = start(sim(Duration::from_secs(1))).await;
    let deadline = Instant::now() + Duration::from_millis(2500);
    let context = RequestContext {
        deadline: Some(deadline),
        ..context()
    };
    let stream = worker.generate(chat("hello"), context).await.unwrap();
    let events: Vec<_> = stream.collect().await;
    assert_eq!(events.len(), 5, "started, three words, the error");
    let error = events.into_iter().last().unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    assert_eq!((Instant::now(), worker.load().running), (deadline, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlives_the_grace_period_is_told_so() {
    let (worker, shutdown) = start(sim(Duration::from_secs(60))).await;
    let stream = worker.generate(chat("hello"), context()).await.unwrap();
    let _held = shutdown.hold();
    let (events, ()) = tokio::join!(stream.collect::<Vec<_>>(), shutdown.drain());
    let error = events.into_iter().last().unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::ShuttingDown);
    assert_eq!(worker.load().running, 0);
}

#[tokio::test]
async fn a_configuration_that_serves_nothing_or_one_model_twice_is_refused() {
    let shutdown = Shutdown::new(Duration::ZERO);
    let nothing = EngineConfig::Sim(SimConfig::default());
    for engines in [
        vec![],
        vec![nothing],
        vec![sim(Duration::ZERO), sim(Duration::ZERO)],
    ] {
        let config = Config {
            engines,
            ..Config::default()
        };
        let refused = Worker::start(&config, Path::new("unused"), &shutdown).await;
        assert!(matches!(refused, Err(Error::Engines { .. })));
    }
}
