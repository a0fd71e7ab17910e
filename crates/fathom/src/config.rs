//! `fathom.toml`: one table a role.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fathom_kit::config::{ConfigError, Setting, load};
use fathom_kit::telemetry;
use serde::{Deserialize, Serialize};

/// The whole configuration. Every role reads the same file and uses its own table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Data folder; set by `FATHOM_HOME` alone, because defaults of other keys lie in it.
    #[serde(skip)]
    pub home: PathBuf,
    /// How long new requests are still served after the process is told to stop, while `/readyz`
    /// says that it wants none. Shorter than balancers take to notice: they send requests to a
    /// closed port. Zero where nobody balances.
    #[serde(with = "humantime_serde")]
    pub shutdown_delay: Duration,
    /// How long running requests get to finish after that.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// Logs.
    pub telemetry: telemetry::Config,
    /// The public edge.
    pub gateway: fathom_gateway::Config,
    /// Identities.
    pub auth: fathom_auth::Config,
    /// Models and workers.
    pub router: fathom_router::Config,
    /// Engines.
    pub worker: fathom_worker::Config,
}

impl Config {
    /// The defaults, with everything that is stored in `home`.
    #[must_use]
    pub fn defaults_in(home: &Path) -> Self {
        let database = format!("sqlite://{}?mode=rwc", home.join("fathom.db").display());
        Self {
            home: home.to_owned(),
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(30),
            telemetry: telemetry::Config::default(),
            gateway: fathom_gateway::Config::default(),
            auth: fathom_auth::Config {
                database: database.clone(),
                key_ring: home.join("keyring.json").into(),
                audit_head: home.join("audit-head.json"),
                ..fathom_auth::Config::default()
            },
            router: fathom_router::Config {
                database: Some(database),
                ..fathom_router::Config::default()
            },
            worker: fathom_worker::Config::default(),
        }
    }

    /// Defaults in `home`, then the file, the environment and `settings`.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong.
    pub fn load(
        home: &Path,
        file: Option<&Path>,
        settings: &[Setting],
    ) -> Result<Self, ConfigError> {
        let config = load(Self::defaults_in(home), file, settings)?;
        config.validate().map_err(ConfigError::Invalid)?;
        Ok(Self {
            home: home.to_owned(),
            ..config
        })
    }

    fn validate(&self) -> Result<(), String> {
        self.telemetry
            .validate()
            .map_err(|error| error.to_string())?;
        self.gateway.validate()?;
        self.auth.validate().map_err(|error| error.to_string())?;
        self.router.validate()?;
        self.worker.validate().map_err(|error| error.to_string())
    }

    /// The configuration as TOML, without the passwords that its URLs hold, and without what
    /// goes to upstreams in `headers`, which may be keys.
    ///
    /// # Errors
    /// None that a configuration that was loaded can cause.
    pub fn redacted(&self) -> Result<String, toml::ser::Error> {
        let mut table = toml::Table::try_from(self)?;
        table.iter_mut().for_each(|(_, value)| redact(value));
        toml::to_string(&table)
    }
}

/// Hides the password of every URL, before the host or in the query, and the values of headers.
fn redact(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => {
            if let Some((scheme, rest)) = text.split_once("://")
                && let Some((user, host)) = rest.rsplit_once('@')
                && let Some((name, _)) = user.split_once(':')
            {
                *text = format!("{scheme}://{name}:[redacted]@{host}");
            }
            if let Some((address, query)) = text.split_once('?')
                && query.contains("password=")
            {
                *text = format!("{address}?[redacted]");
            }
        }
        toml::Value::Array(values) => values.iter_mut().for_each(redact),
        toml::Value::Table(table) => table.iter_mut().for_each(|(key, value)| match value {
            toml::Value::Table(headers) if key == "headers" => headers
                .iter_mut()
                .for_each(|(_, value)| *value = "[redacted]".into()),
            value => redact(value),
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read_again() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("fathom.toml");
        let printed = Config::defaults_in(home.path()).redacted().unwrap();
        std::fs::write(&file, &printed).unwrap();
        let read = Config::load(home.path(), Some(&file), &[]).unwrap();
        assert_eq!(read.redacted().unwrap(), printed);
    }

    #[test]
    fn a_password_is_not_printed() {
        let setting = "auth.database=postgres://fathom:hunter2@db/fathom"
            .parse()
            .unwrap();
        let config = Config::load(Path::new("home"), None, &[setting]).unwrap();
        let printed = config.redacted().unwrap();
        assert!(
            printed.contains("postgres://fathom:[redacted]@db/fathom"),
            "{printed}"
        );
        let setting = "auth.database=postgres://db/fathom?user=fathom&password=hunter2"
            .parse()
            .unwrap();
        let config = Config::load(Path::new("home"), None, &[setting]).unwrap();
        let printed = config.redacted().unwrap();
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn a_header_of_an_upstream_is_named_and_not_printed() {
        let engine = r#"{kind = "upstream", serves = ["a"], base_url = "http://localhost", headers = {x-api-key = "hunter2"}}"#;
        let setting = format!("worker.engines=[{engine}]").parse().unwrap();
        let config = Config::load(Path::new("home"), None, &[setting]).unwrap();
        let printed = config.redacted().unwrap();
        assert!(printed.contains("x-api-key = \"[redacted]\""), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn the_shipped_file_is_valid() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/fathom.toml");
        Config::load(Path::new(".fathom"), Some(&file), &[]).unwrap();
    }
}
