//! `fathom auth`

use std::sync::Arc;

use anyhow::Context;
use fathom_auth::Auth;
use fathom_auth::demo::ensure_demo;
use fathom_kit::{database, server::Limits};
use fathom_proto::grpc::{AdministrationServer, IdentityServer};
use tonic::service::Routes;

use super::database::wait_for_database;
use crate::Config;
use crate::ports::{Ports, Role};
use crate::process::Process;

/// Serves identities.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn auth(config: &Config, process: &Process) -> anyhow::Result<Role> {
    let ports = Ports::bind(&config.auth.listen, &config.auth.admin_listen, process)?;
    let auth = open(&config.auth, process).await?;
    if let Some(path) = &config.auth.demo_credentials {
        ensure_demo(&auth, path).await?;
    }
    process
        .shutdown
        .spawn(auth.clone().keep_current(process.shutdown.clone()));
    let port = Arc::new(auth);
    let routes = Routes::new(IdentityServer::new(port.clone()))
        .add_service(AdministrationServer::new(port))
        .into_axum_router();
    Ok(ports.serve(routes, Limits::internal(), process)?)
}

/// The service over its database, for changes by hand.
///
/// # Errors
/// No database, or a key ring that does not fit it.
pub async fn attach(config: &fathom_auth::Config) -> anyhow::Result<Auth> {
    let pool = database::connect(&config.database).await?;
    Auth::attach(config.clone(), pool)
        .await
        .context("identities cannot be opened")
}

/// The service over its database, which is waited for.
///
/// # Errors
/// No database, or a key ring that does not fit it.
pub async fn open(config: &fathom_auth::Config, process: &Process) -> anyhow::Result<Auth> {
    let pool = wait_for_database(&config.database, process).await?;
    Auth::open(config.clone(), pool)
        .await
        .context("the auth service cannot start")
}
