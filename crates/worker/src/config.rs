//! `[worker]`

mod local;
mod sim;
#[cfg(test)]
mod tests;
mod upstream;

use std::path::PathBuf;

use fathom_kit::net::{Endpoint, ListenAddress};
use serde::{Deserialize, Serialize};

pub use local::LocalConfig;
pub use sim::{SimConfig, SimFault, SimFaultKind};
pub use upstream::{KeySource, MaxTokensField, UpstreamConfig};

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
    /// The routers that this worker registers with. A host name stands for every address that it
    /// resolves to.
    pub routers: Vec<Endpoint>,
    /// Where this worker runs, for example an availability zone.
    pub zone: Option<String>,
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
            zone: None,
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
    /// Another server that speaks OpenAI's API.
    Upstream(UpstreamConfig),
    /// Text from a formula, for tests and load.
    Sim(SimConfig),
}

impl EngineConfig {
    /// Names of the models that the engine answers for.
    #[must_use]
    pub fn serves(&self) -> &[String] {
        match self {
            Self::Local(config) => &config.serves,
            Self::Upstream(config) => &config.serves,
            Self::Sim(config) => &config.serves,
        }
    }
}
