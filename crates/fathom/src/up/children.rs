//! The worker processes of local engines. They register over a socket, as workers of a cluster
//! do, and end before the registry does.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use fathom_auth::keyring::KeyRingSource;
use fathom_kit::net::{Endpoint, ListenAddress};
use fathom_kit::private::create_folder;
use fathom_kit::server::Limits;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::grpc::RegistryServer;
use fathom_router::Router;
use fathom_worker::{EngineConfig, KeySource};
use tokio::task::JoinSet;
use tonic::service::Routes;

use crate::Config;
use crate::ports::spawn;
use crate::process::Process;
use crate::supervisor::{CannotStart, Supervised};

/// Grace period of a child. It is told to stop when no request is left, and killed soon after.
const GRACE: &str = "3s";

/// Supervised worker processes, one for each local engine.
pub struct Children {
    running: JoinSet<Result<(), CannotStart>>,
    shutdown: Shutdown,
}

impl Children {
    /// Starts a process for each of `engines`. One that ends with an error before `was_ready` is
    /// not started again: see [`Self::failure`].
    pub fn start(
        config: &Config,
        engines: Vec<EngineConfig>,
        router: &Router,
        core: &Process,
        was_ready: &Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let mut children = Self {
            running: JoinSet::new(),
            shutdown: core.stage().shutdown,
        };
        if engines.is_empty() {
            return Ok(children);
        }
        let sockets = config.home.join("run");
        create_folder(&sockets)
            .with_context(|| format!("cannot make the folder {}", sockets.display()))?;
        let registry = ListenAddress::Unix(sockets.join("router.sock")).bind()?;
        let registry_endpoint = registry.endpoint()?;
        let routes = Routes::new(RegistryServer::new(Arc::new(router.clone()))).into_axum_router();
        spawn(registry, routes, Limits::internal(), &core.shutdown);
        let binary = std::env::current_exe().context("cannot find this binary")?;
        for (i, engine) in engines.into_iter().enumerate() {
            let socket = sockets.join(format!("worker-{i}.sock"));
            let worker = fathom_worker::Config {
                advertise: Some(Endpoint::unix(&socket)),
                listen: ListenAddress::Unix(socket),
                admin_listen: ListenAddress::Unix(sockets.join(format!("worker-{i}.admin.sock"))),
                routers: vec![registry_endpoint.clone()],
                engines: vec![engine],
                ..config.worker.clone()
            };
            let child = Supervised {
                name: "worker",
                arguments: worker_arguments(&worker, config)?,
                hidden: secret_variables(config),
            };
            let (binary, was_ready) = (binary.clone(), was_ready.clone());
            let shutdown = children.shutdown.clone();
            children.running.spawn(async move {
                child
                    .run(&binary, || was_ready.load(Ordering::Relaxed), &shutdown)
                    .await
            });
        }
        Ok(children)
    }

    /// Completes when a child cannot start; never, if all can.
    pub async fn failure(&mut self) -> CannotStart {
        while let Some(ended) = self.running.join_next().await {
            if let Ok(Err(error)) = ended {
                return error;
            }
        }
        std::future::pending().await
    }

    /// Tells the children to drain and waits until they have ended.
    pub async fn drain(mut self) {
        self.shutdown.drain().await;
        while self.running.join_next().await.is_some() {}
    }
}

/// Where configuration comes from, the key ring and the keys of upstreams if they come from there
/// too, and what PostgreSQL's clients take a password from.
fn secret_variables(config: &Config) -> Vec<OsString> {
    let mut names = fathom_kit::config::variables();
    names.extend(["PGPASSWORD", "PGPASSFILE"].map(OsString::from));
    if let KeyRingSource::Environment(name) = &config.auth.key_ring {
        names.push(name.into());
    }
    for engine in &config.worker.engines {
        if let EngineConfig::Upstream(upstream) = engine
            && let Some(KeySource::Environment(name)) = &upstream.api_key
        {
            names.push(name.into());
        }
    }
    names
}

/// The command line of a worker child. It holds every setting that matters to the child, so that
/// what the environment says of workers in general does not reach this one.
fn worker_arguments(
    worker: &fathom_worker::Config,
    config: &Config,
) -> anyhow::Result<Vec<String>> {
    let mut arguments = vec!["worker".to_owned(), "--supervised".to_owned()];
    arguments.extend(["--set".to_owned(), format!("shutdown_grace={GRACE}")]);
    // Nobody balances between children.
    arguments.extend(["--set".to_owned(), "shutdown_delay=0s".to_owned()]);
    let tables = [
        ("worker", toml::Table::try_from(worker)?),
        ("telemetry", toml::Table::try_from(&config.telemetry)?),
    ];
    for (table, settings) in tables {
        for (key, value) in settings {
            arguments.push("--set".to_owned());
            arguments.push(format!("{table}.{key}={value}"));
        }
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn local_engines_do_not_get_the_keys_of_upstreams() {
        let engine = r#"{kind = "upstream", serves = ["a"], base_url = "http://localhost", api_key = {environment = "UPSTREAM_KEY"}}"#;
        let setting = format!("worker.engines=[{engine}]").parse().unwrap();
        let config = Config::load(Path::new("home"), None, &[setting]).unwrap();
        assert!(secret_variables(&config).contains(&"UPSTREAM_KEY".into()));
    }
}
