//! What can go wrong, by situation. No error carries prompt or generated text.

use std::io;
use std::path::PathBuf;

/// Why weights could not be loaded or an engine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is missing or cannot be read.
    #[error("cannot read the model file {}", path.display())]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file does not begin as a GGUF file does.
    #[error("{} is not a GGUF file", path.display())]
    NotGguf {
        /// The file asked for.
        path: PathBuf,
    },
    /// llama.cpp does not load the file: it is cut short, damaged, or of an
    /// architecture llama.cpp does not know. Its log lines say which.
    #[error("llama.cpp refuses the model file {}", path.display())]
    Refused {
        /// The file asked for.
        path: PathBuf,
        /// The binding's reason.
        source: llama_cpp_2::LlamaModelLoadError,
    },
    /// A chat template given in place of the model's own cannot be used.
    #[error("cannot use the chat template {}", path.display())]
    Template {
        /// The file asked for.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The vocabulary has more control tokens than can be searched for.
    #[error("the vocabulary's control tokens cannot be indexed")]
    Vocabulary(#[from] aho_corasick::BuildError),
    /// The context length asked for is zero or more than the model was trained
    /// for.
    #[error("a context length of {requested} tokens is outside 1 to {trained}")]
    ContextLength {
        /// Tokens asked for.
        requested: u32,
        /// Tokens the model was trained for.
        trained: u32,
    },
    /// The weights generate text and make no vectors.
    #[error("the weights make no embeddings")]
    NoEmbeddings,
    /// llama.cpp cannot create a context, most likely for want of memory.
    #[error("llama.cpp cannot create a context")]
    Context {
        /// The binding's reason.
        source: llama_cpp_2::LlamaContextLoadError,
    },
    /// The llama.cpp backend belongs to other code of this process.
    #[error("the llama.cpp backend is already in use")]
    Backend,
    /// The decode thread could not be started.
    #[error("cannot start the decode thread")]
    Thread(#[from] io::Error),
    /// The decode thread ended before its context was ready.
    #[error("the decode thread ended while starting")]
    Interrupted,
}

/// Why a prompt could not be turned into tokens.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The weights carry no chat template that can be compiled.
    #[error("the model has no usable chat template")]
    NoChatTemplate,
    /// The template does nothing with functions, or has the model call them in
    /// a form that is not known here.
    #[error("the model's chat template takes no tools")]
    NoTools,
    /// The vocabulary has no tokens around a gap to fill.
    #[error("the model cannot fill a gap before a suffix")]
    NoInfill,
    /// The template itself refuses these messages, by `raise_exception`.
    #[error("the chat template refuses the messages: {message}")]
    Refused {
        /// The template's own words, which name a role at most as a rule.
        message: String,
    },
    /// The template fails on these messages.
    #[error("the chat template fails: {kind} (line {line})")]
    Template {
        /// What kind of failure it is.
        kind: minijinja::ErrorKind,
        /// The template's line, 0 when unknown.
        line: usize,
    },
    /// The text has more tokens than the context, or more bytes than llama.cpp
    /// can count. Its tokens were not made.
    #[error("the text is too long: it has at least {tokens} tokens")]
    TooLong {
        /// Tokens that so many bytes have at least.
        tokens: usize,
    },
    /// The text goes on for too long without any white space, or has too much
    /// of it in one place.
    #[error(
        "the text has more than {limit} characters in one place without white space between them, \
         or of white space; break it up"
    )]
    Unbroken {
        /// Most such characters.
        limit: usize,
    },
    /// The operating system has no thread to tokenize a text on.
    #[error("cannot start a thread to tokenize on")]
    Thread(#[from] io::Error),
}

/// Why a job was not taken, or ended before it finished.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Too many jobs wait already.
    #[error("the engine is busy")]
    Busy,
    /// The job waited as long as one may.
    #[error("the job waited too long for its turn")]
    Expired,
    /// The prompt has no tokens.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The prompt leaves no room for a single generated token.
    #[error("the prompt of {tokens} tokens does not fit a context of {context_length} tokens")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens of the context, prompt and generated together.
        context_length: u32,
    },
    /// The prompt holds a token that is not of this model's vocabulary.
    #[error("the prompt holds a token outside the vocabulary")]
    UnknownToken,
    /// A token that the job came with as generated cannot have been.
    #[error("the generated token {index} is none of this text: {problem}")]
    Generated {
        /// Its place in the generated text, from 0.
        index: usize,
        /// Why not.
        problem: &'static str,
    },
    /// Nothing is to be generated and nothing to be told of the prompt.
    #[error("max_tokens is 0, which only makes sense with echo")]
    NothingToDo,
    /// A sampling parameter is not a number or out of range, or names a token
    /// that is not of this model's vocabulary.
    #[error("the sampling parameter {parameter} is out of range")]
    InvalidSampling {
        /// The field of [`Sampling`](crate::Sampling).
        parameter: &'static str,
    },
    /// The text's constraint went beyond what may be computed for it.
    #[error("the constraint of the text is too hard to follow")]
    Constraint,
    /// Nobody read the events for the stall limit, so the job was dropped.
    #[error("the receiver does not read its events")]
    Stalled,
    /// The engine was dropped before the job finished.
    #[error("the engine has stopped")]
    Stopped,
    /// llama.cpp cannot decode a batch that this job was part of. Why is in a
    /// log line.
    #[error("llama.cpp cannot decode")]
    Decode,
    /// The decode loop failed in a way it does not expect.
    #[error("the decode loop failed")]
    Internal,
}
