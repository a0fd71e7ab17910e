//! What an operator can set, in table `[auth]`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fathom_kit::net::ListenAddress;
use fathom_token::SigningAlgorithm;
use serde::{Deserialize, Serialize};

use crate::{Error, KeyRingSource};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// Settings of the service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC is served. Whoever reaches it can guess credentials, so keep it off the edge.
    pub listen: ListenAddress,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub admin_listen: ListenAddress,
    /// URL of the database, `sqlite://PATH?mode=rwc` or `postgres://…`.
    pub database: String,
    /// The keys that seal and hash what the database holds: a file, made on the first start, or
    /// `env:NAME`, a variable with the text of one. A database without its key ring is lost, and a
    /// backup that holds both is in clear.
    pub key_ring: KeyRingSource,
    /// File with the signed end of the audit log, by which `fathom audit verify` sees that the end
    /// was cut off. Keep it where who may write the database may not.
    pub audit_head: PathBuf,
    /// `iss` of access tokens (RFC 9068). A change ends every token issued before it.
    pub issuer: String,
    /// `aud` of access tokens. A change ends every token issued before it.
    pub audience: String,
    /// How long an access token lives: 1 s to 24 h. A gateway that verifies tokens by itself
    /// honours one for this long, so a longer life makes revocation matter more.
    #[serde(with = "humantime_serde")]
    pub token_lifetime: Duration,
    /// What access tokens are signed with: `EdDSA`, `ES256` or `RS256`. A change publishes a key of
    /// the new algorithm, which takes over after `signing_key_publication`.
    pub signing_algorithm: SigningAlgorithm,
    /// How long a signing key signs before a new one takes over; 0: until an operator rotates it.
    #[serde(with = "humantime_serde")]
    pub signing_key_lifetime: Duration,
    /// From the publication of a signing key to its first signature: at least 1 s, and longer than
    /// verifiers keep the key set, which the gateway says is 5 minutes.
    #[serde(with = "humantime_serde")]
    pub signing_key_publication: Duration,
    /// Where to keep credentials of a demo tenant; absent: there is no demo tenant.
    pub demo_credentials: Option<PathBuf>,
    /// Address of the gateway as clients see it; written beside the demo credentials.
    pub public_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ListenAddress::local(8181),
            admin_listen: ListenAddress::local(9181),
            database: "sqlite://.fathom/fathom.db?mode=rwc".to_owned(),
            key_ring: KeyRingSource::File(".fathom/keyring.json".into()),
            audit_head: ".fathom/audit-head.json".into(),
            issuer: "http://127.0.0.1:8080".to_owned(),
            audience: "fathom".to_owned(),
            token_lifetime: Duration::from_secs(60 * 60),
            signing_algorithm: SigningAlgorithm::default(),
            signing_key_lifetime: Duration::from_secs(90 * DAY),
            signing_key_publication: Duration::from_secs(10 * 60),
            demo_credentials: None,
            public_url: "http://127.0.0.1:8080".to_owned(),
        }
    }
}

/// Leaves the database's address out, which may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("admin_listen", &self.admin_listen)
            .field("key_ring", &self.key_ring)
            .field("audit_head", &self.audit_head)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("token_lifetime", &self.token_lifetime)
            .field("signing_algorithm", &self.signing_algorithm)
            .field("signing_key_lifetime", &self.signing_key_lifetime)
            .field("signing_key_publication", &self.signing_key_publication)
            .field("demo_credentials", &self.demo_credentials)
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] names the setting and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        let invalid = |field, problem| Err(Error::InvalidConfig { field, problem });
        if self.issuer.is_empty() {
            return invalid("issuer", "is empty; give the URL that tokens shall name");
        }
        if self.issuer.ends_with('/') || self.issuer.contains(['?', '#']) {
            return invalid(
                "issuer",
                "must be a URL without a query and without a slash at its end",
            );
        }
        if self.audience.is_empty() {
            return invalid(
                "audience",
                "is empty; give the name that tokens shall be for",
            );
        }
        if !(1..=DAY).contains(&self.token_lifetime.as_secs()) {
            return invalid("token_lifetime", "is out of range; give 1s to 24h");
        }
        let (publication, lifetime) = (self.signing_key_publication, self.signing_key_lifetime);
        if !(1..=7 * DAY).contains(&publication.as_secs()) {
            return invalid("signing_key_publication", "is out of range; give 1s to 7d");
        }
        let lifetimes = publication..=Duration::from_secs(10 * 365 * DAY);
        if !lifetime.is_zero() && !lifetimes.contains(&lifetime) {
            return invalid(
                "signing_key_lifetime",
                "is out of range; give auth.signing_key_publication to 10 years, or 0s for no rotation",
            );
        }
        if self.public_url.contains(char::is_control) {
            return invalid("public_url", "holds a control character; give a plain URL");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn debug_output_hides_the_password_in_the_databases_address() {
        let database = "postgres://fathom:hush@db/fathom".to_owned();
        let text = format!(
            "{:?}",
            Config {
                database,
                ..Config::default()
            }
        );
        assert!(text.contains("issuer") && !text.contains("hush"), "{text}");
    }

    #[test]
    fn a_lifetime_out_of_range_is_refused_by_name() {
        type Set = fn(&mut Config) -> &mut Duration;
        let settings: [(&str, Set, &[u64]); 3] = [
            (
                "token_lifetime",
                |config| &mut config.token_lifetime,
                &[0, DAY + 1],
            ),
            (
                "signing_key_publication",
                |config| &mut config.signing_key_publication,
                &[0, 7 * DAY + 1],
            ),
            (
                "signing_key_lifetime",
                |config| &mut config.signing_key_lifetime,
                &[1, 599, 10 * 365 * DAY + 1],
            ),
        ];
        for (name, setting, wrong) in settings {
            for seconds in wrong {
                let mut config = Config::default();
                *setting(&mut config) = Duration::from_secs(*seconds);
                let message = config.validate().unwrap_err().to_string();
                assert!(message.starts_with(&format!("auth.{name} ")), "{message}");
            }
        }
        let config = Config {
            signing_key_lifetime: Duration::ZERO,
            ..Config::default()
        };
        config.validate().unwrap();
    }
}
