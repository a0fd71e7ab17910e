//! `fathom up`: every service in this process, wired directly. A local engine runs in a child
//! process, because an assertion that fails in llama.cpp ends the process it is in.

mod children;
mod in_process;
mod served;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use fathom_auth::Auth;
use fathom_auth::demo::{DemoCredentials, ensure_demo};
use fathom_gateway::resume::Streams;
use fathom_gateway::{Gateway, Identities};
use fathom_kit::private::create_folder;
use fathom_router::Router;
use fathom_worker::{EngineConfig, Worker};

use crate::Config;
use crate::banner;
use crate::ports::{GrpcPort, Ports, Role};
use crate::process::Process;
use crate::roles::{open_auth, open_router};
use children::Children;

/// Runs until the process is told to stop.
///
/// # Errors
/// Whatever keeps a service from starting.
pub async fn run(config: Config, process: Process) -> anyhow::Result<()> {
    let demo_file = config.home.join("demo.env");
    let up = tokio::select! {
        // Whoever waits when the process is told to stop may give up with an error.
        biased;
        () = process.told_to_stop() => {
            process.shutdown.drain().await;
            process.admin.drain().await;
            tracing::info!("stopped");
            return Ok(());
        }
        up = Up::start(config, &process) => up?,
    };
    let demo = up.demo(&demo_file).await?;
    let welcome = async {
        process.readiness.ready().await;
        banner::print(&demo, &demo_file)?;
        std::future::pending::<std::io::Result<()>>().await
    };
    let mut children = up.children;
    tokio::select! {
        () = process.stopped() => {}
        silenced = welcome => silenced?,
        error = children.failure() => return Err(error.into()),
    }
    // Each stage ends before what it stands on goes down: the edge, the engines, the rest.
    process.shutdown.drain().await;
    children.drain().await;
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
    children: Children,
    /// Held until the end; the system frees it if we are killed.
    _lock: File,
}

impl Up {
    /// Starts every service. The process is ready once every configured model is served.
    ///
    /// # Errors
    /// Whatever keeps a service from starting.
    pub async fn start(mut config: Config, process: &Process) -> anyhow::Result<Self> {
        create_folder(&config.home)
            .with_context(|| format!("cannot make the folder {}", config.home.display()))?;
        let lock = lock(&config.home)?;
        let ports = Ports::bind(
            &config.gateway.listen,
            &config.gateway.admin_listen,
            process,
        )?;
        let grpc = GrpcPort::bind(&config.gateway)?;
        let edge = config.gateway.edge()?;
        let defaults = fathom_auth::Config::default();
        if config.auth.public_url == defaults.public_url {
            let endpoint = ports.endpoint()?;
            let endpoint = match &edge.tls {
                Some(_) => endpoint.with_tls(),
                None => endpoint,
            };
            config.auth.public_url = endpoint.to_string();
        }
        // Clients find the OAuth endpoints below the issuer (RFC 8414), so it must be where we are.
        if config.auth.issuer == defaults.issuer {
            config.auth.issuer.clone_from(&config.auth.public_url);
        }
        let core = process.stage();
        let auth = open_auth(&config.auth, &core).await?;
        let router = open_router(&config.router, &core).await?;
        served::check_registered(&config.worker.engines, &router).await?;
        let (local, in_process): (Vec<_>, Vec<_>) = config
            .worker
            .engines
            .iter()
            .cloned()
            .partition(|engine| matches!(engine, EngineConfig::Local(_)));

        let worker = start_worker(&config, in_process, &router, &core).await?;
        let was_ready = Arc::new(AtomicBool::new(false));
        let children = Children::start(&config, local, &router, &core, &was_ready)?;

        core.shutdown
            .spawn(auth.clone().keep_current(core.shutdown.clone()));
        let identity = Arc::new(auth.clone());
        let identities = Identities::new(identity.clone(), &config.gateway);
        core.shutdown
            .spawn(identities.clone().keep_current(core.shutdown.clone()));
        let gateway = Gateway {
            administration: identity.clone(),
            identity,
            identities,
            inference: Arc::new(router.clone()),
            catalog: Arc::new(router.clone()),
            feedback: Arc::new(router.clone()),
            models: Arc::new(router.clone()),
            streams: Streams::new(&config.gateway.resume),
            config: Arc::new(config.gateway.clone()),
            shutdown: process.shutdown.clone(),
        };
        let grpc = grpc.serve(gateway.clone(), edge.clone(), true, process)?;
        let role = ports.serve(fathom_gateway::routes(gateway), edge, process)?;
        let gateway = Role {
            grpc: Some(grpc),
            ..role
        };
        process.readiness.set("models", false);
        core.shutdown
            .spawn(served::watch(config, router, core.clone(), was_ready));
        Ok(Self {
            gateway,
            auth,
            worker,
            core,
            children,
            _lock: lock,
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

/// Makes the folder ours: two servers over one folder would take each other's sockets.
fn lock(home: &Path) -> anyhow::Result<File> {
    let path = home.join("up.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.try_lock().with_context(|| {
        let home = home.display();
        format!(
            "another server uses the folder {home}; stop it, or set FATHOM_HOME to another folder"
        )
    })?;
    Ok(file)
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
    in_process::register(&worker, config, router, core);
    Ok(Some(worker))
}
