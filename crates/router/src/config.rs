//! `[router]`

use std::time::Duration;

use fathom_kit::net::ListenAddress;
use serde::{Deserialize, Serialize};

use crate::{QueueConfig, RetryConfig};

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
    /// Most workers at a time; further ones are refused.
    pub max_workers: usize,
    /// How long after a model lost its last worker, and after the router's own start, requests
    /// wait for one to come up: as long as one takes to start again. Later ones are refused at
    /// once.
    #[serde(with = "humantime_serde")]
    pub wait_for_worker: Duration,
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
            max_workers: 10_000,
            wait_for_worker: Duration::from_secs(10),
            first_token_timeout: Duration::from_secs(120),
            token_timeout: Duration::from_secs(30),
            retry: RetryConfig::default(),
            queue: QueueConfig::default(),
        }
    }
}
