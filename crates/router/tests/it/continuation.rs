//! Going on at another worker after the first token.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::inference::{Event, Inference, Piece, TokenStream};
use fathom_proto::registry::Registry;
use fathom_proto::{Error, ErrorCode};
use fathom_router::{Config, RetryConfig};
use fathom_test_database::TestDatabase;
use futures::StreamExt;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::faulty::{ECHO, End, Faulty, LENGTH, Plan, Uncounted, Worker, whole};
use crate::harness::{Harness, announcement, request, serve_over_grpc, start};

/// What a caller gets: text, and the error that ends it, if one does.
type Answer = (String, Option<Error>);

/// Reads a stream to its end and checks the order of its events.
async fn read(mut stream: TokenStream) -> Result<Answer, TestCaseError> {
    let mut text = String::new();
    let Some(Ok(Event::Started { route, .. })) = stream.next().await else {
        return Err(TestCaseError::fail("it does not begin as it should"));
    };
    let route = route.ok_or_else(|| TestCaseError::fail("no route"))?;
    prop_assert_eq!(route.model.as_str(), "deepseek-chat");
    let mut tokens = 0;
    loop {
        match stream.next().await {
            Some(Ok(Event::Delta(delta))) => {
                prop_assert!(delta.ids.is_empty(), "ids are for the router alone");
                tokens += delta.tokens;
                match delta.piece {
                    Piece::Text(piece) => text.push_str(&piece),
                    _ => return Err(TestCaseError::fail("not text")),
                }
            }
            Some(Ok(Event::Finished { usage, .. })) => {
                prop_assert_eq!((usage.completion_tokens, tokens), (LENGTH, LENGTH));
                prop_assert!(stream.next().await.is_none());
                return Ok((text, None));
            }
            Some(Err(error)) => {
                prop_assert!(stream.next().await.is_none());
                return Ok((text, Some(error)));
            }
            Some(Ok(Event::Started { .. })) => {
                return Err(TestCaseError::fail("it begins twice"));
            }
            None => return Err(TestCaseError::fail("it ends in silence")),
        }
    }
}

async fn answer(harness: &Harness) -> Result<Answer, TestCaseError> {
    let (request, context) = request("deepseek-chat");
    match harness.router.generate(request, context).await {
        Ok(stream) => read(stream).await,
        Err(error) => Ok((String::new(), Some(error))),
    }
}

const LOST: Plan = Plan {
    tokens: 5,
    pieces: 0,
    end: End::Break(ErrorCode::Unavailable),
};

/// LIFE-6
#[tokio::test]
async fn a_worker_that_dies_after_tokens_is_not_noticed() {
    let harness = start().await;
    tokio::time::pause();
    for end in [
        End::Break(ErrorCode::Unavailable),
        End::Break(ErrorCode::Cancelled),
        End::Break(ErrorCode::WorkerFailed),
        End::Break(ErrorCode::ShuttingDown),
        End::Vanish,
    ] {
        let workers = Faulty::start(&harness, &[Plan { end, ..LOST }]);
        let begun = Instant::now();
        let (text, error) = answer(&harness).await.unwrap();
        assert_eq!((text, error.is_none()), (whole(), true));
        assert_eq!(workers.attempts(), [0, 5]);
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(workers.running(), 0);
    }
}

/// LIFE-6
#[tokio::test]
async fn a_process_that_dies_in_the_middle_is_not_noticed() {
    let harness = start().await;
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let silent = Plan {
        end: End::Silence,
        ..LOST
    };
    let workers = Arc::new(Faulty {
        plans: Mutex::new([silent].into()),
        ..Faulty::default()
    });
    let mut processes = Vec::new();
    for name in ["a", "b", "c"] {
        let process = Runtime::new().unwrap();
        let endpoint = {
            let _inside = process.enter();
            serve_over_grpc(&Arc::new(Worker(workers.clone())), &shutdown).to_string()
        };
        let announced = announcement(name, &endpoint, 8192);
        harness.router.register(announced).await.unwrap();
        processes.push(process);
    }
    let (request, context) = request("deepseek-chat");
    let mut stream = harness.router.generate(request, context).await.unwrap();
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        if let Event::Delta(delta) = event.unwrap() {
            let Piece::Text(piece) = delta.piece else {
                panic!("not text");
            };
            text.push_str(&piece);
            // The one that fell silent dies, and one that may be asked next.
            if text.ends_with("t4 ") {
                let serving = |process: &Runtime| process.metrics().num_alive_tasks();
                processes.sort_by_key(serving);
                for process in processes.drain(1..) {
                    process.shutdown_background();
                }
            }
        }
    }
    assert_eq!(text, whole());
    assert_eq!(workers.attempts(), [0, 5]);
    for process in processes {
        process.shutdown_background();
    }
}

