//! Trying again before the first token.

use std::sync::Arc;
use std::time::Duration;

use fathom_proto::id::RequestId;
use fathom_proto::inference::{
    EmbedInput, EmbedRequest, Event, Inference, RequestContext, TokenStream,
};
use fathom_proto::registry::Registry;
use fathom_proto::{Error, ErrorCode};
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use crate::harness::{Fake, Harness, Script, request, start};

fn failed() -> Error {
    Error::new(ErrorCode::WorkerFailed, "failed")
}

fn busy() -> Error {
    Error::new(ErrorCode::Overloaded, "full").retry_after(Duration::from_secs(7))
}

fn invalid() -> Error {
    Error::invalid("prompt", "no")
}

async fn generate(harness: &Harness) -> Result<TokenStream, Error> {
    let (request, context) = request("deepseek-chat");
    harness.router.generate(request, context).await
}

/// Asserts that `stream` is one whole answer.
async fn assert_whole(stream: TokenStream) {
    let events: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert!(
        matches!(
            events[..],
            [
                Event::Started { .. },
                Event::Delta(_),
                Event::Finished { .. }
            ]
        ),
        "{events:?}"
    );
}

async fn error_of(answer: Result<TokenStream, Error>) -> Error {
    match answer {
        Ok(stream) => {
            let last = stream.collect::<Vec<_>>().await.pop().unwrap();
            last.unwrap_err()
        }
        Err(error) => error,
    }
}

