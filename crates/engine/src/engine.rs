//! The handle to the decode thread.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::decode_loop::{self, Task};
use crate::generate::Generator;
use crate::outbox::Outbox;
use crate::{EngineError, Generation, Job, LoadError, Weights};

/// Jobs that may wait while one runs. A caller that lets one job in at a time
/// still needs room for jobs that were cancelled before their turn.
const WAITING_JOBS: usize = 8;

/// Generates text from weights, on a thread of its own.
///
/// Dropping it ends the running job with [`EngineError::Stopped`] and waits for
/// the thread, which takes one decode step.
pub struct Engine {
    weights: Weights,
    options: EngineOptions,
    stopping: Arc<AtomicBool>,
    /// Present until dropped.
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// How an engine works.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Most tokens of a prompt and its generated text together. Memory for all
    /// of them is taken at the start.
    pub context_length: u32,
    /// Threads that llama.cpp computes with. More than there are idle cores
    /// make it much slower, not faster.
    pub threads: NonZeroUsize,
    /// Tokens of a prompt that are decoded in one step. A job is cancelled
    /// between steps only: 16 tokens take 100 ms where a prompt is read at 160
    /// tokens per second. More of them read prompts a little faster. Another
    /// number may give another text, as rounding differs.
    pub prefill_chunk: NonZeroUsize,
    /// How long one event may wait for a receiver that does not read. The
    /// engine does nothing else meanwhile.
    pub stall_limit: Duration,
}

impl EngineOptions {
    /// Tokens of a prompt decoded in one step, unless set otherwise.
    pub const PREFILL_CHUNK: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
    /// The stall limit, unless set otherwise.
    pub const STALL_LIMIT: Duration = Duration::from_secs(30);

    /// Options with the usual limits.
    pub fn new(context_length: u32, threads: NonZeroUsize) -> Self {
        Self {
            context_length,
            threads,
            prefill_chunk: Self::PREFILL_CHUNK,
            stall_limit: Self::STALL_LIMIT,
        }
    }
}

impl Engine {
    /// Starts the decode thread and waits until it is ready for jobs.
    ///
    /// # Errors
    ///
    /// A [`LoadError`]: the context length is out of range, or llama.cpp or the
    /// operating system lacks resources.
    pub fn start(weights: Weights, options: EngineOptions) -> Result<Self, LoadError> {
        let trained = weights.info().context_length;
        if !(1..=trained).contains(&options.context_length) {
            return Err(LoadError::ContextLength {
                requested: options.context_length,
                trained,
            });
        }
        let (tasks, queue) = mpsc::sync_channel::<Task>(WAITING_JOBS);
        let (ready, readiness) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("fathom-engine".into()).spawn({
            let weights = weights.clone();
            let options = options.clone();
            move || {
                let open = || Generator::open(&weights, &options);
                let opened = open().map(|generator| {
                    let _ = ready.send(Ok(()));
                    decode_loop::serve(&queue, generator, open, Generator::generate);
                });
                if let Err(error) = opened {
                    let _ = ready.send(Err(error));
                }
            }
        })?;
        readiness.recv().map_err(|_| LoadError::Interrupted)??;
        Ok(Self {
            weights,
            options,
            stopping: Arc::default(),
            tasks: Some(tasks),
            thread: Some(thread),
        })
    }

    /// Hands `job` to the decode thread without waiting.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`] when too many jobs wait already, or what is wrong
    /// with the job.
    pub fn submit(&self, job: Job) -> Result<Generation, EngineError> {
        self.check(&job)?;
        let (outbox, generation) =
            Outbox::open(Arc::clone(&self.stopping), self.options.stall_limit)?;
        let tasks = self.tasks.as_ref().ok_or(EngineError::Stopped)?;
        match tasks.try_send(Task { job, outbox }) {
            Ok(()) => Ok(generation),
            Err(TrySendError::Full(_)) => Err(EngineError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(EngineError::Stopped),
        }
    }

    fn check(&self, job: &Job) -> Result<(), EngineError> {
        job.sampling.check()?;
        let tokens = job.prompt.len();
        if tokens == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if tokens >= self.options.context_length as usize {
            return Err(EngineError::PromptTooLong {
                tokens,
                context_length: self.options.context_length,
            });
        }
        let vocabulary = 0..self.weights.vocab().n_tokens();
        if !job.prompt.iter().all(|token| vocabulary.contains(&token.0)) {
            return Err(EngineError::UnknownToken);
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is in its log line already.
            let _ = thread.join();
        }
    }
}
