//! `fathom up`: every service in this process, wired directly. A local engine runs in a child
//! process, because an assertion that fails in llama.cpp ends the process it is in.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use fathom_auth::Auth;
use fathom_auth::demo::{DemoCredentials, ensure_demo};
use fathom_gateway::Gateway;
use fathom_kit::net::ListenAddress;
use fathom_kit::server::Limits;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::Catalog;
use fathom_proto::grpc::RegistryServer;
use fathom_proto::id::WorkerId;
use fathom_proto::registry::Announcement;
use fathom_router::Router;
use fathom_worker::{EngineConfig, Worker};
use tokio::task::JoinSet;
use tonic::service::Routes;

use crate::Config;
use crate::banner;
use crate::ports::{Ports, Role, spawn};
use crate::process::Process;
use crate::roles::{open_auth, open_router};
use crate::supervisor::{CannotStart, Supervised};

/// How soon `/readyz` follows a change of what is served.
const WATCH_MODELS: Duration = Duration::from_millis(100);

/// Runs until the process is told to stop.
///
/// # Errors
/// Whatever keeps a service from starting.
pub async fn run(config: Config, process: Process) -> anyhow::Result<()> {
    let demo_file = config.home.join("demo.env");
    let up = Up::start(config, &process).await?;
    let demo = up.demo(&demo_file).await?;
    let welcome = async {
        process.readiness.ready().await;
        banner::print(&demo, &demo_file)?;
        std::future::pending::<std::io::Result<()>>().await
    };
    let mut engines = up.engines;
    tokio::select! {
        stopped = process.stopped() => stopped?,
        silenced = welcome => silenced?,
        Some(Ok(Err(error))) = engines.join_next() => return Err(error.into()),
    }
    // Each stage ends before what it stands on goes down: the edge, the engines, the rest.
    process.shutdown.drain().await;
    up.children.drain().await;
    while engines.join_next().await.is_some() {}
    up.core.shutdown.drain().await;
    process.admin.drain().await;
    tracing::info!("stopped");
    Ok(())
}

/// The services of one process.
pub struct Up {
    /// The public edge.
    pub gateway: Role,
    /// The auth service, to make identities with.
    pub auth: Auth,
    /// The worker with the engines that run in this process, if there are any.
    pub worker: Option<Worker>,
    /// What the edge stands on; it drains after the edge.
    pub core: Process,
    children: Shutdown,
    engines: JoinSet<Result<(), CannotStart>>,
}

impl Up {
    /// Starts every service. The process is ready once every configured model is served.
    ///
    /// # Errors
    /// Whatever keeps a service from starting.
    pub async fn start(mut config: Config, process: &Process) -> anyhow::Result<Self> {
        make_private_folder(&config.home)?;
        let ports = Ports::bind(&config.gateway.listen, &config.gateway.admin_listen)?;
        if config.auth.public_url == fathom_auth::Config::default().public_url {
            config.auth.public_url = ports.endpoint()?.to_string();
        }
        let core = process.stage();
        let auth = open_auth(&config.auth).await?;
        let router = open_router(&config.router, &core).await?;
        let (local, in_process): (Vec<_>, Vec<_>) = config
            .worker
            .engines
            .iter()
            .cloned()
            .partition(|engine| matches!(engine, EngineConfig::Local(_)));

        let worker = start_worker(&config, in_process, &router, &core).await?;
        let was_ready = Arc::new(AtomicBool::new(false));
        let children = process.stage().shutdown;
        let engines = start_children(&config, local, &router, &core, &children, &was_ready)?;

        let gateway = Gateway {
            identity: Arc::new(auth.clone()),
            inference: Arc::new(router.clone()),
            catalog: Arc::new(router.clone()),
            config: Arc::new(config.gateway.clone()),
            shutdown: process.shutdown.clone(),
        };
        let gateway = ports.serve(
            fathom_gateway::routes(gateway),
            config.gateway.limits,
            process,
        )?;
        process.readiness.set("models", false);
        core.shutdown
            .spawn(watch_models(config, router, core.clone(), was_ready));
        Ok(Self {
            gateway,
            auth,
            worker,
            core,
            children,
            engines,
        })
    }

