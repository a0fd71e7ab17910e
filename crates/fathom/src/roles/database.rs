//! A database that is not there when a role starts.

use std::error::Error;
use std::time::Duration;

use fathom_kit::backoff::Backoff;
use fathom_kit::database::{DatabaseError, connect};
use sqlx::AnyPool;

use crate::process::Process;

/// The condition of readiness that the database is open.
const DATABASE: &str = "database";

/// Opens the database. A server that cannot be reached, lets nobody in or cannot be migrated now
/// may do so later, without this process being started again: until then it is not ready, and
/// says why. A file that cannot be opened is an error at once.
///
/// # Errors
/// [`DatabaseError`], also the last one of a process that is told to stop meanwhile.
pub async fn wait_for_database(url: &str, process: &Process) -> Result<AnyPool, DatabaseError> {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    process.readiness.set(DATABASE, false);
    loop {
        let error = match connect(url).await {
            Ok(pool) => {
                process.readiness.set(DATABASE, true);
                return Ok(pool);
            }
            Err(error) => error,
        };
        if !url.starts_with("postgres") || matches!(error, DatabaseError::Address(_)) {
            return Err(error);
        }
        let cause = error.source().map(tracing::field::display);
        tracing::warn!(%error, cause, "waiting for the database");
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = process.told_to_stop() => return Err(error),
        }
    }
}
