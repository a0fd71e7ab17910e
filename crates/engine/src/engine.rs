//! The handle to the decode thread.

use std::num::NonZeroUsize;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::decode_loop::{DecodeLoop, Task};
use crate::generate::Generator;
use crate::llama::Llama;
use crate::load::LoadCounts;
use crate::model::Model;
use crate::outbox::Outbox;
use crate::scheduler::{Limits, Request, Scheduler};
use crate::{EngineError, EngineLoad, Generation, Job, LoadError, Token, Weights};

/// Generates texts from weights, many at a time, on a thread of its own.
///
/// Every step of the thread reads one batch for all texts that run: the next
/// token of each, and a chunk of the prompts that are not read yet. What was
/// read is kept while there is room, and a job that begins like an earlier one
/// of its partition reads only the rest.
///
/// Dropping it ends all jobs with [`EngineError::Stopped`] and waits for the
/// thread, which takes one decode step.
///
/// # Same job, same text?
///
/// At temperature 0, or with a seed, the same jobs one after the other on an
/// engine just started give the same texts. llama.cpp promises no more: how it
/// rounds depends on where a text lies in the KV cache, how its prompt was cut
/// into chunks, how much of it was cached, and what else is in a batch; tokens
/// that a job comes with as generated are read as its prompt is. Log
/// probabilities then differ by some hundredths with quantized weights, so a
/// text may take another turn where two tokens are nearly as probable.
pub struct Engine {
    weights: Weights,
    options: EngineOptions,
    load: LoadCounts,
    /// Present until dropped.
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// Jobs between a caller and the decode thread, which takes all of them before
/// each step.
const TASKS: usize = 1024;

/// Most sequences that llama.cpp has.
const MAX_SEQUENCES: usize = 256;

/// How an engine works.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Most tokens of a prompt and its generated text together.
    pub context_length: u32,
    /// Threads that llama.cpp computes with. More than there are idle cores
    /// make it much slower, not faster.
    pub threads: NonZeroUsize,
    /// Jobs that run at a time; more than 256 count as that. Memory for
    /// `context_length` tokens of each is taken at the start.
    pub slots: NonZeroUsize,
    /// Most tokens of texts that ended and are remembered for their beginnings,
    /// in memory that is taken when it is needed.
    pub remembered_tokens: u32,
    /// Jobs that may wait beside those that run or could; further ones are
    /// refused.
    pub max_waiting: usize,
    /// How long a job may wait to be started before it is given up.
    pub max_wait: Duration,
    /// Tokens of prompts that are decoded in one step when nothing else runs; an
    /// eighth of them while other jobs generate. A job is cancelled between
    /// steps only: 128 tokens take 0.4 s where a prompt is read at 320 tokens
    /// per second. Fewer of them read prompts slower, as each step passes over
    /// all weights. Another number may give another text, as rounding differs.
    pub prefill_chunk: NonZeroUsize,
    /// How long one event may wait for a receiver that does not read. The job
    /// is paused meanwhile and keeps its slot; others go on.
    pub stall_limit: Duration,
}

impl EngineOptions {
    /// Tokens of prompts decoded in one step, unless set otherwise.
    pub const PREFILL_CHUNK: NonZeroUsize = NonZeroUsize::MIN.saturating_add(127);
    /// Jobs that run at a time, unless set otherwise.
    pub const SLOTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
    /// Jobs that may wait, unless set otherwise.
    pub const MAX_WAITING: usize = 64;
    /// How long a job may wait, unless set otherwise.
    pub const MAX_WAIT: Duration = Duration::from_secs(30);
    /// The stall limit, unless set otherwise.
    pub const STALL_LIMIT: Duration = Duration::from_secs(30);

    /// Options with the usual limits.
    pub fn new(context_length: u32, threads: NonZeroUsize) -> Self {
        Self {
            context_length,
            threads,
            slots: Self::SLOTS,
            remembered_tokens: context_length.saturating_mul(2),
            max_waiting: Self::MAX_WAITING,
            max_wait: Self::MAX_WAIT,
            prefill_chunk: Self::PREFILL_CHUNK,
            stall_limit: Self::STALL_LIMIT,
        }
    }

    /// What the scheduler may use. `reuse` is whether a text may begin with
    /// what was computed for another.
    pub(crate) fn limits(&self, reuse: bool) -> Limits {
        Limits {
            slots: self.slots.get().min(MAX_SEQUENCES),
            remembered: self.remembered_tokens as usize,
            max_wait: self.max_wait,
            prefill_chunk: self.prefill_chunk.get().min(self.context_length as usize),
            reuse,
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
        let limits = options.limits(weights.keeps_every_position());
        let kv_tokens = limits.slots * options.context_length as usize;
        let load = LoadCounts::new(limits.slots, options.max_waiting, kv_tokens);
        let (tasks, queue) = mpsc::sync_channel::<Task>(TASKS);
        let (ready, readiness) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("fathom-engine".into()).spawn({
            let (weights, options, load) = (weights.clone(), options.clone(), load.clone());
            move || {
                let model = Llama {
                    weights: &weights,
                    options: &options,
                };
                let opened = model.open().map(|context| {
                    let _ = ready.send(Ok(()));
                    DecodeLoop::new(model, context, Scheduler::new(limits), load).run(&queue);
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
            load,
            tasks: Some(tasks),
            thread: Some(thread),
        })
    }

    /// Hands `job` to the decode thread without waiting. Where the job comes
    /// with generated tokens, it computes what follows from them before that.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`] when too many jobs wait already, or what is wrong
    /// with the job.
    pub fn submit(&self, mut job: Job) -> Result<Generation, EngineError> {
        self.check(&job)?;
        let tasks = self.tasks.as_ref().ok_or(EngineError::Stopped)?;
        let seat = self.load.seat().ok_or(EngineError::Busy)?;
        let model = Llama {
            weights: &self.weights,
            options: &self.options,
        };
        let (outbox, generation) = Outbox::open(self.options.stall_limit)?;
        let generator = Generator::new(&model, &mut job, self.options.context_length)?;
        let echoes = job.echo && job.generated.is_empty();
        let mut tokens = job.prompt;
        tokens.append(&mut job.generated);
        let request = Request {
            partition: job.partition,
            prompt: tokens,
            every_logits: echoes && job.logprobs.is_some(),
            submitted: Instant::now(),
        };
        let task = Task {
            request,
            generator,
            outbox,
            seat,
        };
        match tasks.try_send(task) {
            Ok(()) => Ok(generation),
            Err(TrySendError::Full(_)) => Err(EngineError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(EngineError::Stopped),
        }
    }

    /// What it has to do at this moment.
    pub fn load(&self) -> EngineLoad {
        self.load.read()
    }

    fn check(&self, job: &Job) -> Result<(), EngineError> {
        let vocabulary = self.weights.vocab().n_tokens();
        job.sampling.check(vocabulary)?;
        if job.max_tokens == 0 && !job.echo {
            return Err(EngineError::NothingToDo);
        }
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
        let is_known = |token: &Token| (0..vocabulary).contains(&token.0);
        if !job.prompt.iter().all(is_known) {
            return Err(EngineError::UnknownToken);
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is in its log line already.
            let _ = thread.join();
        }
    }
}
