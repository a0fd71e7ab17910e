//! Why texts were not turned into vectors.

/// Why texts were not turned into vectors. None carries a text.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// Too many requests wait already.
    #[error("the embedder is busy")]
    Busy,
    /// The request waited as long as one may.
    #[error("the request waited too long for its turn")]
    Expired,
    /// A text has no tokens.
    #[error("text {text} is empty")]
    Empty {
        /// Which text, from 0.
        text: usize,
    },
    /// A text has more tokens than the model takes at once.
    #[error("text {text} has more than {limit} tokens; shorten or split it")]
    TooLong {
        /// Which text, from 0.
        text: usize,
        /// Most tokens of a text.
        limit: u32,
    },
    /// A text goes on for too long without any white space, or has too much of
    /// it in one place.
    #[error(
        "text {text} has more than {limit} characters in one place without white space between \
         them, or of white space; break it up"
    )]
    Unbroken {
        /// Which text, from 0.
        text: usize,
        /// Most such characters.
        limit: usize,
    },
    /// A text holds a token that is not of this model's vocabulary.
    #[error("text {text} holds a token outside the vocabulary")]
    UnknownToken {
        /// Which text, from 0.
        text: usize,
    },
    /// Vectors of a length that the model does not have.
    #[error("vectors of {wanted} numbers were asked for, but the model has 1 to {length}")]
    Dimensions {
        /// The length asked for.
        wanted: u32,
        /// The model's own.
        length: u32,
    },
    /// The embedder was dropped.
    #[error("the embedder has stopped")]
    Stopped,
    /// llama.cpp cannot decode a batch. Why is in a log line.
    #[error("llama.cpp cannot decode")]
    Decode,
    /// The embedder failed in a way it does not expect.
    #[error("the embedder failed")]
    Internal,
}
