//! What one peer may cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// The least that hyper reads of a connection at a time, and so the least limit of a header.
const MIN_HEADER_BYTES: u32 = 8 * 1024;

/// What one peer may cost. An absent time is none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at a time; further ones wait in the kernel's queue. More than there are
    /// file descriptors: accepting fails now and then, and is tried again.
    pub max_connections: usize,
    /// Connections of one address, or of one /64 of IPv6; further ones are closed at once. Less
    /// than a proxy or a router of addresses needs locks its clients out; trusted proxies are not
    /// counted.
    pub max_connections_per_address: usize,
    /// Time for the handshake of TLS, and again to send a request's header. Longer lets a slow
    /// attacker hold connections.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a connection without a request is kept. Shorter than clients and proxies keep
    /// theirs: now and then one sends a request into a connection that is being closed.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Option<Duration>,
    /// How long a request's body may bring nothing, and after which it must have come at 500 bytes
    /// a second on the whole. Shorter breaks clients with a bad network.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Option<Duration>,
    /// How long a reader may take nothing of what waits for it, and after which it must take 64
    /// bytes a second on the whole. Longer holds its slot in an engine for so long.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Option<Duration>,
    /// Requests in flight on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Largest header of a request.
    pub max_header_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 1_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(75)),
            body_timeout: Some(Duration::from_secs(10)),
            write_timeout: Some(Duration::from_secs(30)),
            max_concurrent_streams: 128,
            max_header_bytes: 16 * 1024,
        }
    }
}

impl Limits {
    /// For ports that only our own services call: one connection carries a whole gateway, and
    /// stays. Pings find out a peer that is gone.
    #[must_use]
    pub fn internal() -> Self {
        let defaults = Self::default();
        Self {
            max_connections_per_address: defaults.max_connections,
            idle_timeout: None,
            body_timeout: None,
            write_timeout: None,
            max_concurrent_streams: 10_000,
            ..defaults
        }
    }

    /// Checks what the types cannot; `table` is where the keys stand.
    ///
    /// # Errors
    /// A text that names the key and what would be right.
    pub fn validate(&self, table: &str) -> Result<(), String> {
        let times = [
            ("header_timeout", Some(self.header_timeout)),
            ("idle_timeout", self.idle_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
        ];
        for (key, time) in times {
            if time == Some(Duration::ZERO) {
                return Err(format!("`{table}.{key}` is 0; it must be longer"));
            }
        }
        let counts = [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
            (
                "max_concurrent_streams",
                self.max_concurrent_streams as usize,
            ),
        ];
        for (key, count) in counts {
            if count == 0 {
                return Err(format!("`{table}.{key}` is 0; it must be at least 1"));
            }
        }
        if self.max_connections > Semaphore::MAX_PERMITS {
            return Err(format!(
                "`{table}.max_connections` is {}; it must be at most {}",
                self.max_connections,
                Semaphore::MAX_PERMITS
            ));
        }
        if self.max_header_bytes < MIN_HEADER_BYTES {
            return Err(format!(
                "`{table}.max_header_bytes` is {}; it must be at least {MIN_HEADER_BYTES}",
                self.max_header_bytes
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_connection_could_live_with_is_refused() {
        let problem = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.validate("gateway.limits").unwrap_err()
        };
        assert!(Limits::default().validate("gateway.limits").is_ok());
        assert!(Limits::internal().validate("router.limits").is_ok());
        assert_eq!(
            problem(|limits| limits.max_connections = usize::MAX),
            format!(
                "`gateway.limits.max_connections` is {}; it must be at most {}",
                usize::MAX,
                Semaphore::MAX_PERMITS
            )
        );
        assert_eq!(
            problem(|limits| limits.body_timeout = Some(Duration::ZERO)),
            "`gateway.limits.body_timeout` is 0; it must be longer"
        );
        assert_eq!(
            problem(|limits| limits.max_concurrent_streams = 0),
            "`gateway.limits.max_concurrent_streams` is 0; it must be at least 1"
        );
    }
}
