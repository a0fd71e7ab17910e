//! `[router.breaker]`

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[router.breaker]`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// A worker goes out of rotation when its share of failures is above this with 99.9 %
    /// confidence.
    pub error_rate: f64,
    /// Over how long that share is taken.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Fewer outcomes in the window say nothing about the share; then only `consecutive` counts.
    pub min_volume: u32,
    /// So many failures without a success between them take out a worker with little to do.
    pub consecutive: NonZeroU32,
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
            consecutive: NonZeroU32::MIN.saturating_add(6),
            first_open: Duration::from_secs(1),
            longest_open: Duration::from_secs(60),
        }
    }
}

impl BreakerConfig {
    /// # Errors
    /// What is out of range, and what would be right.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let rate = self.error_rate;
        if !(rate > 0.0 && rate < 1.0) {
            return Err(format!(
                "`router.breaker.error_rate` is {rate}; it is a share between 0 and 1, as 0.15"
            ));
        }
        if self.window.is_zero() {
            return Err("`router.breaker.window` is 0; outcomes count for some seconds".to_owned());
        }
        if self.first_open.is_zero() {
            return Err(
                "`router.breaker.first_open` is 0, so no worker would ever be out; a second is \
                 usual"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_never_or_always_open_is_refused() {
        BreakerConfig::default().validate().unwrap();
        for error_rate in [0.0, 1.0, 15.0, f64::NAN] {
            let config = BreakerConfig {
                error_rate,
                ..BreakerConfig::default()
            };
            let problem = config.validate().unwrap_err();
            assert!(problem.contains("router.breaker.error_rate"), "{problem}");
        }
        let config = BreakerConfig {
            first_open: Duration::ZERO,
            ..BreakerConfig::default()
        };
        let problem = config.validate().unwrap_err();
        assert!(problem.contains("router.breaker.first_open"), "{problem}");
    }
}
