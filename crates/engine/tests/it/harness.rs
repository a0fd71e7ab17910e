//! The one model and the one engine that all tests share.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use fathom_engine::{
    ChatMessage, Engine, EngineError, EngineOptions, Event, FinishReason, Generation, Job,
    Sampling, Weights,
};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What a finished job came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) reason: FinishReason,
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    /// Tokens that the pieces of text stand for.
    pub(crate) text_tokens: u32,
}

/// The path of the model.
#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where the model is"
)]
pub(crate) fn model_path() -> Result<PathBuf> {
    std::env::var_os("FATHOM_TEST_MODEL")
        .map(PathBuf::from)
        .ok_or_else(|| "FATHOM_TEST_MODEL is not set: run `make test`".into())
}

/// The model, loaded once.
pub(crate) fn weights() -> Result<Weights> {
    static WEIGHTS: LazyLock<std::result::Result<Weights, String>> = LazyLock::new(|| {
        let path = model_path().map_err(|error| error.to_string())?;
        Weights::load(&path).map_err(|error| error.to_string())
    });
    Ok(WEIGHTS.clone()?)
}

/// Options of a small engine.
pub(crate) fn options() -> EngineOptions {
    EngineOptions::new(1024, NonZeroUsize::MIN.saturating_add(1))
}

/// The engine, for one test at a time: engines that compute at once would
/// slow each other down.
pub(crate) async fn engine() -> Result<MutexGuard<'static, Arc<Engine>>> {
    static ENGINE: LazyLock<std::result::Result<Mutex<Arc<Engine>>, String>> =
        LazyLock::new(|| {
            let weights = weights().map_err(|error| error.to_string())?;
            Engine::start(weights, options())
                .map(|engine| Mutex::new(Arc::new(engine)))
                .map_err(|error| error.to_string())
        });
    match &*ENGINE {
        Ok(engine) => Ok(engine.lock().await),
        Err(error) => Err(error.as_str().into()),
    }
}

/// A chat of one message.
pub(crate) fn chat(content: &str) -> Vec<ChatMessage> {
    vec![ChatMessage {
        role: "user".into(),
        content: content.into(),
        name: None,
    }]
}

/// A job at temperature 0.
pub(crate) fn job(content: &str, max_tokens: u32) -> Result<Job> {
    Ok(Job {
        prompt: weights()?.render_chat(&chat(content))?,
        max_tokens,
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        stop: Vec::new(),
    })
}

/// A job whose prompt takes about 700 tokens.
pub(crate) fn long_job(max_tokens: u32) -> Result<Job> {
    let content = "The quick brown fox jumps over the lazy dog near the river bank. ".repeat(44);
    job(&content, max_tokens)
}

/// Runs `job` to its end.
pub(crate) async fn run(engine: &Engine, job: Job) -> Result<Outcome> {
    finish(engine.submit(job)?).await.map_err(Into::into)
}

/// Reads `generation` to its end.
pub(crate) async fn finish(
    mut generation: Generation,
) -> std::result::Result<Outcome, EngineError> {
    let mut text = String::new();
    let mut text_tokens = 0;
    while let Some(event) = generation.next().await {
        match event? {
            Event::Started { .. } => {}
            Event::Text {
                text: piece,
                tokens,
            } => {
                text.push_str(&piece);
                text_tokens += tokens;
            }
            Event::Finished {
                reason,
                prompt_tokens,
                completion_tokens,
            } => {
                assert!(generation.next().await.is_none());
                return Ok(Outcome {
                    text,
                    reason,
                    prompt_tokens,
                    completion_tokens,
                    text_tokens,
                });
            }
        }
    }
    Err(EngineError::Internal)
}
