//! The open ports of a role. They are opened before anything else is done, so that a port that is
//! taken is found at once.

use std::io;

use axum::Router;
use fathom_gateway::Gateway;
use fathom_kit::net::{Endpoint, ListenAddress, Listener};
use fathom_kit::server::{Edge, Limits, serve};
use fathom_kit::{admin, shutdown::Shutdown};

use crate::process::Process;

/// The condition of readiness that a role has begun to serve.
const STARTED: &str = "started";

/// Open; the service is not served yet, the admin port is.
pub struct Ports {
    service: Listener,
    admin: Endpoint,
}

/// Open for gRPC beside a role's own port, and not served yet.
pub struct GrpcPort(Listener);

/// A role that serves.
#[derive(Clone, Debug)]
pub struct Role {
    /// What clients of the role call.
    pub endpoint: Endpoint,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub admin: Endpoint,
    /// What clients of the gateway call over gRPC; no other role has a port of its own for that.
    pub grpc: Option<Endpoint>,
}

impl Ports {
    /// Opens both ports, and serves the admin routes, which say that the role is not ready yet.
    /// They are served until after the role has drained.
    ///
    /// # Errors
    /// The system's, with the address.
    pub fn bind(
        service: &ListenAddress,
        admin: &ListenAddress,
        process: &Process,
    ) -> io::Result<Self> {
        let (service, admin) = (service.bind()?, admin.bind()?);
        let ports = Self {
            service,
            admin: admin.endpoint()?,
        };
        process.readiness.set(STARTED, false);
        let routes = admin::routes(process.readiness.clone(), process.metrics.clone());
        spawn(admin, routes, Limits::default(), &process.admin);
        Ok(ports)
    }

    /// What clients of the role call.
    ///
    /// # Errors
    /// The system's, when the socket is gone.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        self.service.endpoint()
    }

    /// Serves the role's routes.
    ///
    /// # Errors
    /// The system's, when a socket is gone.
    pub fn serve(
        self,
        routes: Router,
        edge: impl Into<Edge>,
        process: &Process,
    ) -> io::Result<Role> {
        let edge = edge.into();
        let mut role = Role {
            endpoint: self.service.endpoint()?,
            admin: self.admin,
            grpc: None,
        };
        if let Some(tls) = &edge.tls {
            role.endpoint = role.endpoint.with_tls();
            let current = tls.clone().keep_current(process.shutdown.clone());
            process.shutdown.spawn(current);
        }
        spawn(self.service, routes, edge, &process.shutdown);
        process.readiness.set(STARTED, true);
        Ok(role)
    }
}

impl GrpcPort {
    /// Opens the gateway's.
    ///
    /// # Errors
    /// The system's, with the address.
    pub fn bind(config: &fathom_gateway::Config) -> io::Result<Self> {
        config.grpc_listen.bind().map(Self)
    }

    /// Serves the gateway's methods; they drain with its routes, and health says what `/readyz`
    /// does.
    ///
    /// # Errors
    /// The system's, when the socket is gone.
    pub fn serve(
        self,
        gateway: Gateway,
        edge: Edge,
        reflection: bool,
        process: &Process,
    ) -> anyhow::Result<Endpoint> {
        let mut endpoint = self.0.endpoint()?;
        if edge.tls.is_some() {
            endpoint = endpoint.with_tls();
        }
        let reflection = gateway.config.grpc_reflection.unwrap_or(reflection);
        let (routes, health) = fathom_gateway::grpc::routes(gateway, reflection)?;
        let shutdown = &process.shutdown;
        shutdown.spawn(health.follow(process.readiness.clone(), shutdown.clone()));
        spawn(self.0, routes, edge, shutdown);
        Ok(endpoint)
    }
}

/// Serves `routes` until `shutdown` drains.
pub fn spawn(listener: Listener, routes: Router, edge: impl Into<Edge>, shutdown: &Shutdown) {
    shutdown.spawn(serve(listener, routes, edge.into(), shutdown.clone()));
}
