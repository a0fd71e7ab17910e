//! Tells the routers that this worker is up and what it has to do, again and again until it
//! drains.

mod announcer;
mod discovery;
mod look_up;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fathom_kit::backoff::Backoff;
use fathom_kit::net::Endpoint;
use fathom_kit::readiness::Readiness;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::registry::Announcement;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::Worker;
use crate::announce::announcer::Announcer;
pub use crate::announce::discovery::{Discovery, Network};
use crate::announce::look_up::LookUp;

/// The condition of [`Readiness`] that at least one router knows this worker.
pub const REGISTERED: &str = "registered";

/// How long one call to a router may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Delays after a failure.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// What is told, and to whom.
pub struct Registration {
    /// What serves.
    pub worker: Worker,
    /// Who that is; its incarnation is filled in for each router, its models each time it is told.
    pub announcement: Announcement,
    /// The routers. A host name stands for every address behind it.
    pub routers: Vec<Endpoint>,
    /// How routers are found and called.
    pub discovery: Arc<dyn Discovery>,
}

/// Keeps the worker registered with every router, each of which goes its own way: with one that
/// cannot be reached it tries again for ever. Returns once draining has begun and every router
/// was told so; at once if there is no router to tell. The condition [`REGISTERED`] is set to
/// false before the future is first polled, so that nobody sees a worker ready that is not.
pub fn keep_registered(
    registration: Registration,
    readiness: Readiness,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + Send + 'static {
    if !registration.routers.is_empty() {
        readiness.set(REGISTERED, false);
    }
    announce_to_all(registration, readiness, shutdown)
}

async fn announce_to_all(registration: Registration, readiness: Readiness, shutdown: Shutdown) {
    let known = Known {
        routers: AtomicUsize::new(0),
        readiness,
    };
    let routers = registration.routers.iter();
    join_all(routers.map(|router| announce_to(router, &registration, &known, &shutdown))).await;
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

/// Announces to every address that `router` stands for, until draining begins.
async fn announce_to(
    router: &Endpoint,
    registration: &Registration,
    known: &Known,
    shutdown: &Shutdown,
) {
    let mut look_up = LookUp::new(router, registration.discovery.as_ref());
    let mut announcers = FuturesUnordered::new();
    // Cancelled, a token sends its announcer away.
    let mut told: BTreeMap<Endpoint, CancellationToken> = BTreeMap::new();
    loop {
        tokio::select! {
            () = shutdown.draining() => break,
            Some(()) = announcers.next() => {}
            addresses = look_up.next() => {
                for (_, gone) in told.extract_if(.., |address, _| !addresses.contains(address)) {
                    gone.cancel();
                }
                for address in addresses {
                    if let Entry::Vacant(untold) = told.entry(address) {
                        let announcer = Announcer::new(untold.key().clone(), registration);
                        let gone = untold.insert(CancellationToken::new()).clone();
                        announcers.push(announcer.run(known, gone, shutdown));
                    }
                }
            }
        }
    }
    while announcers.next().await.is_some() {}
}
