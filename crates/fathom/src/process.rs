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
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
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
    delay: Duration,
    stop: CancellationToken,
}

impl Process {
    /// A process that gives running requests `grace` to finish. From here on, SIGTERM and SIGINT
    /// stop it, and a second one ends it within a second, with a word to whoever has a stream.
    ///
    /// # Errors
    /// The system's, when signals cannot be caught.
    pub fn start(grace: Duration, metrics: PrometheusHandle) -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let process = Self {
            shutdown: Shutdown::new(grace),
            admin: Shutdown::new(Duration::from_secs(1)),
            readiness: Readiness::default(),
            metrics,
            grace,
            delay: Duration::ZERO,
            stop: CancellationToken::new(),
        };
        fathom_kit::server::metrics::describe();
        fathom_auth::metrics::describe();
        fathom_gateway::metrics::describe();
        fathom_router::metrics::describe();
        fathom_worker::metrics::describe();
        spawn_upkeep(process.metrics.clone(), &process.admin);
        process
            .admin
            .spawn(process.clone().obey(terminate, interrupt));
        Ok(process)
    }

    /// The same process, which serves new requests for `delay` more when it is told to stop.
    #[must_use]
    pub fn delayed_by(self, delay: Duration) -> Self {
        Self { delay, ..self }
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

    /// Completes when the process is told to stop.
    pub async fn told_to_stop(&self) {
        self.stop.cancelled().await;
        self.readiness.set("running", false);
    }

    /// Completes when a process that serves is to drain: it has been told to stop, has said since
    /// then that it wants no traffic, and whoever balances has had the time to notice.
    pub async fn stopped(&self) {
        self.told_to_stop().await;
        if !self.delay.is_zero() {
            tracing::info!(
                delay_ms = self.delay.as_millis(),
                "stopping: new requests are served until balancers have noticed"
            );
            sleep(self.delay).await;
        }
        tracing::info!("stopping: running requests may finish");
    }

    async fn obey(self, mut terminate: Signal, mut interrupt: Signal) {
        tokio::select! {
            _ = terminate.recv() => self.stop(),
            _ = interrupt.recv() => self.stop(),
            () = self.stop.cancelled() => {}
            () = self.admin.draining() => return,
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.admin.draining() => return,
        }
        tracing::warn!("told to stop again: running requests are cut off");
        self.shutdown.expire().await;
        exit();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the second signal waits for nothing but the last words of streams"
)]
fn exit() {
    std::process::exit(1);
}
