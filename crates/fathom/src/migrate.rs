//! `fathom migrate`

use std::collections::BTreeSet;

use fathom_kit::database;

use crate::Config;

/// Brings the databases of the configuration up to date, one after the other, and says what that
/// took. Of several processes that do so at the same time, one works and the others wait.
///
/// # Errors
/// A database that cannot be opened, or a migration that fails; the database is as it was before
/// it.
pub async fn run(config: &Config) -> anyhow::Result<String> {
    let mut databases = BTreeSet::from([config.auth.database.as_str()]);
    databases.extend(config.router.database.as_deref());
    let mut applied = Vec::new();
    for database in databases {
        applied.extend(database::migrate(database).await?.applied);
    }
    if applied.is_empty() {
        return Ok("nothing to do: the database is up to date\n".to_owned());
    }
    Ok(applied
        .iter()
        .map(|version| format!("applied migration {version}\n"))
        .collect())
}
