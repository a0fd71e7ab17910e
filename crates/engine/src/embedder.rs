//! Texts to vectors, on a thread of its own.

mod batch;
mod error;
mod steps;
mod turns;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::load::LoadCounts;
use crate::{LoadError, PromptError, Token, Weights};
use batch::Llama;
pub use error::EmbedError;
use steps::{Steps, Vectorizer};
use turns::Task;

/// Turns texts into vectors with weights that are made for it.
///
/// One request is computed at a time, a step of up to 32 texts; then it is the
/// next partition's turn. Dropping it ends all requests with
/// [`EmbedError::Stopped`] and waits for the step that is made.
pub struct Embedder {
    weights: Weights,
    options: EmbedderOptions,
    load: LoadCounts,
    /// Present until dropped.
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// Requests between a caller and the thread, which takes all of them before
/// each step.
const TASKS: usize = 1024;

/// How an embedder works.
#[derive(Debug, Clone)]
pub struct EmbedderOptions {
    /// Most tokens of one text, and of the texts that are computed at once.
    pub context_length: u32,
    /// Threads that llama.cpp computes with.
    pub threads: NonZeroUsize,
    /// Requests that may wait beside one that runs; further ones are refused.
    pub max_waiting: usize,
    /// How long a request may wait for its first turn before it is refused.
    pub max_wait: Duration,
}

/// A text to turn into a vector.
///
/// It has no `Debug`, which would carry the text into log lines.
#[derive(Clone)]
pub enum EmbedText {
    /// As text; tokens that the model wants around it are added.
    Text(String),
    /// As tokens, taken as they are.
    Tokens(Vec<Token>),
}

/// Texts that become vectors. Dropping it cancels what has not begun.
pub struct Embedding {
    /// Absent once that is known.
    started: Option<oneshot::Receiver<()>>,
    vectors: oneshot::Receiver<Result<Vec<Vec<f32>>, EmbedError>>,
    dimensions: usize,
    tokens: u32,
}

impl Embedding {
    /// Waits until the first of the texts have their turn.
    ///
    /// # Errors
    ///
    /// [`EmbedError::Expired`] or [`EmbedError::Stopped`].
    pub async fn started(mut self) -> Result<Self, EmbedError> {
        if let Some(started) = self.started.take()
            && started.await.is_err()
        {
            let outcome = self.vectors.await;
            return Err(outcome.map_or(EmbedError::Stopped, |vectors| {
                vectors.err().unwrap_or(EmbedError::Internal)
            }));
        }
        Ok(self)
    }

    /// Waits for the vectors.
    ///
    /// # Errors
    ///
    /// An [`EmbedError`] of the wait or the computation.
    pub async fn vectors(self) -> Result<Vectors, EmbedError> {
        let mut vectors = self.vectors.await.map_err(|_| EmbedError::Stopped)??;
        for vector in &mut vectors {
            vector.truncate(self.dimensions);
            normalize(vector);
        }
        Ok(Vectors {
            vectors,
            tokens: self.tokens,
        })
    }
}

/// What texts came to.
///
/// It has no `Debug`: a vector tells much of its text.
#[derive(Clone, PartialEq)]
pub struct Vectors {
    /// One of length 1 for each text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub tokens: u32,
}

impl Embedder {
    /// Starts the thread and waits until it is ready.
    ///
    /// # Errors
    ///
    /// A [`LoadError`]: the weights generate text, the context length is out of
    /// range, or llama.cpp or the operating system lacks resources.
    pub fn start(weights: Weights, options: EmbedderOptions) -> Result<Self, LoadError> {
        let info = weights.info();
        if info.pooling.is_none() {
            return Err(LoadError::NoEmbeddings);
        }
        if !(1..=info.context_length).contains(&options.context_length) {
            return Err(LoadError::ContextLength {
                requested: options.context_length,
                trained: info.context_length,
            });
        }
        let (tasks, queue) = mpsc::sync_channel(TASKS);
        let (ready, readiness) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("fathom-embedder".into())
            .spawn({
                let (weights, options) = (weights.clone(), options.clone());
                move || {
                    let llama = Llama {
                        weights: &weights,
                        options: &options,
                    };
                    let opened = llama.open().map(|context| {
                        let _ = ready.send(Ok(()));
                        Steps::new(llama, context, options.max_wait).run(&queue);
                    });
                    if let Err(error) = opened {
                        let _ = ready.send(Err(error));
                    }
                }
            })?;
        readiness.recv().map_err(|_| LoadError::Interrupted)??;
        Ok(Self {
            weights: weights.for_context(options.context_length),
            load: LoadCounts::new(1, options.max_waiting, 0),
            options,
            tasks: Some(tasks),
            thread: Some(thread),
        })
    }

