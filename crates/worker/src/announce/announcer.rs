//! Announces to one router.

use std::hash::{BuildHasher, RandomState};

use fathom_kit::net::Endpoint;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::registry::{Announcement, Lease, Registry};
use fathom_proto::{Error, ErrorCode};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::announce::{BACKOFF, CALL_TIMEOUT, Known, Registration};
use crate::serving::Serving;

/// Announces to one router.
pub(super) struct Announcer<'a> {
    registration: &'a Registration,
    changes: watch::Receiver<Serving>,
    router: Endpoint,
    /// Unlike that of any other announcer, so that none of them deregisters what another one
    /// registered.
    incarnation: u64,
    /// `None`: nothing is known yet.
    registered: Option<bool>,
}

impl<'a> Announcer<'a> {
    pub fn new(router: Endpoint, registration: &'a Registration) -> Self {
        Self {
            registration,
            changes: registration.worker.changes(),
            router,
            // 0 stands for any.
            incarnation: RandomState::new().hash_one(()).max(1),
            registered: None,
        }
    }

    /// Stays registered until the router is gone or draining begins, and deregisters then.
    pub async fn run(mut self, known: &Known, gone: CancellationToken, shutdown: &Shutdown) {
        let registry = match self.registration.discovery.connect(&self.router) {
            Ok(registry) => registry,
            Err(error) => {
                tracing::error!(router.endpoint = %self.router, %error, "this is no router");
                return;
            }
        };
        tokio::select! {
            () = self.renew(registry.as_ref(), known) => {}
            () = gone.cancelled() => {}
            () = shutdown.draining() => {}
        }
        self.leave(registry.as_ref(), known).await;
    }

    /// Registers for ever: again after a third of the lease, at once when other models are
    /// served, and soon after a failure.
    async fn renew(&mut self, registry: &dyn Registry, known: &Known) {
        let mut backoff = BACKOFF;
        loop {
            let registered = self.register(registry).await;
            self.note(&registered, known);
            match registered {
                Ok(lease) => {
                    backoff = BACKOFF;
                    tokio::select! {
                        () = sleep(lease.duration / 3) => {}
                        _ = self.changes.changed() => {}
                    }
                }
                Err(_) => sleep(backoff.next_delay()).await,
            }
        }
    }

    async fn register(&mut self, registry: &dyn Registry) -> Result<Lease, Error> {
        let models = self.changes.borrow_and_update().models();
        let announcement = Announcement {
            incarnation: self.incarnation,
            models,
            ..self.registration.announcement.clone()
        };
        let answer = timeout(CALL_TIMEOUT, registry.register(announcement));
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
                tracing::info!(router.endpoint = %self.router, "registered with the router");
                known.add();
            }
            Err(error) => {
                tracing::warn!(
                    router.endpoint = %self.router,
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

    async fn leave(&mut self, registry: &dyn Registry, known: &Known) {
        let worker = &self.registration.announcement.worker;
        let answer = timeout(CALL_TIMEOUT, registry.deregister(worker, self.incarnation)).await;
        if let Err(error) = answer.unwrap_or_else(|_| Err(no_answer())) {
            // The lease does the same, only later.
            tracing::warn!(
                router.endpoint = %self.router,
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
    Error::new(ErrorCode::DeadlineExceeded, "the router does not answer")
}
