//! The one model and the one engine that all tests share.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fathom_engine::{
    ChatMessage, Engine, EngineError, EngineOptions, Event, FinishReason, Generation, Job,
    Sampling, Token, TokenLogprob, Weights,
};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What a finished job came to.
pub(crate) struct Outcome {
    pub(crate) text: String,
    /// The prompt's own text, if it was asked for.
    pub(crate) echo: String,
    pub(crate) reason: FinishReason,
    pub(crate) prompt_tokens: u32,
    pub(crate) cached_tokens: u32,
    pub(crate) completion_tokens: u32,
    /// Tokens that the pieces of text stand for.
    pub(crate) text_tokens: u32,
    /// These tokens.
    pub(crate) ids: Vec<Token>,
    /// Text of the tokens that the job came with.
    pub(crate) replayed: String,
    /// Of the prompt, if echoed, and of the text.
    pub(crate) logprobs: Vec<TokenLogprob>,
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

/// Options of a small engine. Several threads would wait for each other for long
/// where something else runs too, and no job is to wait too long however slow
/// the machine is.
pub(crate) fn options() -> EngineOptions {
    EngineOptions {
        max_wait: Duration::from_secs(3600),
        // What ends, ends with a step; a busy machine takes long for long ones.
        prefill_chunk: NonZeroUsize::MIN.saturating_add(31),
        ..EngineOptions::new(1024, NonZeroUsize::MIN)
    }
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
    vec![ChatMessage::new("user", content)]
}

/// A job at temperature 0.
pub(crate) fn job(content: &str, max_tokens: u32) -> Result<Job> {
    job_of(weights()?.render_chat(&chat(content), &[])?, max_tokens)
}

/// A job at temperature 0 that continues `prompt`.
pub(crate) fn job_of(prompt: Vec<Token>, max_tokens: u32) -> Result<Job> {
    Ok(Job {
        prompt,
        generated: Vec::new(),
        partition: "tenant".into(),
        max_tokens,
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        stop: Vec::new(),
        logprobs: None,
        echo: false,
        constraint: None,
        visible_controls: Arc::default(),
        held: None,
    })
}

/// A job whose prompt takes about 700 tokens; `topic` makes it one that was
/// not read before.
pub(crate) fn long_job(topic: &str, max_tokens: u32) -> Result<Job> {
    let content = format!("{topic}. ")
        + &"The quick brown fox jumps over the lazy dog near the river bank. ".repeat(44);
    job(&content, max_tokens)
}

/// An engine of its own, for a test that holds the shared one, or wants one
/// that has read nothing yet: it rounds as any other such one.
pub(crate) fn start(options: EngineOptions) -> Result<Engine> {
    Ok(Engine::start(weights()?, options)?)
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
    let mut echo = String::new();
    let mut ids = Vec::new();
    let mut replayed_text = String::new();
    let mut all_logprobs = Vec::new();
    while let Some(event) = generation.next().await {
        match event? {
            Event::Started { replayed, .. } => {
                for event in replayed {
                    if let Event::Text { text, .. } = event {
                        replayed_text.push_str(&text);
                    }
                }
            }
            Event::Text {
                text: piece,
                tokens,
                logprobs,
            } => {
                match tokens.is_empty() {
                    true => echo.push_str(&piece),
                    false => text.push_str(&piece),
                }
                ids.extend(tokens);
                all_logprobs.extend(logprobs);
            }
            Event::Finished {
                reason,
                prompt_tokens,
                cached_tokens,
                completion_tokens,
            } => {
                assert!(generation.next().await.is_none());
                return Ok(Outcome {
                    text,
                    echo,
                    reason,
                    prompt_tokens,
                    cached_tokens,
                    completion_tokens,
                    text_tokens: ids.len() as u32,
                    ids,
                    replayed: replayed_text,
                    logprobs: all_logprobs,
                });
            }
        }
    }
    Err(EngineError::Internal)
}

/// Asserts that two texts of one job differ only by rounding: up to where they
/// part they are the same, and there both tokens are nearly as probable. Both
/// were generated with `logprobs` of a few.
pub(crate) fn assert_same_but_for_rounding(one: &Outcome, other: &Outcome) {
    let parting = one.logprobs.iter().zip(&other.logprobs);
    let Some((one, other)) = parting
        .clone()
        .find(|(one, other)| one.bytes != other.bytes)
    else {
        return;
    };
    let alternative = one.top.iter().find(|token| token.bytes == other.bytes);
    let difference = alternative
        .zip(one.logprob)
        .map(|(token, best)| best - token.logprob);
    assert!(
        difference.is_some_and(|difference| difference < 0.5),
        "the texts part by {difference:?}"
    );
}
