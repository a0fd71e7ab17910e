//! `[router.breaker]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[router.breaker]`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// A worker goes out of rotation when its share of failures is above this with 99 %
    /// confidence.
    pub error_rate: f64,
    /// Over how long that share is taken.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Fewer outcomes in the window say nothing about the share; then only `consecutive` counts.
    pub min_volume: u32,
    /// So many failures without a success between them take out a worker with little to do.
    pub consecutive: u32,
    /// How long a worker is out before one request finds out whether it works; twice as long
    /// after each failure of that, less up to half of it at random.
    #[serde(with = "humantime_serde")]
    pub first_open: Duration,
    /// The longest time out; a worker that worked for as long begins at `first_open` again.
    #[serde(with = "humantime_serde")]
    pub longest_open: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            error_rate: 0.15,
            window: Duration::from_secs(10),
            min_volume: 100,
            consecutive: 7,
            first_open: Duration::from_secs(1),
            longest_open: Duration::from_secs(60),
        }
    }
}
