//! Tells the routers that this worker is up, again and again until it drains.

mod backoff;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fathom_kit::net::Endpoint;
use fathom_kit::readiness::Readiness;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::Error;
use fathom_proto::registry::{Announcement, Lease, Registry};
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use crate::announce::backoff::Backoff;

/// The condition of [`Readiness`] that at least one router knows this worker.
pub const REGISTERED: &str = "registered";

/// How long one call to a router may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the worker registered with every router, each of which goes its own way: with one that
/// cannot be reached it tries again for ever. Returns once draining has begun and every router
/// was told so; at once if there is no router to tell. The condition [`REGISTERED`] is set to
/// false before the future is first polled, so that nobody sees a worker ready that is not.
pub fn keep_registered(
    announcement: Announcement,
    routers: Vec<(Endpoint, Arc<dyn Registry>)>,
    readiness: Readiness,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + Send + 'static {
    if !routers.is_empty() {
        readiness.set(REGISTERED, false);
    }
    announce_to_all(announcement, routers, readiness, shutdown)
}

async fn announce_to_all(
    announcement: Announcement,
    routers: Vec<(Endpoint, Arc<dyn Registry>)>,
    readiness: Readiness,
    shutdown: Shutdown,
) {
    let known = Known {
        routers: AtomicUsize::new(0),
        readiness,
    };
    let announcers = routers.into_iter().map(|(endpoint, registry)| {
        let announcement = announcement.clone();
        let announcer = Announcer {
            announcement,
            endpoint,
            registry,
            registered: None,
        };
        announcer.run(&known, &shutdown)
    });
    join_all(announcers).await;
}

/// How many routers know the worker.
struct Known {
    routers: AtomicUsize,
    readiness: Readiness,
}

impl Known {
    fn add(&self) {
        self.routers.fetch_add(1, Ordering::Relaxed);
        self.readiness.set(REGISTERED, true);
    }

    fn remove(&self) {
        let others = self.routers.fetch_sub(1, Ordering::Relaxed) - 1;
        self.readiness.set(REGISTERED, others > 0);
    }
}

/// Announces to one router.
struct Announcer {
    announcement: Announcement,
    endpoint: Endpoint,
    registry: Arc<dyn Registry>,
    /// `None`: nothing is known yet.
    registered: Option<bool>,
}

impl Announcer {
    async fn run(mut self, known: &Known, shutdown: &Shutdown) {
        tokio::select! {
            () = self.renew(known) => {}
            () = shutdown.draining() => self.leave(known).await,
        }
    }

    /// Registers for ever: again after a third of the lease, or sooner after a failure.
    async fn renew(&mut self, known: &Known) {
        let mut backoff = Backoff::default();
        loop {
            let registered = self.register().await;
            self.note(&registered, known);
            match registered {
                Ok(lease) => {
                    backoff = Backoff::default();
                    sleep(lease.duration / 3).await;
                }
                Err(_) => sleep(backoff.next_delay()).await,
            }
        }
    }

    async fn register(&self) -> Result<Lease, Error> {
        let answer = timeout(
            CALL_TIMEOUT,
            self.registry.register(self.announcement.clone()),
        );
        answer.await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Logs a change of state, once.
    fn note(&mut self, answer: &Result<Lease, Error>, known: &Known) {
        let registered = answer.is_ok();
        if self.registered == Some(registered) {
            return;
        }
        match answer {
            Ok(_) => {
                tracing::info!(router.endpoint = %self.endpoint, "registered with the router");
                known.add();
            }
            Err(error) => {
                tracing::warn!(
                    router.endpoint = %self.endpoint,
                    %error,
                    "not registered with the router; trying again"
                );
                if self.registered == Some(true) {
                    known.remove();
                }
            }
        }
        self.registered = Some(registered);
    }

    async fn leave(&mut self, known: &Known) {
        let answer = timeout(
            CALL_TIMEOUT,
            self.registry.deregister(&self.announcement.worker),
        );
        if let Err(error) = answer.await.unwrap_or_else(|_| Err(no_answer())) {
            // The lease does the same, only later.
            tracing::warn!(
                router.endpoint = %self.endpoint,
                %error,
                "cannot deregister from the router"
            );
        }
        if self.registered == Some(true) {
            known.remove();
        }
    }
}

fn no_answer() -> Error {
    Error::new(
        fathom_proto::ErrorCode::DeadlineExceeded,
        "the router does not answer",
    )
}
