//! The port that turns a prompt into text. The router and every worker implement it.

mod chat;
mod embedding;
mod event;
mod format;
mod sampling;
mod tools;

use std::pin::Pin;

use futures::Stream;
use tokio::time::Instant;

use crate::id::{ModelId, RequestId, TenantId, UserId};
use crate::{Error, ErrorCode};

pub use chat::{ChatMessage, ChatRole, ToolCall};
pub use embedding::{EmbedInput, EmbedRequest, Embeddings};
pub use event::{
    Alternative, Assignment, Delta, Event, FinishReason, Piece, Route, TokenIds, TokenLogprob,
    ToolCallPiece, Usage,
};
pub use format::Format;
pub use sampling::{Defaults, LogitBias, Sampling};
pub use tools::{Function, ToolChoice, Tools};

/// Generates text.
#[tonic::async_trait]
pub trait Inference: Send + Sync {
    /// Starts one generation: one text that continues one prompt. It returns once the request is
    /// admitted; dropping the future or the stream stops the generation wherever it is.
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error>;

    /// Turns texts into vectors. Dropping the future stops it.
    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, Error>;

    /// How many tokens the prompt of such a generation has, with the functions that it may call;
    /// an estimate where only another server knows. Who only generates refuses.
    async fn count_tokens(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<u32, Error> {
        let _ = (request, context);
        let message = "tokens cannot be counted here; the `usage` of an answer has them";
        Err(Error::new(ErrorCode::InvalidRequest, message))
    }
}

/// Events of one generation: `Started`, `Delta`s, `Finished`; or an error, which ends it.
/// A stream that ends without `Finished` and without an error is a bug of its producer.
pub type TokenStream = Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>;

/// For whom and until when a request runs.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Id at the public edge.
    pub request_id: RequestId,
    /// Who pays.
    pub tenant: TenantId,
    /// Who asks within the tenant, to be treated alike each time.
    pub user: UserId,
    /// When the answer is of no use any more.
    pub deadline: Option<Instant>,
}

/// What to generate.
#[derive(Clone, PartialEq)]
pub struct GenerateRequest {
    /// Name of the model to ask.
    pub model: ModelId,
    /// What to continue.
    pub prompt: Prompt,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Most tokens to generate; `None`: not asked for; 0 only with `echo`.
    pub max_tokens: Option<u32>,
    /// What holds where the request does not say.
    pub defaults: Defaults,
    /// Texts that end the generation and are not part of it.
    pub stop: Vec<String>,
    /// For each token, also the log-probabilities of this many likeliest ones, at most 20; `None`:
    /// none at all, not of the token itself either.
    pub logprobs: Option<u32>,
    /// The prompt comes back as the first text; not for chats.
    pub echo: bool,
    /// What the text must be.
    pub format: Format,
    /// Functions that the model may call; for chats only.
    pub tools: Option<Tools>,
    /// Fields of the public request that this version does not know, for upstreams, which get
    /// them as they are: a JSON object.
    pub extra: Option<Json>,
    /// Most tokens of prompt and output together; `None`: as many as the weights can do.
    pub context_length: Option<u32>,
    /// Tokens of this very generation that another worker generated, from its first delta to the
    /// last one that was passed on: what follows them is told, and counts are those of the whole.
    pub generated: Vec<u32>,
}

impl GenerateRequest {
    /// A request with nothing but a prompt.
    #[must_use]
    pub fn new(model: ModelId, prompt: Prompt) -> Self {
        Self {
            model,
            prompt,
            sampling: Sampling::default(),
            max_tokens: None,
            defaults: Defaults::default(),
            stop: Vec::new(),
            logprobs: None,
            echo: false,
            format: Format::Text,
            tools: None,
            extra: None,
            context_length: None,
            generated: Vec::new(),
        }
    }
}

/// What to continue.
#[derive(Clone, PartialEq)]
pub enum Prompt {
    /// Plain text.
    Text(String),
    /// Token ids of the model's own vocabulary.
    Tokens(Vec<u32>),
    /// A conversation, rendered by the model's own template.
    Chat(Vec<ChatMessage>),
    /// A text with a gap to fill, for models that can.
    Infill {
        /// Text before the gap.
        before: String,
        /// Text after the gap.
        after: String,
    },
}

/// JSON text that only passes through here. It has no `Debug`, which would carry what callers
/// wrote into log lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(pub String);
