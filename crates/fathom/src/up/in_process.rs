//! The worker of this process, which registers without a network.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fathom_kit::net::Endpoint;
use fathom_proto::Error;
use fathom_proto::id::WorkerId;
use fathom_proto::registry::{Announcement, Lease, Registry};
use fathom_router::Router;
use fathom_worker::Worker;
use fathom_worker::announce::{Discovery, Registration, keep_registered};

use crate::Config;
use crate::process::Process;
use crate::roles::announcement;

/// Keeps `worker` registered with `router` until `core` drains.
pub fn register(worker: &Worker, config: &Config, router: &Router, core: &Process) {
    // For log lines alone: nobody calls it.
    let endpoint = Endpoint::unix(Path::new("in-process"));
    let registration = Registration {
        worker: worker.clone(),
        announcement: announcement(&config.worker, endpoint.to_string()),
        routers: vec![endpoint],
        discovery: Arc::new(InProcess {
            worker: worker.clone(),
            router: router.clone(),
            lease: config.router.lease,
        }),
    };
    core.shutdown.spawn(keep_registered(
        registration,
        core.readiness.clone(),
        core.shutdown.clone(),
    ));
}

/// The router of this process, as the worker of this process finds it.
#[derive(Clone)]
struct InProcess {
    worker: Worker,
    router: Router,
    lease: Duration,
}

#[tonic::async_trait]
impl Discovery for InProcess {
    async fn resolve(&self, name: &Endpoint) -> io::Result<BTreeSet<Endpoint>> {
        Ok(BTreeSet::from([name.clone()]))
    }

    fn connect(&self, _: &Endpoint) -> Result<Arc<dyn Registry>, String> {
        Ok(Arc::new(self.clone()))
    }
}

#[tonic::async_trait]
impl Registry for InProcess {
    async fn register(&self, announcement: Announcement) -> Result<Lease, Error> {
        let worker = Arc::new(self.worker.clone());
        self.router.register_local(announcement, worker)?;
        Ok(Lease {
            duration: self.lease,
        })
    }

    async fn deregister(&self, worker: &WorkerId, incarnation: u64) -> Result<(), Error> {
        self.router.deregister(worker, incarnation).await
    }
}
