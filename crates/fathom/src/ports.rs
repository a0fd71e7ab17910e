//! The open ports of a role. They are opened before anything else is done, so that a port that is
//! taken is found at once.

use std::io;

use axum::Router;
use fathom_gateway::Gateway;
use fathom_kit::net::{Endpoint, ListenAddress, Listener};
use fathom_kit::server::{Limits, serve};
use fathom_kit::{admin, shutdown::Shutdown};

use crate::process::Process;

/// Open and not served yet.
pub struct Ports {
    service: Listener,
    admin: Listener,
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
    /// Opens both ports.
    ///
    /// # Errors
    /// The system's, with the address.
    pub fn bind(service: &ListenAddress, admin: &ListenAddress) -> io::Result<Self> {
        Ok(Self {
            service: service.bind()?,
            admin: admin.bind()?,
        })
    }

    /// What clients of the role call.
    ///
    /// # Errors
    /// The system's, when the socket is gone.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        self.service.endpoint()
    }

    /// Serves the role's routes, and the admin routes until after the role has drained.
    ///
    /// # Errors
    /// The system's, when a socket is gone.
    pub fn serve(self, routes: Router, limits: Limits, process: &Process) -> io::Result<Role> {
        let role = Role {
            endpoint: self.service.endpoint()?,
            admin: self.admin.endpoint()?,
            grpc: None,
        };
        let admin = admin::routes(process.readiness.clone(), process.metrics.clone());
        spawn(self.service, routes, limits, &process.shutdown);
        spawn(self.admin, admin, Limits::default(), &process.admin);
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
        reflection: bool,
        process: &Process,
    ) -> anyhow::Result<Endpoint> {
        let endpoint = self.0.endpoint()?;
        let limits = gateway.config.limits;
        let reflection = gateway.config.grpc_reflection.unwrap_or(reflection);
        let (routes, health) = fathom_gateway::grpc::routes(gateway, reflection)?;
        let shutdown = &process.shutdown;
        shutdown.spawn(health.follow(process.readiness.clone(), shutdown.clone()));
        spawn(self.0, routes, limits, shutdown);
        Ok(endpoint)
    }
}

/// Serves `routes` until `shutdown` drains.
pub fn spawn(listener: Listener, routes: Router, limits: Limits, shutdown: &Shutdown) {
    shutdown.spawn(serve(listener, routes, limits, shutdown.clone()));
}
