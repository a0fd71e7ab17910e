//! What the fields of a request may hold. The server checks these very numbers, and the schemas of
//! the types have them.

/// Bytes of a model's name; no model has a longer one.
pub const MODEL_BYTES: usize = 200;
/// Turns of a conversation, in a chat.
pub const MESSAGES: usize = 4096;
/// Functions, stop texts, token biases and parts of a turn that are looked at; far above what is
/// allowed of most of them, so that the refusal can say more.
pub const ITEMS: usize = 2048;
/// Lowest and highest `temperature`.
pub const TEMPERATURE: (f32, f32) = (0.0, 2.0);
/// The same at Anthropic.
pub const ANTHROPIC_TEMPERATURE: (f32, f32) = (0.0, 1.0);
/// Lowest and highest `top_p`; the lowest is not allowed itself.
pub const TOP_P: (f32, f32) = (0.0, 1.0);
/// Lowest and highest `min_p`.
pub const MIN_P: (f32, f32) = (0.0, 1.0);
/// Lowest and highest `frequency_penalty` and `presence_penalty`.
pub const PENALTY: (f32, f32) = (-2.0, 2.0);
/// Lowest and highest bias of a token.
pub const LOGIT_BIAS: (f32, f32) = (-100.0, 100.0);
/// Tokens with a bias; each is applied for every token.
pub const LOGIT_BIASES: usize = 1024;
/// DeepSeek's limit of stop texts; OpenAI's is 4.
pub const STOPS: usize = 16;
/// Bytes of a stop text. It is held back while it could still come, so that a long one would hold
/// back the answer.
pub const STOP_BYTES: usize = 1024;
/// Answers to one prompt. OpenAI's limit is 128; here each is a generation with a place of its own
/// in the queue.
pub const CHOICES: u32 = 16;
/// Answers to one request, of all its prompts together.
pub const GENERATIONS: usize = 64;
/// OpenAI's limit of the likeliest tokens at a place.
pub const TOP_LOGPROBS: u32 = 20;
/// OpenAI's limit of functions.
pub const FUNCTIONS: usize = 128;
/// OpenAI's rule for the name of a function.
pub const FUNCTION_NAME: &str = "^[a-zA-Z0-9_-]{1,64}$";
/// OpenAI's limit of texts that come back with an answer.
pub const METADATA: usize = 16;
/// Characters of the name of one.
pub const METADATA_NAME: usize = 64;
/// Characters of one.
pub const METADATA_VALUE: usize = 512;
/// OpenAI's limit of texts for embeddings.
pub const INPUTS: usize = 2048;
