//! `[gateway]`

use std::num::NonZeroUsize;
use std::time::Duration;

use fathom_kit::net::{Endpoint, ListenAddress};
use fathom_kit::server::{Edge, Limits, Tls, TlsConfig, TlsError, TrustedProxies};
use fathom_proto::grpc::MAX_MESSAGE_BYTES;
use serde::{Deserialize, Serialize};

use crate::origin::Origin;

/// A message between services holds a body and a little more.
const MAX_BODY_BYTES: usize = MAX_MESSAGE_BYTES - 64 * 1024;

/// With less, hardly an event would be there to be sent again.
const MIN_RESUME_BYTES: usize = 16 * 1024;

/// Some proxies give up a connection after so much more than that.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Addresses, limits and defaults of the public edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Public address.
    pub listen: ListenAddress,
    /// Address for gRPC, for clients inside, with the same TLS as the public one.
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
    /// How long an answer may stay silent before it begins with something that readers skip; what
    /// fails after that has the status 200. At most [`MAX_KEEP_ALIVE`]; zero: it may for ever.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
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
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` count: networks of proxies. One too many can
    /// say of any request that it comes from anywhere.
    pub trusted_proxies: TrustedProxies,
    /// TLS on the public port; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Models that stand for Anthropic's names on its routes: the first pattern that fits counts,
    /// and a name that none fits is the name of a model. A client that asks for `claude-…` gets
    /// 404 where nothing stands for it.
    pub anthropic_models: Vec<ModelAlias>,
    /// What one connection may cost.
    pub limits: Limits,
    /// The WebSocket endpoint.
    pub websocket: WebSocket,
    /// Streams that clients may take up again.
    pub resume: Resume,
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
        if let Some(alias) = self.anthropic_models.iter().find(|it| !it.is_valid()) {
            return Err(format!(
                "`gateway.anthropic_models` has the pattern `{}` for `{}`; a pattern is a name, \
                 perhaps with one `*` at its end, and the model is one too",
                alias.pattern, alias.model
            ));
        }
        if self.keep_alive > MAX_KEEP_ALIVE {
            return Err(format!(
                "`gateway.keep_alive` is {:?}; it must be at most {MAX_KEEP_ALIVE:?}",
                self.keep_alive
            ));
        }
        if self.default_max_tokens == 0 {
            return Err("`gateway.default_max_tokens` is 0; it must be at least 1".to_owned());
        }
        if self.websocket.ping_interval.is_zero() {
            return Err("`gateway.websocket.ping_interval` is 0; it must be longer".to_owned());
        }
        if self.resume.buffer_bytes < MIN_RESUME_BYTES {
            return Err(format!(
                "`gateway.resume.buffer_bytes` is {}; it must be at least {MIN_RESUME_BYTES}",
                self.resume.buffer_bytes
            ));
        }
        self.limits.validate("gateway.limits")
    }
}

impl Config {
    /// How public ports take their connections.
    ///
    /// # Errors
    /// What is wrong with the files of [`Self::tls`].
    pub fn edge(&self) -> Result<Edge, TlsError> {
        Ok(Edge {
            limits: self.limits,
            tls: self.tls.as_ref().map(Tls::load).transpose()?,
            trusted_proxies: self.trusted_proxies.clone(),
        })
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
            keep_alive: Duration::from_secs(10),
            concurrent_choices: NonZeroUsize::MIN.saturating_add(3),
            identity_grace: Duration::from_secs(60),
            identity_cache_entries: 50_000,
            default_temperature: 0.7,
            default_max_tokens: 4096,
            trusted_proxies: TrustedProxies::default(),
            tls: None,
            anthropic_models: Vec::new(),
            limits: Limits::default(),
            websocket: WebSocket::default(),
            resume: Resume::default(),
        }
    }
}

/// `[[gateway.anthropic_models]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelAlias {
    /// A name, or with `*` at its end the beginning of names.
    pub pattern: String,
    /// The model that is asked in their place.
    pub model: String,
}

impl ModelAlias {
    /// Whether it stands for this name.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.pattern,
        }
    }

    fn is_valid(&self) -> bool {
        let name = self.pattern.strip_suffix('*').unwrap_or(&self.pattern);
        !self.pattern.is_empty() && !name.contains('*') && !self.model.is_empty()
    }
}

/// `[gateway.websocket]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocket {
    /// Time from the handshake to a whole request; an idle socket is closed after it.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Largest message; a larger one closes the socket.
    pub max_message_bytes: usize,
    /// How often a client is pinged. One that answers none of two is gone: its generations end at
    /// the latest three such times after it was last there.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// Requests running on one socket at a time; a further one is refused.
    pub max_streams: NonZeroUsize,
    /// Origins of pages that may open sockets, besides pages of this server's own host.
    pub allowed_origins: Vec<Origin>,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            max_message_bytes: 1024 * 1024,
            ping_interval: Duration::from_secs(20),
            max_streams: NonZeroUsize::MIN.saturating_add(31),
            allowed_origins: Vec::new(),
        }
    }
}

/// `[gateway.resume]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resume {
    /// How long a stream that nobody reads goes on, and is kept when it is complete. Its generation
    /// holds a slot meanwhile.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How much of a stream is kept: half of it for what is not sent, after which the generation
    /// pauses, and the rest for what was sent and may not have arrived.
    pub buffer_bytes: usize,
    /// Streams kept at a time, complete ones too; a further one cannot be taken up again.
    pub max_streams: usize,
    /// As many of them at most are of one tenant, so that none can take all.
    pub max_streams_per_tenant: usize,
}

impl Default for Resume {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            buffer_bytes: 256 * 1024,
            max_streams: 1000,
            max_streams_per_tenant: 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_one() {
        let alias = |pattern: &str| ModelAlias {
            pattern: pattern.to_owned(),
            model: "m".to_owned(),
        };
        assert!(alias("claude*").fits("claude-opus") && alias("claude*").fits("claude"));
        assert!(alias("claude").fits("claude") && !alias("claude").fits("claude-opus"));
        assert!(alias("*").fits("anything"));
        for (pattern, holds) in [("claude*", true), ("*", true), ("", false), ("a*b", false)] {
            let config = Config {
                anthropic_models: vec![alias(pattern)],
                ..Config::default()
            };
            assert_eq!(config.validate().is_ok(), holds, "{pattern}");
        }
    }
}
