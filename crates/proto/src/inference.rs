//! The port that turns a prompt into text. The router and every worker implement it.

use std::pin::Pin;

use futures::Stream;
use tokio::time::Instant;

use crate::Error;
use crate::id::{ModelId, RequestId, TenantId};

/// Generates text.
#[tonic::async_trait]
pub trait Inference: Send + Sync {
    /// Starts one generation. It returns once the request is admitted; dropping the future or
    /// the stream stops the generation wherever it is.
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error>;
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
    /// Most tokens to generate; `None`: as many as the context holds.
    pub max_tokens: Option<u32>,
    /// Texts that end the generation and are not part of it.
    pub stop: Vec<String>,
    /// Most tokens of prompt and output together; `None`: as many as the weights can do.
    pub context_length: Option<u32>,
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
}

/// One turn of a conversation.
#[derive(Clone, PartialEq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: ChatRole,
    /// What is said.
    pub content: String,
    /// Name of the speaker.
    pub name: Option<String>,
}

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatRole {
    /// The operator's instructions.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl ChatRole {
    /// The name that chat templates and the public API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// How the next token is drawn from the model's distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token; at most 2.
    pub temperature: f32,
    /// The smallest set of tokens with this probability in sum, in (0, 1].
    pub top_p: f32,
    /// Same seed, prompt and parameters: same text; `None`: a random one.
    pub seed: Option<u64>,
    /// Penalty for each earlier occurrence of a token, in [-2, 2].
    pub frequency_penalty: f32,
    /// Penalty for a token that occurred before, in [-2, 2].
    pub presence_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 1.0,
            seed: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
        }
    }
}

/// One event of a generation.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The prompt is accepted.
    Started {
        /// Its size, as the model's tokenizer counts.
        prompt_tokens: u32,
    },
    /// Text was generated.
    Delta {
        /// Whole characters; may be empty.
        text: String,
        /// Generated tokens that the text stands for.
        tokens: u32,
    },
    /// The generation is complete.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Exact counts.
        usage: Usage,
    },
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its text, or a stop text came up.
    Stop,
    /// `max_tokens` or the end of the context was reached.
    Length,
}

/// Token counts, as the model's tokenizer counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated; the end-of-text token is not counted.
    pub completion_tokens: u32,
}