/// LIFE-6
#[tokio::test]
async fn a_failure_before_the_first_token_is_tried_on_another_worker_unnoticed() {
    for script in [
        Script::Fail(failed),
        Script::Fail(|| Error::new(ErrorCode::Unavailable, "connection reset")),
        Script::Vanish,
        Script::Refuse(failed),
        Script::Refuse(busy),
        Script::Refuse(|| Error::new(ErrorCode::Cancelled, "connection closed")),
    ] {
        let harness = start().await;
        tokio::time::pause();
        let begun = Instant::now();
        let (failing, idle) = (Fake::new(script), Fake::new(Script::Answer));
        harness.add("a", &failing);
        harness.add("b", &idle);
        for _ in 0..4 {
            assert_whole(generate(&harness).await.unwrap()).await;
        }
        assert!(failing.calls() >= 1, "it had its turns");
        assert_eq!(idle.calls(), 4);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn nothing_begins_again_after_the_first_token() {
    let harness = start().await;
    let workers = [(); 2].map(|()| Fake::new(Script::Break(failed)));
    harness.add("a", &workers[0]);
    harness.add("b", &workers[1]);
    let error = error_of(generate(&harness).await).await;
    assert_eq!(error.code, ErrorCode::WorkerFailed);
    assert_eq!(workers[0].calls() + workers[1].calls(), 1);
}

#[tokio::test]
async fn a_request_that_is_at_fault_itself_is_not_tried_again() {
    let harness = start().await;
    let workers = [(); 2].map(|()| Fake::new(Script::Refuse(invalid)));
    harness.add("a", &workers[0]);
    harness.add("b", &workers[1]);
    let error = generate(&harness).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(workers[0].calls() + workers[1].calls(), 1);
}

#[tokio::test]
async fn tries_are_few_however_many_workers_there_are() {
    let harness = start().await;
    let workers: Vec<Arc<Fake>> = (0..6).map(|_| Fake::new(Script::Fail(failed))).collect();
    for (i, worker) in workers.iter().enumerate() {
        harness.add(&format!("worker-{i}"), worker);
    }
    let error = error_of(generate(&harness).await).await;
    assert_eq!(error.code, ErrorCode::WorkerFailed);
    let calls: usize = workers.iter().map(|worker| worker.calls()).sum();
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn the_only_worker_is_asked_again_after_growing_pauses() {
    let harness = start().await;
    tokio::time::pause();
    let begun = Instant::now();
    let failing = Fake::new(Script::Fail(failed));
    harness.add("a", &failing);
    let error = error_of(generate(&harness).await).await;
    assert_eq!(error.code, ErrorCode::WorkerFailed);
    assert_eq!(failing.calls(), 3);
    let pauses = begun.elapsed().as_secs_f32();
    assert!((1.5..=3.1).contains(&pauses), "{pauses}");
}

#[tokio::test]
async fn busy_everywhere_is_the_answer_at_once_with_its_hint() {
    let harness = start().await;
    tokio::time::pause();
    let begun = Instant::now();
    harness.add("a", &Fake::new(Script::Refuse(busy)));
    let error = generate(&harness).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::Overloaded);
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// The place of a worker that died is taken by the one that is started in its stead.
#[tokio::test]
async fn a_worker_that_comes_up_serves_those_who_wait_at_once() {
    let harness = start().await;
    tokio::time::pause();
    harness.add("a", &Fake::new(Script::Fail(failed)));
    let stream = generate(&harness).await.unwrap();
    let mut whole = Box::pin(assert_whole(stream));
    assert!(whole.as_mut().now_or_never().is_none());
    harness.router.deregister(&"a".into(), 1).await.unwrap();
    harness.add("b", &Fake::new(Script::Answer));
    let begun = Instant::now();
    whole.await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_request_that_comes_while_no_worker_is_up_waits_for_one() {
    let harness = start().await;
    tokio::time::pause();
    let mut waiting = Box::pin(generate(&harness));
    assert!(waiting.as_mut().now_or_never().is_none());
    harness.add("a", &Fake::new(Script::Answer));
    assert_whole(waiting.await.unwrap()).await;
}

#[tokio::test]
async fn nobody_waits_for_a_try_that_the_deadline_forbids() {
    let harness = start().await;
    tokio::time::pause();
    let failing = Fake::new(Script::Fail(failed));
    harness.add("a", &failing);
    let begun = Instant::now();
    let (request, context) = request("deepseek-chat");
    let context = RequestContext {
        deadline: Some(begun + Duration::from_millis(100)),
        ..context
    };
    let error = error_of(harness.router.generate(request, context).await).await;
    assert_eq!(error.code, ErrorCode::WorkerFailed);
    assert_eq!((failing.calls(), begun.elapsed()), (1, Duration::ZERO));
}

#[tokio::test]
async fn vectors_are_tried_for_in_the_same_way() {
    let harness = start().await;
    let (failing, idle) = (Fake::new(Script::Refuse(failed)), Fake::new(Script::Answer));
    harness.add("a", &failing);
    harness.add("b", &idle);
    for _ in 0..2 {
        let request = EmbedRequest {
            model: "deepseek-chat".into(),
            inputs: vec![EmbedInput::Text("hello".to_owned())],
            dimensions: None,
            extra: None,
        };
        let context = RequestContext {
            request_id: RequestId::generate(),
            tenant: "tenant".into(),
            user: "user".into(),
            deadline: None,
        };
        let embeddings = harness.router.embed(request, context).await.unwrap();
        assert_eq!(embeddings.vectors, [[1.0]]);
    }
    assert!(failing.calls() >= 1, "it had its turn");
    assert_eq!(idle.calls(), 2);
}

#[tokio::test]
async fn a_count_is_tried_for_in_the_same_way() {
    let harness = start().await;
    let (failing, idle) = (Fake::new(Script::Refuse(failed)), Fake::new(Script::Answer));
    harness.add("a", &failing);
    harness.add("b", &idle);
    for _ in 0..2 {
        let (request, context) = request("deepseek-chat");
        assert_eq!(
            harness.router.count_tokens(request, context).await.unwrap(),
            2
        );
    }
    assert!(failing.calls() >= 1, "it had its turn");
    assert_eq!(idle.calls(), 2);
    let (unknown, context) = request("unknown");
    let error = harness
        .router
        .count_tokens(unknown, context)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelNotFound);
}

/// CB-4
#[tokio::test]
async fn when_every_worker_fails_the_answer_is_fast_and_says_when() {
    let harness = start().await;
    tokio::time::pause();
    let workers = ["a", "b", "c"].map(|worker| {
        let failing = Fake::new(Script::Fail(failed));
        harness.add(worker, &failing);
        failing
    });
    let calls = || workers.iter().map(|worker| worker.calls()).sum::<usize>();
    let mut error = error_of(generate(&harness).await).await;
    while error.code != ErrorCode::Unavailable {
        error = error_of(generate(&harness).await).await;
        assert!(calls() < 1_000, "it ends");
    }
    let (asked, begun) = (calls(), std::time::Instant::now());
    let paused = Instant::now();
    let error = generate(&harness).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error
            .retry_after
            .is_some_and(|after| after <= Duration::from_secs(1))
    );
    assert_eq!((calls(), paused.elapsed()), (asked, Duration::ZERO));
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(20), "{took:?}");
}

/// OVER-5
#[tokio::test]
async fn a_storm_of_failures_is_not_made_worse() {
    const RATE: u32 = 200;
    const SECONDS: u32 = 30;
    for code in [ErrorCode::Overloaded, ErrorCode::Unavailable] {
        let harness = start().await;
        tokio::time::pause();
        let refuse = match code {
            ErrorCode::Overloaded => Script::Refuse(|| Error::new(ErrorCode::Overloaded, "full")),
            _ => Script::Refuse(|| Error::new(ErrorCode::Unavailable, "away")),
        };
        let refusing = Fake::new(refuse);
        for worker in ["a", "b", "c"] {
            harness.add(worker, &refusing);
        }
        let mut requests = tokio::task::JoinSet::new();
        let mut arrivals = tokio::time::interval(Duration::from_secs(1) / RATE);
        for _ in 0..RATE * SECONDS {
            arrivals.tick().await;
            let router = harness.router.clone();
            requests.spawn(async move {
                let (request, context) = request("deepseek-chat");
                error_of(router.generate(request, context).await).await.code
            });
        }
        while let Some(told) = requests.join_next().await {
            assert_eq!(told.unwrap(), code);
        }
        let all = f64::from(RATE * SECONDS);
        let bound = 1.2 * all + 10.0 * f64::from(SECONDS);
        let attempts = refusing.calls() as f64;
        assert!(attempts <= bound, "{code}: {attempts} attempts");
        tokio::time::resume();
    }
}
