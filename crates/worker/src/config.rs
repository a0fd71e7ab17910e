//! `[worker]`

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use fathom_kit::net::{Endpoint, ListenAddress};
use serde::{Deserialize, Serialize};

use crate::Error;

/// `[worker]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: ListenAddress,
    /// Where probes and metrics are served.
    pub admin_listen: ListenAddress,
    /// What routers call to reach this worker; absent: the address it listens on, which is
    /// right as long as no other machine is involved.
    pub advertise: Option<Endpoint>,
    /// The routers that this worker registers with.
    pub routers: Vec<Endpoint>,
    /// Where the default weights are kept; absent: `models` in the data folder.
    pub model_dir: Option<PathBuf>,
    /// The Python that fetches the default weights, as a name in `PATH` or a path.
    pub python: PathBuf,
    /// What generates.
    pub engines: Vec<EngineConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ListenAddress::local(8381),
            admin_listen: ListenAddress::local(9381),
            advertise: None,
            routers: "http://127.0.0.1:8281".parse().into_iter().collect(),
            model_dir: None,
            python: "python3".into(),
            engines: vec![EngineConfig::Local(LocalConfig {
                serves: ["deepseek-chat", "deepseek-code", "deepseek-math"]
                    .map(str::to_owned)
                    .to_vec(),
                ..LocalConfig::default()
            })],
        }
    }
}

impl Config {
    /// Checks what the types cannot: every engine serves something, and no model is served twice.
    ///
    /// # Errors
    /// [`Error::Engines`] says what is wrong and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        let refused = |problem| Err(Error::Engines { problem });
        if self.engines.is_empty() {
            return refused("none is configured; name at least one".to_owned());
        }
        let mut names: Vec<&str> = Vec::new();
        for engine in &self.engines {
            if engine.serves().is_empty() {
                return refused("one serves no model; set `serves = [\"NAME\"]`".to_owned());
            }
            for name in engine.serves() {
                if name.is_empty() || names.contains(&name.as_str()) {
                    return refused(format!(
                        "`serves` has `{name}` empty or twice; name each once"
                    ));
                }
                names.push(name);
            }
        }
        Ok(())
    }
}

/// `[[worker.engines]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EngineConfig {
    /// Weights in this process.
    Local(LocalConfig),
    /// Text from a formula, for tests and load.
    Sim(SimConfig),
}

impl EngineConfig {
    /// Names of the models that the engine answers for.
    #[must_use]
    pub fn serves(&self) -> &[String] {
        match self {
            Self::Local(config) => &config.serves,
            Self::Sim(config) => &config.serves,
        }
    }
}

/// An engine of `kind = "local"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalConfig {
    /// Names of the models that the engine answers for.
    pub serves: Vec<String>,
    /// A GGUF file; absent: the default weights, fetched when they are not there.
    pub path: Option<PathBuf>,
    /// Threads that compute; absent: as many as the machine runs at a time. More make it slower.
    pub threads: Option<NonZeroUsize>,
    /// Most tokens of prompt and answer together, for which memory is set aside; absent: what
    /// the weights were trained for, at most 8192.
    pub context_length: Option<u32>,
    /// Requests that may wait while one runs; further ones are refused.
    pub max_queue: usize,
    /// How long a request may wait before it is refused. Clients that have given up by then
    /// would get answers nobody reads.
    #[serde(with = "humantime_serde")]
    pub max_queue_age: Duration,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            serves: Vec::new(),
            path: None,
            threads: None,
            context_length: None,
            max_queue: 64,
            max_queue_age: Duration::from_secs(30),
        }
    }
}

/// An engine of `kind = "sim"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// Names of the models that the engine answers for.
    pub serves: Vec<String>,
    /// Time from admission to the first token.
    #[serde(with = "humantime_serde")]
    pub ttft: Duration,
    /// Time from one token to the next.
    #[serde(with = "humantime_serde")]
    pub inter_token: Duration,
    /// Tokens of an answer that nothing cuts short.
    pub tokens: u32,
    /// Most tokens of prompt and answer together.
    pub context_length: u32,
    /// Generations that run at a time.
    pub capacity: usize,
    /// Requests that may wait; further ones are refused.
    pub max_queue: usize,
    /// How long a request may wait before it is refused.
    #[serde(with = "humantime_serde")]
    pub max_queue_age: Duration,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            serves: Vec::new(),
            ttft: Duration::ZERO,
            inter_token: Duration::ZERO,
            tokens: 32,
            context_length: 32_768,
            capacity: 1_000,
            max_queue: 64,
            max_queue_age: Duration::from_secs(30),
        }
    }
}
