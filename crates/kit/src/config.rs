//! Layered configuration: defaults → file → environment → flags, with typed leaves.
//!
//! `FATHOM__GATEWAY__LISTEN=127.0.0.1:9000` sets `listen` of the table `[gateway]`.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Source};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the names of variables that set configuration begin with.
const PREFIX: &str = "FATHOM__";

/// Why a configuration is refused. Processes exit with code 2 on it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named on the command line is not there.
    #[error("the configuration file {} does not exist", .0.display())]
    NoFile(PathBuf),
    /// A key or value is wrong; the text names it and its source.
    #[error("{0}")]
    Invalid(String),
}

/// Reads the configuration in its layers; `flags` are the command line's `KEY=VALUE` settings.
///
/// # Errors
/// [`ConfigError`] for a missing file, an unknown key or a value of the wrong type.
pub fn load<T>(defaults: T, file: Option<&Path>, flags: &[Setting]) -> Result<T, ConfigError>
where
    T: Serialize + DeserializeOwned,
{
    let mut figment = Figment::from(Serialized::defaults(defaults));
    if let Some(file) = file {
        if !file.is_file() {
            return Err(ConfigError::NoFile(file.to_owned()));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    figment = figment.merge(Env::prefixed(PREFIX).split("__"));
    for Setting { key, value } in flags {
        figment = figment.merge(Serialized::default(key, value));
    }
    figment
        .extract()
        .map_err(|error| ConfigError::Invalid(describe(error)))
}

/// One setting of the command line, `KEY=VALUE` with a dotted key, as in
/// `gateway.listen=127.0.0.1:9000`. The value is TOML, or else a plain string.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Dotted key.
    pub key: String,
    /// Typed value.
    pub value: toml::Value,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is no setting; write KEY=VALUE"))?;
        let parsed = toml::from_str(&format!("value = {value}"))
            .ok()
            .and_then(|mut table: toml::Table| table.remove("value"));
        let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

/// The data folder of `fathom up`: `$FATHOM_HOME`, else `.fathom` here.
#[must_use]
pub fn home() -> PathBuf {
    std::env::var_os("FATHOM_HOME").map_or_else(|| PathBuf::from(".fathom"), PathBuf::from)
}

/// Names of the environment's variables that set configuration: a child that was told all it
/// needs by its arguments shall not inherit them, because passwords may be among them.
#[must_use]
pub fn variables() -> Vec<OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names
        .filter(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
        .collect()
}

/// The text of a variable that holds a secret; `None` if it is not set or no UTF-8.
#[must_use]
pub fn secret_from_env(name: &str) -> Option<SecretString> {
    std::env::var(name).ok().map(SecretString::from)
}

/// One line for each thing that is wrong: the key, the problem, the source, and what would be
/// right where that is known.
fn describe(error: figment::Error) -> String {
    let lines: Vec<String> = error
        .into_iter()
        .map(|error| describe_one(&error))
        .collect();
    lines.join("\n")
}

fn describe_one(error: &figment::Error) -> String {
    let mut path = error.path.join(".");
    let problem = match &error.kind {
        Kind::UnknownField(name, known) => {
            if !path.ends_with(name.as_str()) {
                path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
            }
            match nearest(name, known) {
                Some(near) => format!("unknown key; did you mean `{near}`?"),
                None => format!("unknown key; known here: {}", known.join(", ")),
            }
        }
        kind => kind.to_string(),
    };
    let source = error
        .metadata
        .as_ref()
        .map(|metadata| match &metadata.source {
            // Values from code are the command line's: the defaults are never wrong.
            Some(Source::Code(_)) => " (on the command line)".to_owned(),
            Some(source) => format!(" (in {source})"),
            None => format!(" (in {})", metadata.name),
        });
    format!("`{path}`: {problem}{}", source.unwrap_or_default())
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(2))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Serialize, Deserialize, Default, Debug)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        gateway: Gateway,
    }

    #[derive(Serialize, Deserialize, Default, Debug)]
    #[serde(default, deny_unknown_fields)]
    struct Gateway {
        listen: String,
        max_body_bytes: u32,
    }

    fn load_text(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fathom.toml");
        std::fs::write(&path, text).unwrap();
        load(Config::default(), Some(&path), &[])
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let error = load_text("[gateway]\nlisen = 'x'").unwrap_err().to_string();
        assert!(
            error.starts_with("`gateway.lisen`: unknown key; did you mean `listen`?"),
            "{error}"
        );
        assert!(error.contains("fathom.toml"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_its_key() {
        let error = load_text("[gateway]\nmax_body_bytes = 'many'")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`gateway.max_body_bytes`: "), "{error}");
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fathom.toml");
        std::fs::write(&path, "[gateway]\nlisten = 'file'").unwrap();
        let flags = [
            "gateway.listen=flag".parse().unwrap(),
            "gateway.max_body_bytes=7".parse().unwrap(),
        ];
        let config: Config = load(Config::default(), Some(&path), &flags).unwrap();
        assert_eq!(config.gateway.listen, "flag");
        assert_eq!(config.gateway.max_body_bytes, 7);
    }

    #[test]
    fn a_wrong_flag_is_said_to_be_on_the_command_line() {
        let flag = "gateway.lisen=x".parse().unwrap();
        let error = load(Config::default(), None, &[flag])
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("did you mean `listen`? (on the command line)"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Config::default(), Some(Path::new("/no/such.toml")), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration file /no/such.toml does not exist"
        );
    }

    #[test]
    fn a_secret_comes_from_a_variable_if_that_is_set() {
        assert!(secret_from_env("PATH").is_some());
        assert!(secret_from_env("FATHOM_NO_SUCH_VARIABLE").is_none());
    }
}