    /// Hands `texts` to the thread, to become vectors of `dimensions` numbers,
    /// or as many as the model has. Fewer are the first of the model's own,
    /// brought to length 1 again: of use for models that are trained for it.
    /// Partitions take turns.
    ///
    /// Blocks for milliseconds when texts are long, as they are tokenized.
    ///
    /// # Errors
    ///
    /// An [`EmbedError`]: what is wrong with the texts, or too many requests
    /// wait already.
    pub fn submit(
        &self,
        partition: &str,
        texts: &[EmbedText],
        dimensions: Option<u32>,
    ) -> Result<Embedding, EmbedError> {
        let length = self.weights.info().embedding_length;
        let wanted = dimensions.unwrap_or(length);
        if !(1..=length).contains(&wanted) {
            return Err(EmbedError::Dimensions { wanted, length });
        }
        let texts = self.tokens(texts)?;
        let tokens = texts.iter().map(Vec::len).sum::<usize>();
        let tasks = self.tasks.as_ref().ok_or(EmbedError::Stopped)?;
        let seat = self.load.seat().ok_or(EmbedError::Busy)?;
        let (begin, started) = oneshot::channel();
        let (answer, vectors) = oneshot::channel();
        let task = Task {
            partition: Arc::from(partition),
            vectors: Vec::with_capacity(texts.len()),
            texts,
            submitted: Instant::now(),
            started: Some(begin),
            answer,
            seat,
        };
        tasks.try_send(task).map_err(|error| match error {
            TrySendError::Full(_) => EmbedError::Busy,
            TrySendError::Disconnected(_) => EmbedError::Stopped,
        })?;
        Ok(Embedding {
            started: Some(started),
            vectors,
            dimensions: wanted as usize,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
        })
    }

    /// The tokens of `texts`, with those that the model wants around them.
    fn tokens(&self, texts: &[EmbedText]) -> Result<Vec<Vec<Token>>, EmbedError> {
        let vocabulary = 0..self.weights.vocab().n_tokens();
        let limit = self.options.context_length;
        let encode = |text: &str| {
            self.weights.check_length(text.len())?;
            self.weights.encode(text, true, false)
        };
        let tokens = |(text, index): (&EmbedText, usize)| {
            let tokens = match text {
                EmbedText::Text(text) => encode(text).map_err(|error| match error {
                    PromptError::TooLong { .. } => EmbedError::TooLong { text: index, limit },
                    PromptError::Unbroken { limit } => EmbedError::Unbroken { text: index, limit },
                    error => {
                        tracing::error!(%error, "a text cannot be tokenized");
                        EmbedError::Internal
                    }
                })?,
                EmbedText::Tokens(tokens) => tokens.clone(),
            };
            if tokens.is_empty() {
                return Err(EmbedError::Empty { text: index });
            }
            if tokens.len() > limit as usize {
                return Err(EmbedError::TooLong { text: index, limit });
            }
            if !tokens.iter().all(|token| vocabulary.contains(&token.0)) {
                return Err(EmbedError::UnknownToken { text: index });
            }
            Ok(tokens)
        };
        texts.iter().zip(0..).map(tokens).collect()
    }
}

impl Drop for Embedder {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is in its log line already.
            let _ = thread.join();
        }
    }
}

/// Brings `vector` to length 1, unless it has none.
fn normalize(vector: &mut [f32]) {
    let length = vector
        .iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
}