/// LIFE-7
#[tokio::test]
async fn a_worker_that_falls_silent_is_left_for_another_one() {
    let harness = start().await;
    tokio::time::pause();
    let limits = Config::default();
    for (plan, limit, attempts) in [
        (End::Deaf, limits.first_token_timeout, vec![0, 0]),
        (End::Silence, limits.token_timeout, vec![0, 5]),
    ] {
        let plan = Plan { end: plan, ..LOST };
        let workers = Faulty::start(&harness, &[plan]);
        let begun = Instant::now();
        let (text, error) = answer(&harness).await.unwrap();
        assert_eq!((text, error.is_none()), (whole(), true));
        assert_eq!(workers.attempts(), attempts);
        let late = begun.elapsed();
        assert!(
            late >= limit && late < limit + Duration::from_millis(500),
            "{late:?}"
        );
        assert_eq!(workers.running(), 0, "the silent one was cancelled");
    }
}

/// A reader that takes its time is no silence of the worker's.
#[tokio::test]
async fn a_slow_reader_moves_no_stream() {
    let harness = start().await;
    tokio::time::pause();
    let workers = Faulty::start(&harness, &[]);
    let (request, context) = request("deepseek-chat");
    let mut stream = harness.router.generate(request, context).await.unwrap();
    while let Some(event) = stream.next().await {
        event.unwrap();
        tokio::time::sleep(Config::default().token_timeout * 2).await;
    }
    assert_eq!(workers.attempts(), [0]);
}

#[tokio::test]
async fn tokens_without_ids_end_in_an_error_and_never_in_silence() {
    let harness = start().await;
    tokio::time::pause();
    let workers = Arc::new(Faulty {
        tells_no_ids: true,
        ..Faulty::default()
    });
    workers.plans.lock().unwrap().push_back(LOST);
    workers.join(&harness);
    let (text, error) = answer(&harness).await.unwrap();
    assert!(whole().starts_with(&text) && !text.is_empty());
    assert_eq!(error.unwrap().code, ErrorCode::WorkerFailed);
    assert_eq!(workers.attempts(), [0]);
}

/// What was given of a token whose id never came is not given twice.
#[tokio::test]
async fn an_echo_and_half_a_token_move_with_the_stream() {
    let harness = start().await;
    tokio::time::pause();
    let lost = |tokens| Plan {
        tokens,
        pieces: 1,
        ..LOST
    };
    let workers = Arc::new(Faulty {
        echoes: true,
        ..Faulty::default()
    });
    workers.plans.lock().unwrap().extend([lost(0), lost(5)]);
    workers.join(&harness);
    let (text, error) = answer(&harness).await.unwrap();
    assert_eq!((text, error.is_none()), (ECHO.to_owned() + &whole(), true));
    assert_eq!(workers.attempts(), [0, 0, 5]);
}

#[tokio::test]
async fn half_a_token_is_told_before_the_error_that_ends_a_stream() {
    let harness = start().await;
    tokio::time::pause();
    let refused = Plan {
        pieces: 1,
        end: End::Break(ErrorCode::PermissionDenied),
        ..LOST
    };
    Faulty::start(&harness, &[refused]);
    let (text, error) = answer(&harness).await.unwrap();
    assert_eq!(text, "t0 t1 t2 t3 t4 t");
    assert_eq!(error.unwrap().code, ErrorCode::PermissionDenied);
}

