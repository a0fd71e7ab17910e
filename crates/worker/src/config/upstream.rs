//! `[[worker.engines]]` of `kind = "upstream"`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An engine of `kind = "upstream"`: any server that speaks OpenAI's API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Names of the models that the engine answers for.
    pub serves: Vec<String>,
    /// Where the server is, up to and with the part before `/chat/completions`, for example
    /// `https://api.deepseek.com/v1`.
    pub base_url: String,
    /// Where the server's API key is; absent: it wants none.
    pub api_key: Option<KeySource>,
    /// What the server calls a model, by our name; a name that is not here is the same there.
    pub models: BTreeMap<String, String>,
    /// Headers that every request carries; `authorization` is not for here, but `api_key`.
    pub headers: BTreeMap<String, String>,
    /// What the server calls the most tokens of a chat's answer.
    pub max_tokens_field: MaxTokensField,
    /// Certificates in PEM, one of which must stand behind the server's; absent: those that the
    /// machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Most tokens of prompt and answer together; the server enforces it.
    pub context_length: u32,
    /// A GGUF file whose tokenizer counts tokens where the server does not; absent: counts are
    /// estimated then.
    pub tokenizer: Option<PathBuf>,
    /// Requests that run at a time.
    pub capacity: usize,
    /// Requests that may wait; further ones are refused.
    pub max_queue: usize,
    /// How long a request may wait before it is refused.
    #[serde(with = "humantime_serde")]
    pub max_queue_age: Duration,
    /// Speak HTTP/2 to a server without TLS; with TLS it is agreed upon.
    pub http2: bool,
    /// Idle connections that are kept; absent: 64 for each core.
    pub idle_connections: Option<usize>,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub idle_connection_timeout: Duration,
    /// How long connecting may take, with the name's resolution and TLS.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long the first token may take. What the server sends to keep the connection alive, as
    /// DeepSeek does while a request waits for its turn, extends it up to `total_timeout`.
    #[serde(with = "humantime_serde")]
    pub first_token_timeout: Duration,
    /// How long one token may take after the one before, whatever else the server sends.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long a whole answer may take.
    #[serde(with = "humantime_serde")]
    pub total_timeout: Duration,
}

/// Where a secret is; it is never in the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeySource {
    /// The first line of a file, which is read again when it changes.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

/// A server's name for the most tokens of an answer to a chat, where the request asks for so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// What most servers know.
    MaxTokens,
    /// What OpenAI's reasoning models want.
    MaxCompletionTokens,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            serves: Vec::new(),
            base_url: String::new(),
            api_key: None,
            models: BTreeMap::new(),
            headers: BTreeMap::new(),
            ca_file: None,
            max_tokens_field: MaxTokensField::MaxTokens,
            context_length: 32_768,
            tokenizer: None,
            capacity: 10_000,
            max_queue: 1_000,
            max_queue_age: Duration::from_secs(30),
            http2: false,
            idle_connections: None,
            idle_connection_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(600),
        }
    }
}
