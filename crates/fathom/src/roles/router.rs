//! `fathom router`

use std::sync::Arc;

use anyhow::Context;
use fathom_kit::server::Limits;
use fathom_proto::grpc::{
    CatalogServer, FeedbackServer, InferenceServer, ModelsServer, RegistryServer,
};
use fathom_router::Router;
use tonic::service::Routes;

use super::database::wait_for_database;
use crate::Config;
use crate::ports::{Ports, Role};
use crate::process::Process;

/// Serves the catalogue and its administration, the registry of workers, and generations.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn router(config: &Config, process: &Process) -> anyhow::Result<Role> {
    let ports = Ports::bind(&config.router.listen, &config.router.admin_listen, process)?;
    let router = open(&config.router, process).await?;
    let port = Arc::new(router);
    let routes = Routes::new(InferenceServer::new(port.clone()))
        .add_service(CatalogServer::new(port.clone()))
        .add_service(FeedbackServer::new(port.clone()))
        .add_service(ModelsServer::new(port.clone()))
        .add_service(RegistryServer::new(port))
        .into_axum_router();
    Ok(ports.serve(routes, Limits::internal(), process)?)
}

/// The service over its database, kept current until the process drains.
///
/// # Errors
/// No database, or no table of models in it.
pub async fn open(config: &fathom_router::Config, process: &Process) -> anyhow::Result<Router> {
    let url = config
        .database
        .as_deref()
        .context("`router.database` is not set")?;
    let router = Router::new(wait_for_database(url, process).await?, config).await?;
    process
        .shutdown
        .spawn(router.clone().keep_current(process.shutdown.clone()));
    // Requests that may finish are counted too.
    process
        .admin
        .spawn(router.clone().keep_experiments(process.admin.clone()));
    Ok(router)
}
