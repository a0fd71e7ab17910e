//! Texts to vectors, on a thread of its own.

mod batch;
mod error;

use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::{LoadError, PromptError, Token, Weights};
use batch::Vectorizer;
pub use error::EmbedError;

/// Turns texts into vectors with weights that are made for it.
///
/// Requests are served one after the other. Dropping it waits for the one that
/// runs.
pub struct Embedder {
    weights: Weights,
    options: EmbedderOptions,
    /// Present until dropped.
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// How an embedder works.
#[derive(Debug, Clone)]
pub struct EmbedderOptions {
    /// Most tokens of one text, and of the texts that are computed at once.
    pub context_length: u32,
    /// Threads that llama.cpp computes with.
    pub threads: NonZeroUsize,
    /// Requests that may wait; further ones are refused.
    pub max_waiting: usize,
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
    vectors: oneshot::Receiver<Result<Vec<Vec<f32>>, EmbedError>>,
    dimensions: usize,
    tokens: u32,
}

impl Embedding {
    /// Waits for the vectors.
    ///
    /// # Errors
    ///
    /// An [`EmbedError`] of the computation.
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

struct Task {
    texts: Vec<Vec<Token>>,
    answer: oneshot::Sender<Result<Vec<Vec<f32>>, EmbedError>>,
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
        let (tasks, queue) = mpsc::sync_channel(options.max_waiting);
        let (ready, readiness) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("fathom-embedder".into())
            .spawn({
                let (weights, options) = (weights.clone(), options.clone());
                move || match Vectorizer::open(&weights, &options) {
                    Ok(vectorizer) => {
                        let _ = ready.send(Ok(()));
                        serve(vectorizer, &queue);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            })?;
        readiness.recv().map_err(|_| LoadError::Interrupted)??;
        Ok(Self {
            weights: weights.for_context(options.context_length),
            options,
            tasks: Some(tasks),
            thread: Some(thread),
        })
    }

    /// Hands `texts` to the thread, to become vectors of `dimensions` numbers,
    /// or as many as the model has. Fewer are the first of the model's own,
    /// brought to length 1 again: of use for models that are trained for it.
    ///
    /// Blocks for milliseconds when texts are long, as they are tokenized.
    ///
    /// # Errors
    ///
    /// An [`EmbedError`]: what is wrong with the texts, or too many requests
    /// wait already.
    pub fn submit(
        &self,
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
        let (answer, vectors) = oneshot::channel();
        let tasks = self.tasks.as_ref().ok_or(EmbedError::Stopped)?;
        tasks
            .try_send(Task { texts, answer })
            .map_err(|error| match error {
                TrySendError::Full(_) => EmbedError::Busy,
                TrySendError::Disconnected(_) => EmbedError::Stopped,
            })?;
        Ok(Embedding {
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

fn serve(mut vectorizer: Vectorizer<'_>, queue: &Receiver<Task>) {
    while let Ok(Task { texts, answer }) = queue.recv() {
        let vectors = vectorizer.vectors(&texts, &|| answer.is_closed());
        // Nobody is to be told when the receiver is gone.
        let _ = answer.send(vectors);
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
