//! What only a choice brings about: hedging, fallback and parameters.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fathom_kit::database;
use fathom_proto::ErrorCode;
use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::id::{ModelId, RequestId};
use fathom_proto::inference::{
    Delta, Event, FinishReason, Inference, Piece, Prompt, Route, Sampling, TokenIds, Usage,
};
use fathom_proto::models::{Deploy, Guard, ModelPatch};
use fathom_proto::registry::{Announcement, ServedModel};
use fathom_test_database::TestDatabase;
use futures::StreamExt;
use tokio::time::sleep;

use super::*;
use crate::choice::Choice;
use crate::connection::over_grpc;

/// A worker that begins after the next of these pauses, or at once.
#[derive(Default)]
struct Paced {
    pauses: Arc<Mutex<Vec<Duration>>>,
    requests: Mutex<Vec<GenerateRequest>>,
    running: Arc<()>,
    /// It dies in place of its first token.
    dies: Arc<AtomicBool>,
}

impl Paced {
    fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn running(&self) -> usize {
        Arc::strong_count(&self.running) - 1
    }
}

#[tonic::async_trait]
impl Inference for Paced {
    async fn generate(
        &self,
        request: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, PublicError> {
        self.requests.lock().unwrap().push(request);
        let counted = self.running.clone();
        let pause = self.pauses.lock().unwrap().pop().unwrap_or_default();
        let started = Event::Started {
            prompt_tokens: 2,
            cached_tokens: 0,
            fingerprint: None,
            route: None,
        };
        let delta = Event::Delta(Delta {
            piece: Piece::Text("hello".to_owned()),
            tokens: 1,
            logprobs: Vec::new(),
            ids: TokenIds::from_slice(&[1]),
        });
        let finished = Event::Finished {
            reason: FinishReason::Stop,
            usage: Usage::default(),
        };
        let begin = async move {
            sleep(pause).await;
            let _counted = counted;
            Ok(delta)
        };
        let events = stream::iter([Ok(started)]).chain(stream::once(begin));
        if self.dies.load(Ordering::Relaxed) {
            let silence = stream::once(sleep(pause)).filter_map(async |()| None);
            return Ok(Box::pin(events.take(1).chain(silence)));
        }
        Ok(Box::pin(events.chain(stream::iter([Ok(finished)]))))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, PublicError> {
        Err(PublicError::new(ErrorCode::InvalidRequest, "no vectors"))
    }
}

struct Harness {
    dispatch: Arc<Dispatch>,
    /// Of the next attempts, on whichever worker.
    pauses: Arc<Mutex<Vec<Duration>>>,
    dies: Arc<AtomicBool>,
    _database: TestDatabase,
}

impl Harness {
    async fn start() -> Self {
        let database = TestDatabase::sqlite();
        let pool = database::connect(&database.url).await.unwrap();
        let models = Arc::new(Models::load(pool).await.unwrap());
        let config = Config::default();
        let workers = Arc::new(Workers::new(&config, Box::new(over_grpc)));
        let dispatch = Dispatch::new(&models, &workers, &config);
        tokio::time::pause();
        Self {
            dispatch,
            pauses: Arc::default(),
            dies: Arc::default(),
            _database: database,
        }
    }

    fn add(&self, model: &str, worker: &str) -> Arc<Paced> {
        let inference = Arc::new(Paced {
            pauses: self.pauses.clone(),
            dies: self.dies.clone(),
            ..Paced::default()
        });
        let deployment = Deployment {
            backend: "sim".into(),
            weights: "words".into(),
            context_length: 8192,
        };
        let announcement = Announcement {
            worker: worker.into(),
            endpoint: "unix:none".into(),
            zone: None,
            version: "1".into(),
            incarnation: 0,
            models: vec![ServedModel {
                model: model.into(),
                deployment,
                load: EngineLoad::default(),
            }],
        };
        let workers = &self.dispatch.workers;
        workers
            .register_local(announcement, inference.clone())
            .unwrap();
        inference
    }

    async fn generate(&self, choice: Choice) -> Result<Vec<Event>, PublicError> {
        let target = self.dispatch.targets.get(&choice.target);
        let mut request = GenerateRequest::new("asked".into(), Prompt::Text("hello".to_owned()));
        request.sampling.top_k = Some(7);
        let context = RequestContext {
            request_id: RequestId::generate(),
            tenant: "tenant".into(),
            user: "user".into(),
            deadline: None,
        };
        let observation = Observation::new(&self.dispatch.models, choice);
        let mut generation = Generation::new(&self.dispatch, request, context, target, observation);
        let mut events = vec![generation.first().await?];
        while let Some(event) = generation.next().await {
            events.push(event?);
        }
        Ok(events)
    }
}

fn choice(target: &str) -> Choice {
    let target = ModelId::from(target);
    Choice {
        route: Route {
            model: target.clone(),
            version: Some(3),
            config_version: 5,
            experiment: None,
        },
        target,
        context_length: 4096,
        parameters: Sampling::default(),
        fallback: None,
        hedging: false,
    }
}

fn route(events: &[Event]) -> &Route {
    match events {
        [
            Event::Started {
                route: Some(route), ..
            },
            Event::Delta(_),
            Event::Finished { .. },
        ] => route,
        _ => panic!("{events:?}"),
    }
}

#[tokio::test]
async fn a_worker_is_asked_for_its_own_name_with_the_parameters_of_the_version() {
    let harness = Harness::start().await;
    let worker = harness.add("chat-v3", "a");
    let parameters = Sampling {
        temperature: Some(0.5),
        top_k: Some(40),
        ..Sampling::default()
    };
    let choice = Choice {
        parameters,
        ..choice("chat-v3")
    };
    let events = harness.generate(choice).await.unwrap();
    assert_eq!(route(&events).version, Some(3));
    let request = worker.requests.lock().unwrap().pop().unwrap();
    assert_eq!(request.model.as_str(), "chat-v3");
    assert_eq!(request.context_length, Some(4096));
    assert_eq!(request.sampling.temperature, Some(0.5));
    assert_eq!(request.sampling.top_k, Some(7), "what is asked for stays");
}

#[tokio::test]
async fn the_fallback_answers_when_no_worker_can_and_says_so() {
    let harness = Harness::start().await;
    let worker = harness.add("deepseek-code", "a");
    let choice = Choice {
        fallback: Some("deepseek-code".into()),
        ..choice("deepseek-chat")
    };
    let events = harness.generate(choice).await.unwrap();
    assert_eq!(route(&events).model.as_str(), "deepseek-code");
    let request = worker.requests.lock().unwrap().pop().unwrap();
    assert_eq!(request.model.as_str(), "deepseek-code");
}

#[tokio::test]
async fn a_fallback_that_is_out_too_is_the_end() {
    let harness = Harness::start().await;
    for fallback in ["deepseek-code", "deepseek-chat", "unknown"] {
        let choice = Choice {
            fallback: Some(fallback.into()),
            ..choice("deepseek-chat")
        };
        let error = harness.generate(choice).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{fallback}");
        assert!(error.retry_after.is_some());
    }
}

const SLOW: Duration = Duration::from_secs(20);

fn hedged() -> Choice {
    Choice {
        hedging: true,
        ..choice("deepseek-chat")
    }
}

#[tokio::test]
async fn a_slow_attempt_gets_company_and_the_first_token_decides() {
    let harness = Harness::start().await;
    let workers = ["a", "b"].map(|worker| harness.add("deepseek-chat", worker));
    let calls = || workers[0].calls() + workers[1].calls();
    let run = async |pauses: &[Duration], choice: Choice| {
        *harness.pauses.lock().unwrap() = pauses.to_vec();
        let (begun, before) = (Instant::now(), calls());
        route(&harness.generate(choice).await.unwrap());
        for worker in &workers {
            assert_eq!(worker.running(), 0, "the loser is cancelled");
        }
        (begun.elapsed(), calls() - before)
    };
    let (took, attempts) = run(&[SLOW], hedged()).await;
    assert_eq!((took >= SLOW, attempts), (true, 1), "too little is known");
    for _ in 0..40 {
        assert_eq!(run(&[], hedged()).await.1, 1);
    }
    // The last one is the first.
    let (took, attempts) = run(&[Duration::ZERO, SLOW], hedged()).await;
    assert!(took < Duration::from_millis(10), "{took:?}");
    assert_eq!(attempts, 2);
    let (took, attempts) = run(&[SLOW, SLOW / 2], hedged()).await;
    assert!(took >= SLOW / 2 && took < SLOW, "{took:?}");
    assert_eq!(attempts, 2, "the first one was slower");
    for _ in 0..40 {
        assert_eq!(run(&[], hedged()).await.1, 1);
    }
    let (took, attempts) = run(&[SLOW], choice("deepseek-chat")).await;
    assert_eq!(
        (took >= SLOW, attempts),
        (true, 1),
        "the model is not hedged"
    );
}

/// Each of two may have died of the request, as each of one after the other: there is no third.
#[tokio::test]
async fn a_request_that_two_workers_died_of_at_a_time_meets_no_third() {
    let harness = Harness::start().await;
    let workers = ["a", "b", "c", "d"].map(|worker| harness.add("deepseek-chat", worker));
    let calls = || workers.iter().map(|worker| worker.calls()).sum::<usize>();
    for _ in 0..40 {
        harness.generate(hedged()).await.unwrap();
    }
    harness.dies.store(true, Ordering::Relaxed);
    *harness.pauses.lock().unwrap() = vec![SLOW; 8];
    let error = harness.generate(hedged()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::WorkerFailed);
    assert_eq!(calls(), 42);
}

/// A fallback hides an outage from callers, and must not hide it from the guard of a trial.
#[tokio::test]
async fn a_canary_without_workers_fails_though_the_fallback_answers() {
    let harness = Harness::start().await;
    tokio::time::resume();
    let models = &harness.dispatch.models;
    let (chat, code) = (
        ModelId::from("deepseek-chat"),
        ModelId::from("deepseek-code"),
    );
    let patch = ModelPatch {
        fallback: Some(Some(code.clone())),
        hedging: None,
    };
    models.store().update("ada", &chat, patch).await.unwrap();
    let deploy = Deploy {
        target: Some("nobody".into()),
        percent: 50,
        guard: Some(Guard {
            min_requests: 20,
            ..Guard::default()
        }),
        ..Deploy::default()
    };
    models.store().deploy("ada", &chat, deploy).await.unwrap();
    models.refresh().await;
    for (worker, model) in [("a", "deepseek-chat"), ("b", "deepseek-code")] {
        harness.add(model, worker);
    }
    tokio::time::pause();
    let mut fallbacks = 0;
    for user in 0..200 {
        let request = GenerateRequest::new(chat.clone(), Prompt::Text("hello".to_owned()));
        let context = RequestContext {
            request_id: RequestId::generate(),
            tenant: "tenant".into(),
            user: format!("user-{user}").as_str().into(),
            deadline: None,
        };
        let stream = harness.dispatch.generate(request, context).await.unwrap();
        let events: Vec<_> = stream.map(Result::unwrap).collect().await;
        fallbacks += usize::from(route(&events).model == code);
    }
    assert!((60..140).contains(&fallbacks), "{fallbacks}");
    tokio::time::resume();
    models.end_bad_trials().await;
    let model = models.store().model(&chat).await.unwrap();
    assert_eq!(model.state.canary, None);
}

#[tokio::test]
async fn one_worker_is_not_asked_twice_at_a_time() {
    let harness = Harness::start().await;
    let worker = harness.add("deepseek-chat", "a");
    for _ in 0..40 {
        harness.generate(hedged()).await.unwrap();
    }
    harness.pauses.lock().unwrap().push(SLOW);
    harness.generate(hedged()).await.unwrap();
    assert_eq!(worker.calls(), 41);
}

#[tokio::test]
async fn second_attempts_are_one_for_twenty_requests_at_most() {
    let harness = Harness::start().await;
    let workers = ["a", "b"].map(|worker| harness.add("deepseek-chat", worker));
    let (fast, slow) = (100, 10);
    for _ in 0..fast {
        harness.generate(hedged()).await.unwrap();
    }
    for _ in 0..slow {
        *harness.pauses.lock().unwrap() = vec![Duration::from_millis(500)];
        route(&harness.generate(hedged()).await.unwrap());
    }
    let calls = workers[0].calls() + workers[1].calls();
    assert_eq!(calls, fast + slow + (fast + slow) / 20);
}
