//! Bringing the schema up to date, by one process at a time.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};
use sqlx::{AnyConnection, Connection};

use super::{DatabaseError, address, open, parse};
use crate::private::create_folder;

/// The migrations of this build. A database that a newer build has migrated is taken as it is:
/// migrations suit the version before them, and old replicas must be able to restart.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("../../migrations");
    migrations.set_ignore_missing(true);
    // The caller holds the lock, because it also reads what is there under it.
    migrations.set_locking(false);
    migrations
}

/// What [`migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Versions of the migrations that it applied, in their order; none if nothing was missing.
    pub applied: Vec<i64>,
}

/// Applies the migrations that are missing. Of several processes one migrates and the others
/// wait, for as long as it takes; a role that may not create tables will do if none is missing.
///
/// # Errors
/// [`DatabaseError`]; neither it nor its causes hold a password.
pub async fn migrate(url: &str) -> Result<Migrated, DatabaseError> {
    let options = parse(url)?;
    // SQLite has no advisory lock, so processes share a lock file.
    let _lock = match sqlite_file(url) {
        Some(file) => Some(lock(&file).await?),
        None => None,
    };
    let mut connection = open(&options).await?;
    let migrated = apply_missing(&mut connection).await;
    // PostgreSQL's lock ends with the connection.
    let _ = connection.close().await;
    migrated.map_err(|source| DatabaseError::Migrate {
        address: address(&options),
        source,
    })
}

async fn apply_missing(connection: &mut AnyConnection) -> Result<Migrated, MigrateError> {
    connection.lock().await?;
    let migrations = migrations();
    let applied = applied(connection).await;
    let missing: Vec<i64> = migrations
        .iter()
        .map(|migration| migration.version)
        .filter(|version| !applied.contains_key(version))
        .collect();
    let is_changed = migrations.iter().any(|migration| {
        let applied = applied.get(&migration.version);
        applied.is_some_and(|applied| applied.checksum != migration.checksum)
    });
    // The migrator creates its table first, which not every role may, even if it is there.
    if !missing.is_empty() || is_changed {
        migrations.run_direct(None, connection, false).await?;
    }
    Ok(Migrated { applied: missing })
}

/// What the database has; a table that cannot be read is none, and the migrator says what is
/// wrong with it.
async fn applied(connection: &mut AnyConnection) -> HashMap<i64, AppliedMigration> {
    let applied = connection.list_applied_migrations("_sqlx_migrations").await;
    let applied = applied.unwrap_or_default().into_iter();
    applied.map(|applied| (applied.version, applied)).collect()
}

/// The path in a `sqlite:` URL.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Some(PathBuf::from(path))
}

async fn lock(database: &Path) -> Result<File, DatabaseError> {
    let path = database.with_extension("migrate.lock");
    let in_task = path.clone();
    let locked = tokio::task::spawn_blocking(move || {
        if let Some(folder) = in_task.parent() {
            create_folder(folder)?;
        }
        let file = File::create(&in_task)?;
        file.lock()?;
        Ok(file)
    })
    .await
    .unwrap_or_else(|error| Err(std::io::Error::other(error)));
    locked.map_err(|source| DatabaseError::Prepare { path, source })
}
