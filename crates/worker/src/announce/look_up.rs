//! Looks a router's name up, again and again.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use fathom_kit::backoff::Backoff;
use fathom_kit::net::Endpoint;
use tokio::time::sleep;

use crate::announce::{BACKOFF, Discovery};

/// How often a name is looked up: a router that comes or goes is noticed after so long at most.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// What a router's name stands for, as it changes.
pub(super) struct LookUp<'a> {
    router: &'a Endpoint,
    discovery: &'a dyn Discovery,
    /// `None`: nothing more is to be found.
    pause: Option<Duration>,
    backoff: Backoff,
    failing: bool,
}

impl<'a> LookUp<'a> {
    /// Looks `router` up when it is first asked.
    pub fn new(router: &'a Endpoint, discovery: &'a dyn Discovery) -> Self {
        Self {
            router,
            discovery,
            pause: Some(Duration::ZERO),
            backoff: BACKOFF,
            failing: false,
        }
    }

    /// What it stands for, once that can be said again. Dropped, it begins anew.
    pub async fn next(&mut self) -> BTreeSet<Endpoint> {
        while let Some(pause) = self.pause {
            sleep(pause).await;
            match self.discovery.resolve(self.router).await {
                Ok(addresses) => {
                    self.pause = self.router.name().map(|_| PERIOD);
                    self.backoff = BACKOFF;
                    self.failing = false;
                    return addresses;
                }
                Err(error) => {
                    if !self.failing {
                        tracing::warn!(
                            router.endpoint = %self.router,
                            %error,
                            "cannot look the router up; trying again"
                        );
                    }
                    self.failing = true;
                    self.pause = Some(self.backoff.next_delay());
                }
            }
        }
        pending().await
    }
}
