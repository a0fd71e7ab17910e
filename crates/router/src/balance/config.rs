//! `[router.balance]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[router.balance]`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BalanceConfig {
    /// How a worker is chosen.
    pub policy: Policy,
    /// Over how long a worker that is new, or back from an outage, gets up to its full share.
    #[serde(with = "humantime_serde")]
    pub slow_start: Duration,
    /// Most memory for remembering which worker has seen which beginnings of prompts. Less: more
    /// prompts are read again from the start.
    pub prefix_index_bytes: usize,
}

impl Default for BalanceConfig {
    fn default() -> Self {
        Self {
            policy: Policy::PowerOfTwo,
            slow_start: Duration::from_secs(10),
            prefix_index_bytes: 16 << 20,
        }
    }
}

/// How a worker is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Of two at random the one with less to do, in shares of its slots, and faster first tokens.
    PowerOfTwo,
    /// The one with least to do; of large fleets, among some at random.
    LeastLoad,
    /// One after the other.
    RoundRobin,
    /// At random, in proportion to slots.
    Weighted,
    /// One that has seen the beginning of the prompt, unless others have much less to do; else as
    /// [`Self::PowerOfTwo`].
    PrefixAffinity,
}
