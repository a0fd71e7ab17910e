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
//!   - `inspect`: what a file is, without its tensors
//!   - `prompt`: text, chats and gaps to tokens
//!   - `tokenizer`: keeps llama.cpp's from overlong texts and from overflowing
//!     its stack
//!   - `template`: the model's own Jinja chat template
//!   - `control`: keeps control-token text of callers from being interpreted
//!   - `constraint`: what an answer must be, as a grammar
//! * [`AnswerParser`] (`answer`): thoughts, text and function calls of an answer,
//!   one file for each form in which models call functions
//! * [`Embedder`] (`embedder`): texts to vectors, on a thread of its own
//! * [`Engine`] (`engine`): the handle to the decode thread
//!   - `decode_loop`: takes jobs, steps through them, survives their panics
//!   - `scheduler`: which jobs run and what each step reads; a pure state machine
//!   - `model`, `llama`: what reads a batch
//!   - `generate`: the text of one job, from its beginning or from tokens that
//!     another engine generated
//!   - `sampling`, `logprobs`: how the next token is chosen, how probable it was
//!   - `load`: what the engine has to do, for its callers
//!   - `text`: sampled bytes to sendable text, through `utf8` and `stop`
//! * [`Job`], [`Generation`], [`Event`] (`job`, `generation`): what goes in and
//!   what comes out
//!   - `outbox`: the sending half of a generation, with its stall limit
//! * [`StopMatcher`] (`stop`): stop strings over streamed text, for any engine
//! * [`LoadError`], [`PromptError`], [`EngineError`] (`error`); the others are
//!   with what fails

mod answer;
mod backend;
mod constraint;
mod control;
mod decode_loop;
mod embedder;
mod engine;
mod error;
mod generate;
mod generation;
mod info;
mod inspect;
mod job;
mod llama;
mod load;
mod logprobs;
mod model;
mod outbox;
mod prompt;
mod quantization;
mod sampling;
mod scheduler;
mod stop;
mod template;
mod text;
mod tokenizer;
mod utf8;
mod weights;

pub use answer::{AnswerParser, AnswerPiece, AnswerStyle, CallSyntax, Thinking};
pub use constraint::{CallForm, CallableFunction, Constraint, ConstraintError, Form, TextForm};
pub use embedder::{EmbedError, EmbedText, Embedder, EmbedderOptions, Embedding, Vectors};
pub use engine::{Engine, EngineOptions};
pub use error::{EngineError, LoadError, PromptError};
pub use generation::Generation;
pub use info::{Pooling, WeightsInfo};
pub use inspect::Inspection;
pub use job::{Alternative, EngineLoad, Event, FinishReason, Job, TokenLogprob, Tokens};
pub use sampling::Sampling;
pub use stop::{Scan, StopMatcher};
pub use template::{ChatMessage, ChatOptions, TemplateFacts, Tool, ToolCall};
pub use weights::{Token, Weights};
