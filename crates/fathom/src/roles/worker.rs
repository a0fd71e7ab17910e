//! `fathom worker`

use std::sync::Arc;

use fathom_kit::server::Limits;
use fathom_proto::grpc::{EnginesServer, InferenceServer};
use fathom_proto::id::WorkerId;
use fathom_proto::registry::Announcement;
use fathom_worker::Worker;
use fathom_worker::announce::{Network, Registration, keep_registered};
use tonic::service::Routes;

use crate::Config;
use crate::ports::{Ports, Role};
use crate::process::Process;

/// Loads the engines, serves them, and registers with every router. The worker is returned for
/// those who want to see what it runs.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn worker(config: &Config, process: &Process) -> anyhow::Result<(Role, Worker)> {
    let ports = Ports::bind(&config.worker.listen, &config.worker.admin_listen, process)?;
    let worker = Worker::start(&config.worker, &config.home, &process.shutdown).await?;
    let advertised = match &config.worker.advertise {
        Some(endpoint) => endpoint.clone(),
        None => ports.endpoint()?,
    };
    // A router that can never be called is found now, not in a log line later.
    for router in &config.worker.routers {
        router.channel().map_err(anyhow::Error::msg)?;
    }
    let registration = Registration {
        worker: worker.clone(),
        announcement: announcement(&config.worker, advertised.to_string()),
        routers: config.worker.routers.clone(),
        discovery: Arc::new(Network),
    };
    let port = Arc::new(worker.clone());
    let routes = Routes::new(InferenceServer::new(port.clone()))
        .add_service(EnginesServer::new(port))
        .into_axum_router();
    let role = ports.serve(routes, Limits::internal(), process)?;
    process.shutdown.spawn(keep_registered(
        registration,
        process.readiness.clone(),
        process.shutdown.clone(),
    ));
    Ok((role, worker))
}

/// What a new worker at `endpoint` says of itself, beside its models.
pub fn announcement(config: &fathom_worker::Config, endpoint: String) -> Announcement {
    Announcement {
        worker: WorkerId::generate(),
        incarnation: 0,
        endpoint,
        zone: config.zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: Vec::new(),
    }
}
