//! The database pool. SQLite and PostgreSQL are the same to the services: one set of migrations,
//! statements with `$1` placeholders, which both understand.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyPool, Executor};

use crate::private::create_folder;

/// The migrations of this build. A database that a newer build has migrated is taken as it is:
/// migrations suit the version before them, and old replicas must be able to restart.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("../../migrations");
    migrations.set_ignore_missing(true);
    migrations
}

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The server or file cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[source] sqlx::Error),
    /// The folder or the lock beside a SQLite file cannot be made.
    #[error("cannot prepare {}", .path.display())]
    Prepare {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A migration failed; the database is as it was before it.
    #[error("the database cannot be migrated")]
    Migrate(#[from] MigrateError),
}

/// Opens the database and brings its schema up to date. A SQLite file is created when absent.
///
/// # Errors
/// [`DatabaseError`]; causes may hold the address, never the password.
pub async fn connect(url: &str) -> Result<AnyPool, DatabaseError> {
    install_default_drivers();
    let file = sqlite_file(url);
    // SQLite has no advisory lock, so two processes that start together share a lock file.
    let _lock = match &file {
        Some(file) => Some(lock_migrations(file).await?),
        None => None,
    };
    let sqlite = file.is_some();
    let pool = AnyPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(2))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if sqlite {
                    connection.execute(SQLITE_PRAGMAS).await?;
                }
                Ok(())
            })
        })
        .connect(url)
        .await
        .map_err(DatabaseError::Open)?;
    migrations().run(&pool).await?;
    Ok(pool)
}

/// Readers never wait for the writer, writers wait for one another, and references hold.
const SQLITE_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
     PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;";

/// The path in a `sqlite:` URL.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Some(PathBuf::from(path))
}

async fn lock_migrations(database: &Path) -> Result<File, DatabaseError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_of_a_newer_build_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/fathom.db?mode=rwc", folder.path().display());
        let pool = connect(&url).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (99991231000000, 'of a newer build', TRUE, x'00', 0)";
        pool.execute(newer).await.unwrap();
        connect(&url).await.unwrap();
    }

    #[tokio::test]
    async fn processes_that_start_together_migrate_once() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!(
            "sqlite://{}/new/fathom.db?mode=rwc",
            folder.path().display()
        );
        let pools = tokio::join!(connect(&url), connect(&url), connect(&url));
        pools.0.unwrap();
        pools.1.unwrap();
        pools.2.unwrap();
    }
}
