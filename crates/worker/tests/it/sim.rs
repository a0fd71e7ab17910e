use std::path::Path;
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::ErrorCode;
use fathom_proto::engines::{EngineLoad, Engines, LoadEngine};
use fathom_proto::inference::{EmbedInput, EmbedRequest, Event, Inference, RequestContext};
use fathom_worker::{Config, EngineConfig, Error, SimConfig, SimFault, SimFaultKind, Worker};
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
async fn tokens_are_counted_without_a_generation() {
    let (worker, _shutdown) = start(sim(Duration::ZERO)).await;
    let counted = worker.count_tokens(chat("hello"), context()).await;
    let answered = answer(&worker, chat("hello")).await.usage.prompt_tokens;
    assert_eq!(counted.unwrap(), answered);
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

/// What an engine's panic does to its request, it does to no other.
#[tokio::test]
async fn a_panic_of_an_engine_fails_its_own_request_alone() {
    for after in [0, 3] {
        let panics = SimFault {
            after,
            every: 2.try_into().unwrap(),
            ..SimFault::new(SimFaultKind::Panic)
        };
        let (worker, _shutdown) = start(EngineConfig::Sim(SimConfig {
            serves: vec!["deepseek-chat".to_owned()],
            faults: vec![panics],
            embedding_dimensions: 4.try_into().ok(),
            ..SimConfig::default()
        }))
        .await;
        for _ in 0..2 {
            assert_eq!(answer(&worker, chat("hello")).await.tokens, 32);
            let stream = worker.generate(chat("hello"), context()).await.unwrap();
            let mut events: Vec<_> = stream.collect().await;
            let error = events.pop().unwrap().unwrap_err();
            assert_eq!(error.code, ErrorCode::WorkerFailed);
            assert_eq!(events.len(), 1 + after as usize);
            assert_eq!(worker.load().running, 0);
        }
        let embed = EmbedRequest {
            model: "deepseek-chat".into(),
            inputs: vec![EmbedInput::Text("hello".to_owned())],
            dimensions: None,
            extra: None,
        };
        worker.embed(embed.clone(), context()).await.unwrap();
        let error = worker.embed(embed, context()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::WorkerFailed);
        assert_eq!(worker.load().running, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_swap_drops_no_running_generation_and_new_ones_meet_the_new_engine() {
    let (worker, shutdown) = start(sim(Duration::from_millis(10))).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = worker.generate(chat("hello"), context()).await.unwrap();
        stream.next().await.unwrap().unwrap();
        stream.next().await.unwrap().unwrap();
        streams.push(stream);
    }
    let before = answer(&worker, chat("hello")).await;
    let swapped = EngineConfig::Sim(SimConfig {
        serves: vec!["deepseek-chat".to_owned(), "more".to_owned()],
        tokens: 5,
        ..SimConfig::default()
    });
    let status = worker.serve(swapped).await.unwrap();
    assert_eq!(status.serves, ["deepseek-chat".into(), "more".into()]);
    assert_eq!(worker.list().await.unwrap(), [status]);
    let after = answer(&worker, chat("hello")).await;
    assert_eq!((before.tokens, after.tokens), (32, 5));
    for stream in streams {
        let rest: Vec<Event> = stream.map(Result::unwrap).collect().await;
        assert_eq!(rest.len(), 32, "the other words and the end");
    }
    // Draining waits for the engine that is not needed any more.
    shutdown.drain().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_keeps_the_names_that_no_other_takes() {
    let named = |names: &[&str], tokens| {
        EngineConfig::Sim(SimConfig {
            serves: names.iter().map(|name| (*name).to_owned()).collect(),
            tokens,
            ..SimConfig::default()
        })
    };
    let (worker, _shutdown) = start(named(&["a", "b"], 1)).await;
    worker.serve(named(&["b", "c"], 2)).await.unwrap();
    let served: Vec<_> = worker.list().await.unwrap();
    let names: Vec<Vec<&str>> = served
        .iter()
        .map(|engine| engine.serves.iter().map(|name| name.as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["a"], vec!["b", "c"]]);
    let models = worker.models();
    let names: Vec<_> = models.iter().map(|served| served.model.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_unloaded_runs_to_its_end_and_is_not_found_by_others() {
    let (worker, _shutdown) = start(sim(Duration::from_millis(10))).await;
    let running = worker.generate(chat("hello"), context()).await.unwrap();
    let model = "deepseek-chat".into();
    worker.unload(&model).await.unwrap();
    let error = worker.generate(chat("hello"), context()).await.err();
    assert_eq!(error.unwrap().code, ErrorCode::ModelNotFound);
    let error = worker.unload(&model).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelNotFound);
    assert_eq!(
        (worker.list().await.unwrap(), worker.load()),
        (vec![], EngineLoad::default())
    );
    assert_eq!(running.map(Result::unwrap).count().await, 34);
}

#[tokio::test]
async fn what_cannot_be_loaded_changes_nothing_and_is_told_by_its_field() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("models")).unwrap();
    std::fs::write(home.path().join("models/broken.gguf"), "no weights").unwrap();
    let shutdown = Shutdown::new(Duration::ZERO);
    let config = Config {
        engines: vec![sim(Duration::ZERO)],
        ..Config::default()
    };
    let worker = Worker::start(&config, home.path(), &shutdown)
        .await
        .unwrap();
    let request = |file: &str, names: &[&str], slots| LoadEngine {
        file: file.to_owned(),
        serves: names.iter().map(|name| (*name).into()).collect(),
        context_length: None,
        slots,
    };
    for (request, param) in [
        (request("broken.gguf", &["deepseek-chat"], None), "file"),
        (request("../broken.gguf", &["deepseek-chat"], None), "file"),
        (request("broken.gguf", &["a", "a"], None), "serves"),
        (request("broken.gguf", &[""], None), "serves"),
        (request("broken.gguf", &["a"], Some(0)), "slots"),
    ] {
        let error = Engines::load(&worker, request).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
        assert_eq!(error.param.as_deref(), Some(param), "{error}");
    }
    assert_eq!(answer(&worker, chat("hello")).await.tokens, 32);
}
