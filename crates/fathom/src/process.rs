//! A running process: what tells it to stop, and the order in which it goes down.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use fathom_kit::readiness::Readiness;
use fathom_kit::shutdown::Shutdown;
use fathom_kit::telemetry::spawn_upkeep;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What every role of a process shares.
#[derive(Clone)]
pub struct Process {
    /// The shutdown of the services.
    pub shutdown: Shutdown,
    /// The admin ports; they answer until the services have drained.
    pub admin: Shutdown,
    /// Behind `/readyz`.
    pub readiness: Readiness,
    /// Behind `/metrics`.
    pub metrics: PrometheusHandle,
    grace: Duration,
    stop: CancellationToken,
}

impl Process {
    /// A process that gives running requests `grace` to finish.
    #[must_use]
    pub fn start(grace: Duration, metrics: PrometheusHandle) -> Self {
        let process = Self {
            shutdown: Shutdown::new(grace),
            admin: Shutdown::new(Duration::from_secs(1)),
            readiness: Readiness::default(),
            metrics,
            grace,
            stop: CancellationToken::new(),
        };
        fathom_auth::metrics::describe();
        fathom_gateway::metrics::describe();
        fathom_router::metrics::describe();
        fathom_worker::metrics::describe();
        spawn_upkeep(process.metrics.clone(), &process.admin);
        process
    }

    /// The same process with a shutdown of its own, for services that go down at another time.
    #[must_use]
    pub fn stage(&self) -> Self {
        Self {
            shutdown: Shutdown::new(self.grace),
            ..self.clone()
        }
    }

    /// Stops the process as a signal would.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops the process when standard input closes: a child whose parent is killed must not go
    /// on alone.
    ///
    /// # Errors
    /// The system's, when standard input is no pipe.
    pub fn stop_with_parent(&self) -> io::Result<()> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let mut parent = pipe::Receiver::from_owned_fd(stdin)?;
        let process = self.clone();
        self.admin.spawn(async move {
            let mut ignored = [0; 64];
            let closed = async { while matches!(parent.read(&mut ignored).await, Ok(1..)) {} };
            tokio::select! {
                () = closed => process.stop(),
                () = process.admin.draining() => {}
            }
        });
        Ok(())
    }

    /// Completes on SIGTERM, SIGINT or [`Self::stop`]. From then on, a second signal ends the
    /// process at once.
    ///
    /// # Errors
    /// The system's, when signals cannot be caught.
    pub async fn stopped(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.stop.cancelled() => {}
        }
        tracing::info!("stopping: running requests may finish");
        self.readiness.set("running", false);
        let drained = self.admin.clone();
        self.admin.spawn(async move {
            tokio::select! {
                _ = terminate.recv() => exit_at_once(),
                _ = interrupt.recv() => exit_at_once(),
                () = drained.draining() => {}
            }
        });
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the second signal asks for no shutdown at all"
)]
fn exit_at_once() {
    std::process::exit(1);
}
