//! `[gateway]`

use std::num::NonZeroUsize;
use std::time::Duration;

use fathom_kit::net::{Endpoint, ListenAddress};
use fathom_kit::server::Limits;
use fathom_proto::grpc::MAX_MESSAGE_BYTES;
use serde::{Deserialize, Serialize};

/// A message between services holds a body and a little more.
const MAX_BODY_BYTES: usize = MAX_MESSAGE_BYTES - 64 * 1024;

/// Addresses, limits and defaults of the public edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Public address.
    pub listen: ListenAddress,
    /// Address for gRPC, for clients inside: without TLS, so keep it private.
    pub grpc_listen: ListenAddress,
    /// Whether that port tells anybody its methods and messages; absent: in `fathom up`, and
    /// nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_reflection: Option<bool>,
    /// Address of `/livez`, `/readyz`, `/metrics`; not for the public.
    pub admin_listen: ListenAddress,
    /// The auth service, when it runs on its own.
    pub auth: Endpoint,
    /// The router, when it runs on its own.
    pub router: Endpoint,
    /// Largest request body; a larger one is refused before it is read. What the services behind
    /// accept bounds it: a little under 16 MiB.
    pub max_body_bytes: usize,
    /// How long auth, and the router's list of models, get to answer; a service that hangs must
    /// not hold the callers too.
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
    /// A request that takes longer, streams included, is ended with an error.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How many answers of one request are generated at a time; the next one begins when one ends.
    /// With more than an engine has slots, they wait in its queue for one another.
    pub concurrent_choices: NonZeroUsize,
    /// How long known identities are trusted when auth is not heard any more. Zero: revocations
    /// come before availability.
    #[serde(with = "humantime_serde")]
    pub identity_grace: Duration,
    /// How many credentials are remembered, and how many clients; about 1 KiB each.
    pub identity_cache_entries: u64,
    /// `temperature` of a request that names none; upstreams have their own.
    pub default_temperature: f32,
    /// `max_tokens` of a chat request that names none, so that a model that rambles ends; upstreams
    /// have their own.
    pub default_max_tokens: u32,
    /// What one connection may cost.
    pub limits: Limits,
    /// The WebSocket endpoint.
    pub websocket: WebSocket,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// A text that names the key and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        if self.max_body_bytes > MAX_BODY_BYTES {
            return Err(format!(
                "`gateway.max_body_bytes` is {}; it must be at most {MAX_BODY_BYTES}",
                self.max_body_bytes
            ));
        }
        if !(0.0..=2.0).contains(&self.default_temperature) {
            return Err(format!(
                "`gateway.default_temperature` is {}; it must be from 0 to 2",
                self.default_temperature
            ));
        }
        if self.default_max_tokens == 0 {
            return Err("`gateway.default_max_tokens` is 0; it must be at least 1".to_owned());
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ListenAddress::local(8080),
            grpc_listen: ListenAddress::local(8081),
            grpc_reflection: None,
            admin_listen: ListenAddress::local(9080),
            auth: Endpoint::local(8181),
            router: Endpoint::local(8281),
            max_body_bytes: 4 * 1024 * 1024,
            call_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(600),
            concurrent_choices: NonZeroUsize::MIN.saturating_add(3),
            identity_grace: Duration::from_secs(60),
            identity_cache_entries: 50_000,
            default_temperature: 0.7,
            default_max_tokens: 4096,
            limits: Limits::default(),
            websocket: WebSocket::default(),
        }
    }
}

/// `[gateway.websocket]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocket {
    /// Time from the handshake to a whole request; an idle socket is closed after it.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Largest message.
    pub max_message_bytes: usize,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            max_message_bytes: 1024 * 1024,
        }
    }
}