    /// The demo tenant's credentials, made on the first start.
    ///
    /// # Errors
    /// The file or the database cannot be written.
    pub async fn demo(&self, file: &Path) -> anyhow::Result<DemoCredentials> {
        Ok(ensure_demo(&self.auth, file).await?)
    }
}

/// Starts the engines that run in this process and registers them without a network.
async fn start_worker(
    config: &Config,
    engines: Vec<EngineConfig>,
    router: &Router,
    core: &Process,
) -> anyhow::Result<Option<Worker>> {
    if engines.is_empty() {
        return Ok(None);
    }
    let in_process = fathom_worker::Config {
        engines,
        ..config.worker.clone()
    };
    let worker = Worker::start(&in_process, &config.home, &core.shutdown).await?;
    let announcement = Announcement {
        worker: WorkerId::generate(),
        endpoint: "in-process".to_owned(),
        models: worker.models(),
    };
    router.register_local(announcement, Arc::new(worker.clone()))?;
    Ok(Some(worker))
}

/// Starts a worker process for each local engine. They register over a socket, as workers of a
/// cluster do.
fn start_children(
    config: &Config,
    engines: Vec<EngineConfig>,
    router: &Router,
    core: &Process,
    children: &Shutdown,
    was_ready: &Arc<AtomicBool>,
) -> anyhow::Result<JoinSet<Result<(), CannotStart>>> {
    let mut running = JoinSet::new();
    if engines.is_empty() {
        return Ok(running);
    }
    let sockets = config.home.join("run");
    make_private_folder(&sockets)?;
    let registry = ListenAddress::Unix(sockets.join("router.sock")).bind()?;
    let registry_endpoint = registry.endpoint()?;
    let routes = Routes::new(RegistryServer::new(Arc::new(router.clone()))).into_axum_router();
    spawn(registry, routes, Limits::internal(), &core.shutdown);
    let binary = std::env::current_exe().context("cannot find this binary")?;
    for (i, engine) in engines.into_iter().enumerate() {
        let worker = fathom_worker::Config {
            listen: ListenAddress::Unix(sockets.join(format!("worker-{i}.sock"))),
            admin_listen: ListenAddress::Unix(sockets.join(format!("worker-{i}.admin.sock"))),
            advertise: None,
            routers: vec![registry_endpoint.clone()],
            engines: vec![engine],
            ..config.worker.clone()
        };
        let arguments = worker_arguments(&worker, config)?;
        let child = Supervised {
            name: "worker",
            arguments,
        };
        let (binary, was_ready) = (binary.clone(), was_ready.clone());
        let shutdown = children.clone();
        running.spawn(async move {
            child
                .run(&binary, || was_ready.load(Ordering::Relaxed), &shutdown)
                .await
        });
    }
    Ok(running)
}

/// Makes a folder that no other user may look into: it holds keys, and sockets that trust whoever
/// can open them.
fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}

/// The command line of a worker child. It holds every setting that matters to the child, so that
/// what the environment says of workers in general does not reach this one.
fn worker_arguments(
    worker: &fathom_worker::Config,
    config: &Config,
) -> anyhow::Result<Vec<String>> {
    let mut arguments = vec!["worker".to_owned(), "--supervised".to_owned()];
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

/// Keeps the readiness condition `models`: every model that an engine is configured for is served.
async fn watch_models(config: Config, router: Router, core: Process, was_ready: Arc<AtomicBool>) {
    let wanted: BTreeSet<&str> = config
        .worker
        .engines
        .iter()
        .flat_map(|engine| engine.serves().iter().map(String::as_str))
        .collect();
    let watch = async {
        loop {
            let models = router.list_models().await.unwrap_or_default();
            let served: BTreeSet<&str> = models
                .iter()
                .filter(|model| model.deployment.is_some())
                .map(|model| model.id.as_str())
                .collect();
            let ready = wanted.is_subset(&served);
            core.readiness.set("models", ready);
            was_ready.fetch_or(ready, Ordering::Relaxed);
            tokio::time::sleep(WATCH_MODELS).await;
        }
    };
    tokio::select! {
        () = watch => {}
        () = core.shutdown.draining() => {}
    }
}
