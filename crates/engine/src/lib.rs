//! llama.cpp behind a safe API: loads GGUF weights, turns text and chats into
//! tokens, and generates text on a thread of its own.
//!
//! This is the only crate that compiles C++. It does no transport: one
//! [`Engine`] runs many jobs at a time and lets some wait.
//!
//! A failed C++ assertion aborts the process, so run it in a process that may
//! be restarted.
//!
//! # Layout
//!
//! * [`Weights`] (`weights`): a loaded GGUF, its tokenizer and chat template
//!   - `info`, `quantization`: what is known about the weights
//!   - `backend`: the process-wide llama.cpp backend and its log lines
//!   - `template`: the model's own Jinja chat template
//!   - `control`: keeps control-token text in messages from being interpreted
//! * [`Engine`] (`engine`): the handle to the decode thread
//!   - `decode_loop`: takes jobs, steps through them, survives their panics
//!   - `scheduler`: which jobs run and what each step reads; a pure state machine
//!   - `model`, `llama`: what reads a batch
//!   - `generate`: the text of one job
//!   - `sampling`, `logprobs`: how the next token is chosen, how probable it was
//!   - `load`: what the engine has to do, for its callers
//!   - `text`: sampled bytes to sendable text, through `utf8` and `stop`
//! * [`Job`], [`Generation`], [`Event`] (`job`, `generation`): what goes in and
//!   what comes out
//!   - `outbox`: the sending half of a generation, with its stall limit
//! * [`StopMatcher`] (`stop`): stop strings over streamed text, for any engine
//! * [`LoadError`], [`PromptError`], [`EngineError`] (`error`)

mod backend;
mod constraint;
mod control;
mod decode_loop;
mod engine;
mod error;
mod generate;
mod generation;
mod info;
mod job;
mod llama;
mod load;
mod logprobs;
mod model;
mod outbox;
mod quantization;
mod sampling;
mod scheduler;
mod stop;
mod template;
mod text;
mod utf8;
mod weights;

pub use constraint::Constraint;
pub use engine::{Engine, EngineOptions};
pub use error::{EngineError, LoadError, PromptError};
pub use generation::Generation;
pub use info::WeightsInfo;
pub use job::{Alternative, EngineLoad, Event, FinishReason, Job, TokenLogprob};
pub use sampling::Sampling;
pub use stop::{Scan, StopMatcher};
pub use template::ChatMessage;
pub use weights::{Token, Weights};
