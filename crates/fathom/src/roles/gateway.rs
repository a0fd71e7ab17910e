//! `fathom gateway`

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use fathom_gateway::resume::Streams;
use fathom_gateway::{Discovery, Failover, Gateway, Identities, Router, routes, watch};
use fathom_kit::net::Endpoint;
use fathom_proto::grpc::{
    AdministrationClient, CatalogClient, FeedbackClient, IdentityClient, InferenceClient,
    ModelsClient,
};

use crate::Config;
use crate::ports::{GrpcPort, Ports, Role};
use crate::process::Process;

/// Serves the public edge in front of an auth service and routers.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn gateway(config: &Config, process: &Process) -> anyhow::Result<Role> {
    let ports = Ports::bind(
        &config.gateway.listen,
        &config.gateway.admin_listen,
        process,
    )?;
    let grpc = GrpcPort::bind(&config.gateway)?;
    let edge = config.gateway.edge()?;
    let auth = config.gateway.auth.channel().map_err(anyhow::Error::msg)?;
    let routers = Failover::new(config.gateway.router.clone(), Arc::new(Network));
    let routers = Arc::new(routers.map_err(anyhow::Error::msg)?);
    process
        .shutdown
        .spawn(routers.clone().keep_current(process.shutdown.clone()));
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
        inference: routers.clone(),
        catalog: routers.clone(),
        feedback: routers.clone(),
        models: routers,
        streams: Streams::new(&config.gateway.resume),
        config: Arc::new(config.gateway.clone()),
        shutdown: process.shutdown.clone(),
    };
    let watch = watch::dependencies(gateway.clone(), process.readiness.clone());
    process.shutdown.spawn(watch);
    let grpc = grpc.serve(gateway.clone(), edge.clone(), false, process)?;
    let role = ports.serve(routes(gateway), edge, process)?;
    Ok(Role {
        grpc: Some(grpc),
        ..role
    })
}

/// Routers of other processes: by DNS and over gRPC.
struct Network;

#[tonic::async_trait]
impl Discovery for Network {
    async fn resolve(&self, name: &Endpoint) -> io::Result<BTreeSet<Endpoint>> {
        name.resolve().await
    }

    fn connect(&self, address: &Endpoint) -> Result<Router, String> {
        let channel = address.channel()?;
        Ok(Router {
            inference: Arc::new(InferenceClient::new(channel.clone())),
            catalog: Arc::new(CatalogClient::new(channel.clone())),
            feedback: Arc::new(FeedbackClient::new(channel.clone())),
            models: Arc::new(ModelsClient::new(channel)),
        })
    }
}
