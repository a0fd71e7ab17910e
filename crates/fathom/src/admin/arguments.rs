//! Flags that several commands share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fathom_proto::administration::Page;
use fathom_proto::id::{ModelId, TenantId};
use fathom_proto::identity::{Scope, Scopes};
use humantime_serde::re::humantime;
use jiff::Timestamp;

/// When something new ends; by default it does not.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub struct Expiry {
    /// End after this long, for example `30d`.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,
    /// End at this time, for example `2027-01-01T00:00:00Z`.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
}

impl Expiry {
    /// In seconds since the epoch.
    pub fn time(&self) -> Option<i64> {
        let later = |duration: Duration| {
            let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
            Timestamp::now().as_second().saturating_add(seconds)
        };
        self.expires_in
            .map(later)
            .or(self.expires_at.map(Timestamp::as_second))
    }
}

/// Another end for something.
#[derive(Args, Clone, Debug)]
pub struct ExpiryChange {
    #[command(flatten)]
    expiry: Expiry,
    /// Let it not end.
    #[arg(long, conflicts_with_all = ["expires_in", "expires_at"])]
    expires_never: bool,
}

impl ExpiryChange {
    /// As a change holds it: absent, without, or a time.
    pub fn change(&self) -> Option<Option<i64>> {
        if self.expires_never {
            return Some(None);
        }
        self.expiry.time().map(Some)
    }
}

/// Switching on and off.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub struct Switch {
    /// Switch it off: it is refused everywhere within a second.
    #[arg(long)]
    disable: bool,
    /// Switch it on again.
    #[arg(long)]
    enable: bool,
}

impl Switch {
    /// Whether it is to be off; `None`: as it is.
    pub fn disabled(&self) -> Option<bool> {
        (self.disable || self.enable).then_some(self.disable)
    }
}

/// What something new may do.
#[derive(Args, Clone, Debug)]
pub struct Access {
    /// What it may do; can be given several times.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope())]
    scopes: Vec<Scope>,
    /// A model that it may ask; can be given several times. By default all.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<ModelId>,
}

impl Access {
    /// As a set.
    pub fn scopes(&self) -> Scopes {
        self.scopes.iter().copied().collect()
    }

    /// `None`: all.
    pub fn models(self) -> Option<Vec<ModelId>> {
        (!self.models.is_empty()).then_some(self.models)
    }
}

/// Other things that something may do.
#[derive(Args, Clone, Debug)]
pub struct AccessChange {
    /// What it may do, in place of all that it might; can be given several times.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope())]
    scopes: Vec<Scope>,
    /// A model that it may ask, in place of those it might; can be given several times.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<ModelId>,
    /// Let it ask every model.
    #[arg(long, conflicts_with = "models")]
    all_models: bool,
}

impl AccessChange {
    /// As a change holds it.
    pub fn scopes(&self) -> Option<Scopes> {
        (!self.scopes.is_empty()).then(|| self.scopes.iter().copied().collect())
    }

    /// As a change holds it: absent, all, or these.
    pub fn models(self) -> Option<Option<Vec<ModelId>>> {
        if self.all_models {
            return Some(None);
        }
        (!self.models.is_empty()).then_some(Some(self.models))
    }
}

/// Whose things are listed.
#[derive(Args, Clone, Debug)]
pub struct OfTenant {
    /// Those of this tenant alone.
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
}

/// The JWK set in a file.
pub fn jwks(path: Option<PathBuf>) -> anyhow::Result<Option<serde_json::Value>> {
    let read = |path: &Path| {
        let text = std::fs::read(path)
            .with_context(|| format!("--jwks: {} cannot be read", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("--jwks: {} is no JSON", path.display()))
    };
    path.as_deref().map(read).transpose()
}

/// All of a list, which is given in parts.
pub async fn all<T, E>(
    part: impl AsyncFn(Page) -> Result<Vec<T>, E>,
    id: impl Fn(&T) -> &str,
) -> Result<Vec<T>, E> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let page = Page {
            after: all.last().map(|last| id(last).to_owned()),
            limit: Some(Page::MAX_LIMIT),
        };
        let found = part(page).await?;
        let is_last = found.len() < Page::MAX_LIMIT as usize;
        all.extend(found);
        if is_last {
            return Ok(all);
        }
    }
}

fn scope() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|name| {
        let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
        known.ok_or("no such scope")
    })
}
