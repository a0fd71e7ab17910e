//! The public JSON of Fathom, as OpenAI, DeepSeek and Anthropic define it, and the codec of its
//! event streams. Data only: no transport, no runtime. The gateway answers with these types and the
//! client reads them, so the two cannot drift apart.
//!
//! # Layout
//!
//! - [`chat`], [`completions`], [`embeddings`], [`models`], [`balance`]: the REST endpoints
//! - [`messages`]: Anthropic's dialect
//! - [`responses`]: OpenAI's newer one
//! - [`stream`]: messages of the WebSocket `/v1/stream`
//! - [`feedback`]: what an answer was worth
//! - [`oauth`]: tokens, introspection and metadata (RFC 6749, 7662, 8414)
//! - [`error`]: the error body of every endpoint
//! - [`sampling`], [`mod@format`], [`tools`], [`logprobs`], [`usage`]: fields that several
//!   endpoints share
//! - [`bounds`]: what the fields of requests may hold
//! - [`sse`]: server-sent events, written and read
//! - [`bounded`]: lists that are read no further than anyone may send them

pub mod balance;
pub mod bounded;
pub mod bounds;
pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod error;
pub mod feedback;
pub mod format;
pub mod logprobs;
pub mod messages;
pub mod models;
pub mod oauth;
pub mod responses;
pub mod sampling;
pub mod sse;
pub mod stream;
pub mod tools;
pub mod usage;
