//! `fathom gateway`

use std::sync::Arc;

use fathom_gateway::{Failover, Gateway, Identities, routes, watch};
use fathom_proto::grpc::{
    AdministrationClient, CatalogClient, FeedbackClient, IdentityClient, InferenceClient,
    ModelsClient,
};

use crate::Config;
use crate::ports::{GrpcPort, Ports, Role};
use crate::process::Process;

/// Serves the public edge in front of an auth service and a router.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn gateway(config: &Config, process: &Process) -> anyhow::Result<Role> {
    let ports = Ports::bind(&config.gateway.listen, &config.gateway.admin_listen)?;
    let grpc = GrpcPort::bind(&config.gateway)?;
    let auth = config.gateway.auth.channel().map_err(anyhow::Error::msg)?;
    let router = config
        .gateway
        .router
        .channel()
        .map_err(anyhow::Error::msg)?;
    let identity = Arc::new(IdentityClient::new(auth.clone()));
    let identities = Identities::new(identity.clone(), &config.gateway);
    // Streams that may finish must still end when their caller is shut out.
    process
        .admin
        .spawn(identities.clone().keep_current(process.admin.clone()));
    let gateway = Gateway {
        identity,
        identities,
        administration: Arc::new(AdministrationClient::new(auth)),
        inference: Arc::new(Failover::new(Arc::new(InferenceClient::new(
            router.clone(),
        )))),
        catalog: Arc::new(CatalogClient::new(router.clone())),
        feedback: Arc::new(FeedbackClient::new(router.clone())),
        models: Arc::new(ModelsClient::new(router)),
        config: Arc::new(config.gateway.clone()),
        shutdown: process.shutdown.clone(),
    };
    let watch = watch::dependencies(gateway.clone(), process.readiness.clone());
    process.shutdown.spawn(watch);
    let grpc = grpc.serve(gateway.clone(), false, process)?;
    let role = ports.serve(routes(gateway), config.gateway.limits, process)?;
    Ok(Role {
        grpc: Some(grpc),
        ..role
    })
}
