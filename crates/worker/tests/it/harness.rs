use std::path::Path;
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::inference::{
    ChatMessage, ChatRole, Event, FinishReason, GenerateRequest, Inference, Piece, Prompt,
    RequestContext, Sampling, Usage,
};
use fathom_worker::{Config, EngineConfig, LocalConfig, Worker};
use futures::StreamExt;
use tokio::sync::{Mutex, MutexGuard};

/// A worker with this engine alone.
pub async fn start(engine: EngineConfig) -> (Worker, Shutdown) {
    let shutdown = Shutdown::new(Duration::from_secs(30));
    let config = Config {
        engines: vec![engine],
        ..Config::default()
    };
    let worker = Worker::start(&config, Path::new("unused"), &shutdown)
        .await
        .unwrap();
    (worker, shutdown)
}

/// The right of one test to compute: several models at a time would only slow one another down.
static TURN: Mutex<()> = Mutex::const_new(());

/// A worker whose `deepseek-chat` is the real model, and the turn to use it.
pub async fn start_local() -> (Worker, MutexGuard<'static, ()>) {
    start_local_with(LocalConfig::default()).await
}

/// The same, configured in other ways.
#[expect(
    clippy::disallowed_methods,
    reason = "the path of the model is no configuration"
)]
pub async fn start_local_with(config: LocalConfig) -> (Worker, MutexGuard<'static, ()>) {
    let path = std::env::var_os("FATHOM_TEST_MODEL");
    assert!(
        path.is_some(),
        "FATHOM_TEST_MODEL is not set; run make test, which sets it"
    );
    let serves = vec!["deepseek-chat".to_owned()];
    let path = path.map(Into::into);
    let turn = TURN.lock().await;
    let engine = EngineConfig::Local(LocalConfig {
        serves,
        path,
        ..config
    });
    (start(engine).await.0, turn)
}

pub fn chat(content: &str) -> GenerateRequest {
    let turn = ChatMessage::new(ChatRole::User, content);
    request(Prompt::Chat(vec![turn]))
}

pub fn request(prompt: Prompt) -> GenerateRequest {
    GenerateRequest {
        sampling: Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        },
        ..GenerateRequest::new("deepseek-chat".into(), prompt)
    }
}

pub fn context() -> RequestContext {
    RequestContext {
        request_id: "request".into(),
        tenant: "tenant".into(),
        user: "user".into(),
        deadline: None,
    }
}

/// What came of a request that was answered in full.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub text: String,
    /// Tokens that the deltas stand for.
    pub tokens: u32,
    pub reason: FinishReason,
    pub usage: Usage,
}

pub async fn answer(worker: &Worker, request: GenerateRequest) -> Answer {
    let stream = worker.generate(request, context()).await.unwrap();
    let events: Vec<Event> = stream.map(Result::unwrap).collect().await;
    let end = events.iter().find_map(|event| match event {
        Event::Finished { reason, usage } => Some((reason.clone(), *usage)),
        _ => None,
    });
    let (reason, usage) = end.unwrap();
    let mut answer = Answer {
        text: String::new(),
        tokens: 0,
        reason,
        usage,
    };
    for event in &events {
        if let Event::Delta(delta) = event {
            if let Piece::Text(text) = &delta.piece {
                answer.text.push_str(text);
            }
            answer.tokens += delta.tokens;
        }
    }
    answer
}
