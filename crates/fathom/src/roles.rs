//! One service in a process of its own: ports first, then what it stands on, then it serves.

mod auth;
mod database;
mod gateway;
mod router;
mod worker;

pub use auth::{attach as attach_auth, auth, open as open_auth};
pub use gateway::gateway;
pub use router::{open as open_router, router};
pub use worker::{announcement, worker};

use std::time::Duration;

use tokio::time::timeout;

use crate::ports::Role;
use crate::process::Process;

/// How long a role that is starting gets to notice that it should not.
const INTERRUPTION: Duration = Duration::from_secs(2);

/// Starts a role, runs it until the process is told to stop, and drains it. A role that is told
/// to stop while it starts, which may take minutes when weights are fetched, ends just as well.
///
/// # Errors
/// Whatever keeps the role from starting.
pub async fn run(
    start: impl Future<Output = anyhow::Result<Role>>,
    process: &Process,
) -> anyhow::Result<()> {
    let mut start = std::pin::pin!(start);
    tokio::select! {
        // Whoever waits when the process is told to stop may give up with an error.
        biased;
        () = process.told_to_stop() => {
            process.shutdown.drain().await;
            // Draining is what the starting role watches; what it has begun ends with it.
            let _ = timeout(INTERRUPTION, start).await;
        }
        role = start.as_mut() => {
            let role = role?;
            let grpc = role.grpc.as_ref().map(tracing::field::display);
            tracing::info!(endpoint = %role.endpoint, grpc, admin = %role.admin, "serving");
            process.stopped().await;
            process.shutdown.drain().await;
        }
    }
    process.admin.drain().await;
    tracing::info!("stopped");
    Ok(())
}
