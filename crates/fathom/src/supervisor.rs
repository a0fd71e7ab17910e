//! Child processes of the same binary, started again when they die.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Delay of the second start in a row; the first is at once.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// A child that ran for so long was healthy: its death starts the delays anew.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// A draining child has no more requests, because those who send them have drained before.
const CHILD_GRACE: Duration = Duration::from_secs(5);

/// A child that cannot start; its own words are on standard error.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot start ({status}); see the lines above")]
pub struct CannotStart {
    name: &'static str,
    status: ExitStatus,
}

/// How to start a child.
pub struct Supervised {
    /// For log lines.
    pub name: &'static str,
    /// Arguments of this binary.
    pub arguments: Vec<String>,
    /// Variables of our environment that are none of the child's business.
    pub hidden: Vec<OsString>,
}

impl Supervised {
    /// Runs the child, again and again, until draining begins; then its standard input closes and
    /// it drains too.
    ///
    /// # Errors
    /// [`CannotStart`] when the child exits by itself with an error before `was_ready` says that
    /// it once served: then starting it again would not help.
    pub async fn run(
        self,
        binary: &Path,
        was_ready: impl Fn() -> bool,
        shutdown: &Shutdown,
    ) -> Result<(), CannotStart> {
        let mut delay = Duration::ZERO;
        loop {
            let begun = Instant::now();
            match self.spawn(binary) {
                Ok(mut child) => {
                    // Waiting for a child closes the pipe that it still holds.
                    let lifeline = child.stdin.take();
                    let ended = tokio::select! {
                        ended = child.wait() => ended,
                        () = shutdown.draining() => {
                            drop(lifeline);
                            return self.drained(child).await;
                        }
                    };
                    if let Ok(status) = ended {
                        if status.code().is_some() && !was_ready() {
                            return Err(CannotStart {
                                name: self.name,
                                status,
                            });
                        }
                        tracing::error!(child = self.name, %status, "child process died; starting it again");
                    }
                }
                Err(error) => {
                    tracing::error!(child = self.name, %error, "child process cannot be started");
                }
            }
            if begun.elapsed() >= HEALTHY_AFTER {
                delay = Duration::ZERO;
            }
            tokio::select! {
                () = sleep(delay) => {}
                () = shutdown.draining() => return Ok(()),
            }
            delay = (delay * 2).clamp(FIRST_DELAY, LONGEST_DELAY);
        }
    }

    fn spawn(&self, binary: &Path) -> std::io::Result<Child> {
        let mut command = Command::new(binary);
        for name in &self.hidden {
            command.env_remove(name);
        }
        command
            .args(&self.arguments)
            // The child drains when this pipe closes, so it ends with us however we end.
            .stdin(Stdio::piped())
            // Ctrl-C in a terminal reaches the whole group; the child must outlive our draining.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn drained(&self, mut child: Child) -> Result<(), CannotStart> {
        if timeout(CHILD_GRACE, child.wait()).await.is_err() {
            tracing::warn!(
                child = self.name,
                "child process does not drain; killing it"
            );
            let _ = child.kill().await;
        }
        Ok(())
    }
}
