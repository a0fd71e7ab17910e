use std::sync::atomic::Ordering;
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::Catalog;
use fathom_proto::inference::{Event, Inference, TokenStream};
use fathom_proto::registry::Registry;
use fathom_proto::{Error, ErrorCode};
use futures::StreamExt;

use crate::harness::{Fake, Harness, Script, announcement, request, serve_over_grpc, start};

async fn generate(harness: &Harness) -> Result<TokenStream, Error> {
    let (request, context) = request("deepseek-chat");
    harness.router.generate(request, context).await
}

/// The error that ends the stream, if one does.
async fn last_error(stream: TokenStream) -> Option<Error> {
    let events: Vec<_> = stream.collect().await;
    events.into_iter().last().unwrap().err()
}

#[tokio::test]
async fn a_request_carries_the_context_of_its_row() {
    let harness = start().await;
    let worker = Fake::new(Script::Answer);
    harness.add("a", &worker);
    let events: Vec<_> = generate(&harness).await.unwrap().collect().await;
    assert_eq!(events.len(), 3);
    assert!(matches!(events[2], Ok(Event::Finished { .. })));
    assert_eq!(worker.context_length.load(Ordering::Relaxed), 32768);
}

#[tokio::test]
async fn a_model_without_a_row_is_not_found_by_name() {
    let harness = start().await;
    let (request, context) = request("deepseek-chta");
    let error = harness
        .router
        .generate(request, context)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound);
    assert_eq!(error.param.as_deref(), Some("model"));
    assert!(error.message.contains("`deepseek-chta`"), "{error}");
}

#[tokio::test]
async fn a_model_without_a_worker_is_unavailable_for_now() {
    let harness = start().await;
    tokio::time::pause();
    let error = generate(&harness).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn a_stream_that_ends_early_is_an_error_and_never_silent() {
    let harness = start().await;
    harness.add("a", &Fake::new(Script::Truncate));
    let error = last_error(generate(&harness).await.unwrap()).await.unwrap();
    assert_eq!(error.code, ErrorCode::WorkerFailed);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_a_lost_worker() {
    let harness = start().await;
    let broken = || Error::new(ErrorCode::Unavailable, "connection reset");
    harness.add("a", &Fake::new(Script::Break(broken)));
    let error = last_error(generate(&harness).await.unwrap()).await.unwrap();
    assert_eq!(error.code, ErrorCode::WorkerFailed);
}

#[tokio::test]
async fn running_streams_count_until_they_are_dropped() {
    let harness = start().await;
    let (one, other) = (Fake::new(Script::Hang), Fake::new(Script::Hang));
    harness.add("a", &one);
    harness.add("b", &other);
    let mut first = generate(&harness).await.unwrap();
    assert!(matches!(
        first.next().await,
        Some(Ok(Event::Started { .. }))
    ));
    let second = generate(&harness).await.unwrap();
    assert_eq!(
        (one.running(), other.running()),
        (1, 1),
        "load spreads while streams run"
    );
    drop(first);
    let freed = if one.running() == 0 { &one } else { &other };
    let calls = freed.calls();
    let third = generate(&harness).await.unwrap();
    assert_eq!(freed.calls(), calls + 1, "a dropped stream is settled");
    drop((second, third));
    assert_eq!((one.running(), other.running()), (0, 0));
}

/// One whose upstream is away has other models, and answers for itself.
#[tokio::test]
async fn a_worker_that_answers_unavailable_stays_in() {
    let harness = start().await;
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let away = || Error::new(ErrorCode::Unavailable, "the upstream cannot be reached");
    let workers = [Script::Refuse(away), Script::Answer].map(Fake::new);
    for (worker, context_length) in workers.iter().zip([100, 8192]) {
        let endpoint = serve_over_grpc(worker, &shutdown).to_string();
        let name = format!("worker-{context_length}");
        let announced = announcement(&name, &endpoint, context_length);
        harness.router.register(announced).await.unwrap();
    }
    for _ in 0..4 {
        let stream = generate(&harness).await.unwrap();
        assert!(last_error(stream).await.is_none());
    }
    assert!(workers[0].calls() >= 2, "it has its turns");
    assert_eq!(workers[1].calls(), 4);
    let models = harness.router.list_models().await.unwrap();
    assert_eq!(models[0].effective_context_length(), 100);
    shutdown.drain().await;
}

#[tokio::test]
async fn a_worker_that_cannot_be_reached_is_dropped_for_the_next() {
    let harness = start().await;
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let worker = Fake::new(Script::Answer);
    let there = serve_over_grpc(&worker, &shutdown);
    harness
        .router
        .register(announcement("gone", &gone, 100))
        .await
        .unwrap();
    harness
        .router
        .register(announcement("there", &there.to_string(), 8192))
        .await
        .unwrap();
    for _ in 0..2 {
        assert!(
            last_error(generate(&harness).await.unwrap())
                .await
                .is_none()
        );
    }
    assert_eq!(worker.calls(), 2);
    let models = harness.router.list_models().await.unwrap();
    assert_eq!(
        models[0].effective_context_length(),
        8192,
        "the dead one no longer counts"
    );
    drop(harness);
    shutdown.drain().await;
}

#[tokio::test]
async fn a_worker_that_dies_in_the_middle_is_told_as_such() {
    let harness = start().await;
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let process = tokio::runtime::Runtime::new().unwrap();
    let endpoint = {
        let _inside = process.enter();
        serve_over_grpc(&Fake::new(Script::Hang), &shutdown)
    };
    harness
        .router
        .register(announcement("a", &endpoint.to_string(), 8192))
        .await
        .unwrap();
    let mut stream = generate(&harness).await.unwrap();
    assert!(matches!(
        stream.next().await,
        Some(Ok(Event::Started { .. }))
    ));
    process.shutdown_background();
    assert_eq!(
        last_error(stream).await.unwrap().code,
        ErrorCode::WorkerFailed
    );
}
