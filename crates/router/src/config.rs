//! `[router]`

use std::time::Duration;

use fathom_kit::net::ListenAddress;
use serde::{Deserialize, Serialize};

use crate::{BalanceConfig, BreakerConfig, ConfiguredWorker, QueueConfig, RetryConfig};

/// `[router]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: ListenAddress,
    /// Where probes and metrics are served.
    pub admin_listen: ListenAddress,
    /// URL of the database with the table of models; absent: the one of the whole installation.
    pub database: Option<String>,
    /// How long a worker counts as up after it last said so. Shorter finds a dead worker sooner,
    /// longer forgives a slow network; workers renew after a third of it.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Workers that know no router: they are asked what they serve.
    pub workers: Vec<ConfiguredWorker>,
    /// Most workers at a time; further ones are refused.
    pub max_workers: usize,
    /// How long after a model lost its last worker, and after the router's own start, requests
    /// wait for one to come up: as long as one takes to start again. Later ones are refused at
    /// once.
    #[serde(with = "humantime_serde")]
    pub wait_for_worker: Duration,
    /// Where this router runs, for example an availability zone: workers of the same zone come
    /// first. Absent: any worker is as near.
    pub zone: Option<String>,
    /// How a worker is chosen.
    pub balance: BalanceConfig,
    /// When a worker that fails is not asked for a while.
    pub breaker: BreakerConfig,
    /// How long a worker may take to the first token before another one is asked. Shorter than
    /// the reading of the longest prompt: such prompts are never answered.
    #[serde(with = "humantime_serde")]
    pub first_token_timeout: Duration,
    /// How long a worker may be silent between tokens before another one goes on.
    #[serde(with = "humantime_serde")]
    pub token_timeout: Duration,
    /// How requests that fail are tried again.
    pub retry: RetryConfig,
    /// How requests wait while every worker is full.
    pub queue: QueueConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ListenAddress::local(8281),
            admin_listen: ListenAddress::local(9281),
            database: None,
            lease: Duration::from_secs(10),
            workers: Vec::new(),
            max_workers: 10_000,
            wait_for_worker: Duration::from_secs(10),
            zone: None,
            balance: BalanceConfig::default(),
            breaker: BreakerConfig::default(),
            first_token_timeout: Duration::from_secs(120),
            token_timeout: Duration::from_secs(30),
            retry: RetryConfig::default(),
            queue: QueueConfig::default(),
        }
    }
}

impl Config {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        for (name, limit) in [
            ("lease", self.lease),
            ("first_token_timeout", self.first_token_timeout),
            ("token_timeout", self.token_timeout),
        ] {
            if limit.is_zero() {
                return Err(format!(
                    "`router.{name}` is 0, so no worker could ever serve; it is some seconds"
                ));
            }
        }
        self.breaker.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers would announce themselves without a pause, or never be waited for.
    #[test]
    fn times_of_nothing_are_refused() {
        Config::default().validate().unwrap();
        type Spoil = fn(&mut Config);
        let spoiled: [(Spoil, &str); 3] = [
            (|it| it.lease = Duration::ZERO, "router.lease"),
            (
                |it| it.first_token_timeout = Duration::ZERO,
                "router.first_token_timeout",
            ),
            (
                |it| it.token_timeout = Duration::ZERO,
                "router.token_timeout",
            ),
        ];
        for (spoil, name) in spoiled {
            let mut config = Config::default();
            spoil(&mut config);
            let problem = config.validate().unwrap_err();
            assert!(problem.contains(name), "{problem}");
        }
    }
}
