//! One service in a process of its own: ports first, then what it stands on, then it serves.

mod auth;
mod gateway;
mod router;
mod worker;

pub use auth::{auth, open as open_auth};
pub use gateway::gateway;
pub use router::{open as open_router, router};
pub use worker::worker;

use crate::ports::Role;
use crate::process::Process;

/// Runs until the process is told to stop, then drains.
///
/// # Errors
/// The system's, when signals cannot be caught.
pub async fn until_stopped(role: Role, process: Process) -> anyhow::Result<()> {
    tracing::info!(endpoint = %role.endpoint, admin = %role.admin, "serving");
    process.stopped().await?;
    process.shutdown.drain().await;
    process.admin.drain().await;
    tracing::info!("stopped");
    Ok(())
}
