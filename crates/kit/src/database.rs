//! The database pool. SQLite and PostgreSQL are the same to the services: one set of migrations,
//! statements with `$1` placeholders, which both understand.

mod migrations;

pub use migrations::{Migrated, migrate};

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Executor};
use tokio::time::timeout;

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address cannot be read.
    #[error(
        "the database's address is no URL; write sqlite://PATH?mode=rwc or postgres://USER@HOST/NAME"
    )]
    Address(#[source] sqlx::Error),
    /// The server or file cannot be opened.
    #[error("the database {address} cannot be opened")]
    Open {
        /// Its URL without password and parameters.
        address: String,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
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
    #[error("the database {address} cannot be migrated")]
    Migrate {
        /// Its URL without password and parameters.
        address: String,
        /// Why not.
        #[source]
        source: MigrateError,
    },
}

/// Opens the database, and brings its schema up to date if something is missing. A SQLite file is
/// created when absent.
///
/// # Errors
/// [`DatabaseError`]; neither it nor its causes hold a password.
pub async fn connect(url: &str) -> Result<AnyPool, DatabaseError> {
    migrate(url).await?;
    let options = parse(url)?;
    let address = address(&options);
    AnyPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(PATIENCE)
        .after_connect(|connection, _| Box::pin(prepare(connection)))
        .connect_with(options)
        .await
        .map_err(|source| DatabaseError::Open { address, source })
}

/// How long it may take to get a connection: a caller that waits longer has given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Readers never wait for the writer, writers wait for one another, and references hold.
const SQLITE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
     PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;";

/// Nothing that hangs keeps a connection of the pool, or the rows it has locked, for ever.
const POSTGRES: &str = "SET lock_timeout = '5s'; SET statement_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '10s';";

/// Sets what every connection of a pool needs.
async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let settings = match connection.backend_name() {
        "PostgreSQL" => POSTGRES,
        _ => SQLITE,
    };
    connection.execute(settings).await?;
    Ok(())
}

fn parse(url: &str) -> Result<AnyConnectOptions, DatabaseError> {
    install_default_drivers();
    url.parse().map_err(DatabaseError::Address)
}

/// One connection, outside of a pool.
async fn open(options: &AnyConnectOptions) -> Result<AnyConnection, DatabaseError> {
    let opened = timeout(PATIENCE, options.connect()).await;
    opened
        .unwrap_or_else(|_| Err(std::io::Error::from(ErrorKind::TimedOut).into()))
        .map_err(|source| DatabaseError::Open {
            address: address(options),
            source,
        })
}

/// The URL as it may be shown.
fn address(options: &AnyConnectOptions) -> String {
    let mut url = options.database_url.clone();
    // Fails where a URL has no place for a password.
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}
