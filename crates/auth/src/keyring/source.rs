//! Where a key ring comes from.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keys::Keys;
use super::{edit, file};
use crate::{Error, private_file};

/// What a text starts with that names a variable of the environment.
const ENVIRONMENT: &str = "env:";

/// A file, or `env:NAME`: a variable of the environment with the text of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRingSource {
    /// A file; made on the first start.
    File(PathBuf),
    /// Name of a variable.
    Environment(String),
}

impl KeyRingSource {
    pub(super) async fn load_or_create(&self) -> Result<Keys, Error> {
        if let Self::File(path) = self
            && private_file::read(path).await?.is_none()
            && private_file::create(path, &file::fresh()?).await?
        {
            tracing::info!(path = %path.display(), "created a key ring; back it up with the database");
        }
        let text = self.text().await?;
        let file = file::File::from_text(&text).map_err(|problem| self.invalid(problem))?;
        if let Self::File(path) = self
            && file.audit.is_empty()
        {
            edit::add_missing_audit_key(path).await?;
        }
        self.read().await
    }

    pub(super) async fn read(&self) -> Result<Keys, Error> {
        let text = self.text().await?;
        file::parse(&text).map_err(|problem| self.invalid(problem))
    }

    async fn text(&self) -> Result<SecretString, Error> {
        match self {
            Self::File(path) => {
                let text = private_file::read(path).await?;
                text.ok_or_else(|| self.invalid("it is not there"))
            }
            Self::Environment(name) => fathom_kit::config::secret_from_env(name)
                .ok_or_else(|| self.invalid("the variable is not set")),
        }
    }

    pub(super) fn invalid(&self, problem: &'static str) -> Error {
        Error::InvalidKeyRing {
            key_ring: self.to_string(),
            problem,
        }
    }
}

impl fmt::Display for KeyRingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => write!(f, "{ENVIRONMENT}{name}"),
        }
    }
}

impl FromStr for KeyRingSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix(ENVIRONMENT) {
            Some(name) => Self::Environment(name.to_owned()),
            None => Self::File(text.into()),
        })
    }
}

impl From<PathBuf> for KeyRingSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for KeyRingSource {
    fn from(path: &P) -> Self {
        Self::File(path.as_ref().to_owned())
    }
}

impl Serialize for KeyRingSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyRingSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Ok(source) = text.parse();
        Ok(source)
    }
}