/// Another server that counts its tokens at the end only streams all the same.
#[tokio::test]
async fn what_an_upstream_says_is_passed_on_at_once() {
    let harness = start().await;
    tokio::time::pause();
    let mut upstream = announcement("upstream", "http://127.0.0.1:1", 8192);
    upstream.models[0].deployment.backend = "upstream".into();
    let worker = Arc::new(Uncounted);
    harness.router.register_local(upstream, worker).unwrap();
    let (request, context) = request("deepseek-chat");
    let begun = Instant::now();
    let mut stream = harness.router.generate(request, context).await.unwrap();
    stream.next().await.unwrap().unwrap();
    for second in 1..=5 {
        let event = stream.next().await.unwrap().unwrap();
        assert!(matches!(event, Event::Delta(_)));
        assert_eq!(begun.elapsed().as_secs(), second);
    }
}

#[tokio::test]
async fn a_stream_moves_only_so_often() {
    let harness = start().await;
    tokio::time::pause();
    let lost = Plan { tokens: 1, ..LOST };
    let workers = Faulty::start(&harness, &[lost; 20]);
    let (_, error) = answer(&harness).await.unwrap();
    assert_eq!(error.unwrap().code, ErrorCode::WorkerFailed);
    assert_eq!(workers.attempts(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_the_end() {
    let harness = start().await;
    tokio::time::pause();
    let end = End::Break(ErrorCode::PermissionDenied);
    let workers = Faulty::start(&harness, &[Plan { end, ..LOST }]);
    let (_, error) = answer(&harness).await.unwrap();
    assert_eq!(error.unwrap().code, ErrorCode::PermissionDenied);
    assert_eq!(workers.attempts(), [0]);
}

/// Whatever fails whenever, the caller gets the very tokens, or their beginning and one error,
/// and nothing is left running.
#[test]
fn a_stream_is_whole_or_ends_in_one_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        retry: RetryConfig {
            budget_per_second: u16::MAX,
            ..RetryConfig::default()
        },
        ..Config::default()
    };
    let harness = runtime.block_on(Harness::with(TestDatabase::sqlite(), &config));
    let codes = prop::sample::select(vec![
        ErrorCode::Unavailable,
        ErrorCode::WorkerFailed,
        ErrorCode::Cancelled,
        ErrorCode::ShuttingDown,
        ErrorCode::Overloaded,
        ErrorCode::Internal,
    ]);
    let end = prop_oneof![
        Just(End::Vanish),
        Just(End::Silence),
        Just(End::Deaf),
        Just(End::Whole),
        codes.clone().prop_map(End::Break),
        codes.prop_map(End::Refuse),
    ];
    let plan = (0..LENGTH + 1, 0..3_usize, end).prop_map(|(tokens, pieces, end)| Plan {
        tokens,
        pieces,
        end,
    });
    let plans = (
        prop::collection::vec(plan, 0..8),
        prop::bool::weighted(0.2),
        any::<bool>(),
    );
    let complete = std::cell::Cell::new(0);
    let runs = Runs {
        cases: 400,
        failure_persistence: None,
        ..Runs::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(runs, rng)
        .run(&plans, |(plans, tells_no_ids, echoes)| {
            runtime.block_on(async {
                tokio::time::pause();
                let workers = Arc::new(Faulty {
                    tells_no_ids,
                    echoes,
                    ..Faulty::default()
                });
                let whole = match echoes {
                    true => ECHO.to_owned() + &whole(),
                    false => whole(),
                };
                workers.plans.lock().unwrap().extend(plans);
                workers.join(&harness);
                let (text, error) = answer(&harness).await?;
                match error {
                    None => {
                        complete.set(complete.get() + 1);
                        prop_assert_eq!(text, whole);
                    }
                    Some(_) => prop_assert!(whole.starts_with(&text), "{}", text),
                }
                prop_assert_eq!(workers.running(), 0);
                tokio::time::resume();
                Ok(())
            })
        })
        .unwrap();
    assert!(complete.get() > 100, "{}", complete.get());
}
