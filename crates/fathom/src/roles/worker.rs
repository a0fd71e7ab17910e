//! `fathom worker`

use std::sync::Arc;

use fathom_kit::net::Endpoint;
use fathom_kit::server::Limits;
use fathom_proto::grpc::{InferenceServer, RegistryClient};
use fathom_proto::id::WorkerId;
use fathom_proto::registry::{Announcement, Registry};
use fathom_worker::{Worker, announce};
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
    let ports = Ports::bind(&config.worker.listen, &config.worker.admin_listen)?;
    let worker = Worker::start(&config.worker, &config.home, &process.shutdown).await?;
    let advertised = match &config.worker.advertise {
        Some(endpoint) => endpoint.clone(),
        None => ports.endpoint()?,
    };
    let announcement = Announcement {
        worker: WorkerId::generate(),
        endpoint: advertised.to_string(),
        models: worker.models(),
    };
    let routers = config
        .worker
        .routers
        .iter()
        .map(registry)
        .collect::<Result<_, _>>()?;
    let routes = Routes::new(InferenceServer::new(Arc::new(worker.clone()))).into_axum_router();
    let role = ports.serve(routes, Limits::internal(), process)?;
    process.shutdown.spawn(announce::keep_registered(
        announcement,
        routers,
        process.readiness.clone(),
        process.shutdown.clone(),
    ));
    Ok((role, worker))
}

fn registry(router: &Endpoint) -> anyhow::Result<(Endpoint, Arc<dyn Registry>)> {
    let channel = router.channel().map_err(anyhow::Error::msg)?;
    Ok((router.clone(), Arc::new(RegistryClient::new(channel))))
}
