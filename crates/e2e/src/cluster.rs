//! The roles of one Fathom, in this process, on ports that the system chooses.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context;
use fathom::ports::Role;
use fathom::process::Process;
use fathom::up::Up;
use fathom::{Config, roles};
use fathom_auth::Auth;
use fathom_auth::demo::{DemoCredentials, ensure_demo};
use fathom_client::Client;
use fathom_kit::net::ListenAddress;
use fathom_kit::telemetry::init_metrics;
use fathom_proto::engines::EngineLoad;
use fathom_worker::{EngineConfig, SimConfig, Worker};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A process has one recorder, whatever the number of clusters in it.
#[expect(
    clippy::expect_used,
    reason = "nothing else in a test process installs one"
)]
static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| init_metrics().expect("the first recorder of this process"));

/// How the roles reach one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Direct calls, as in `fathom up`.
    InProcess,
    /// gRPC over loopback, as between processes.
    Grpc,
}

/// What to start.
pub struct Builder {
    wiring: Wiring,
    sim: SimConfig,
    gateways: usize,
    database: Option<String>,
    grace: Duration,
    adjust: fn(&mut Config),
}

/// A running Fathom.
pub struct Cluster {
    /// Origin of the public edge; of the first gateway, if there are several.
    pub base_url: String,
    /// Origins of all gateways.
    pub base_urls: Vec<String>,
    /// Origin of the edge's port for gRPC; of the first gateway, if there are several.
    pub grpc_url: String,
    /// Origin of the edge's admin port.
    pub admin_url: String,
    /// Identities to call with.
    pub demo: DemoCredentials,
    /// To make more identities with.
    pub auth: Auth,
    /// What generates.
    pub worker: Worker,
    config: Config,
    edges: Vec<Process>,
    /// In the order in which they drain; auth is the last.
    behind: Vec<Process>,
    _home: TempDir,
}

impl Cluster {
    /// A cluster that serves `deepseek-chat` with one simulated engine.
    #[must_use]
    pub fn builder(wiring: Wiring) -> Builder {
        let sim = SimConfig {
            serves: vec!["deepseek-chat".to_owned()],
            ..SimConfig::default()
        };
        Builder {
            wiring,
            sim,
            gateways: 1,
            database: None,
            grace: Duration::from_secs(10),
            adjust: |_| {},
        }
    }

    /// A client with the demo tenant's API key.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.base_url.clone(), self.demo.api_key.clone())
    }

    /// A client with another bearer.
    #[must_use]
    pub fn client_with(&self, bearer: &SecretString) -> Client {
        Client::new(self.base_url.clone(), bearer.clone())
    }

    /// What the engines have to do at this moment.
    #[must_use]
    pub fn load(&self) -> EngineLoad {
        self.worker.load()
    }

    /// Drains the edge, then what is behind it, as a signal would.
    pub async fn drain(&self) {
        for edge in &self.edges {
            edge.readiness.set("running", false);
            edge.shutdown.drain().await;
        }
        for process in &self.behind {
            process.shutdown.drain().await;
        }
    }
}

impl Cluster {
    /// Takes the auth service away, as its death would. Where it is in the process of the
    /// gateway, nothing can.
    pub async fn stop_auth(&self) {
        if let Some(auth) = self.behind.last() {
            auth.shutdown.drain().await;
        }
    }
}

/// A worker beside the cluster's own, which can be killed.
pub struct DoomedWorker {
    /// What generates.
    pub worker: Worker,
    runtime: Runtime,
}

impl DoomedWorker {
    /// Ends it in the middle of what it does, as a signal that cannot be caught would.
    pub fn kill(self) {
        self.runtime.shutdown_background();
    }
}

impl Cluster {
    /// Starts another worker with this engine, where workers are processes of their own.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub async fn add_worker(&self, sim: SimConfig) -> anyhow::Result<DoomedWorker> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let mut config = self.config.clone();
        config.worker.engines = vec![EngineConfig::Sim(sim)];
        let starting = runtime.spawn(async move {
            let process = Process::start(config.shutdown_grace, METRICS.clone())?;
            let (_, worker) = roles::worker(&config, &process).await?;
            process.readiness.ready().await;
            anyhow::Ok(worker)
        });
        Ok(DoomedWorker {
            worker: starting.await??,
            runtime,
        })
    }
}

impl Builder {
    /// Sets how many gateways there are; one process has one.
    #[must_use]
    pub fn gateways(mut self, count: usize) -> Self {
        self.gateways = count;
        self
    }

    /// Sets up the simulated engine.
    #[must_use]
    pub fn sim(mut self, adjust: impl FnOnce(&mut SimConfig)) -> Self {
        adjust(&mut self.sim);
        self
    }

    /// Sets the database of auth and router, in place of a file.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.database = Some(url.to_owned());
        self
    }

    /// Sets how long draining may take.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Changes any other setting.
    #[must_use]
    pub fn config(mut self, adjust: fn(&mut Config)) -> Self {
        self.adjust = adjust;
        self
    }

    /// Starts the roles and waits until they are ready.
    ///
    /// # Errors
    /// Whatever keeps a role from starting.
    pub async fn start(self) -> anyhow::Result<Cluster> {
        let home = tempfile::tempdir()?;
        let config = self.configure(home.path());
        match self.wiring {
            Wiring::InProcess => in_process(config, home).await,
            Wiring::Grpc => over_grpc(config, self.gateways, home).await,
        }
    }

    fn configure(&self, home: &Path) -> Config {
        let any_port = ListenAddress::local(0);
        let mut config = Config::defaults_in(home);
        config.shutdown_grace = self.grace;
        if let Some(url) = &self.database {
            config.auth.database.clone_from(url);
            config.router.database = Some(url.clone());
        }
        config.gateway.listen = any_port.clone();
        config.gateway.grpc_listen = any_port.clone();
        config.gateway.admin_listen = any_port.clone();
        config.auth.listen = any_port.clone();
        config.auth.admin_listen = any_port.clone();
        config.router.listen = any_port.clone();
        config.router.admin_listen = any_port.clone();
        config.worker.listen = any_port.clone();
        config.worker.admin_listen = any_port;
        config.worker.engines = vec![EngineConfig::Sim(self.sim.clone())];
        // Nothing here takes longer to come up or back.
        config.router.wait_for_worker = Duration::from_millis(200);
        config.router.retry.first_delay = Duration::from_millis(20);
        (self.adjust)(&mut config);
        config
    }
}

fn grpc_url(gateway: &Role) -> anyhow::Result<String> {
    let endpoint = gateway.grpc.as_ref();
    Ok(endpoint
        .context("a gateway has a port for gRPC")?
        .to_string())
}

async fn in_process(config: Config, home: TempDir) -> anyhow::Result<Cluster> {
    let process = Process::start(config.shutdown_grace, METRICS.clone())?;
    let up = Up::start(config.clone(), &process).await?;
    let demo = up.demo(&home.path().join("demo.env")).await?;
    process.readiness.ready().await;
    Ok(Cluster {
        grpc_url: grpc_url(&up.gateway)?,
        base_url: up.gateway.endpoint.to_string(),
        base_urls: vec![up.gateway.endpoint.to_string()],
        admin_url: up.gateway.admin.to_string(),
        demo,
        auth: up.auth,
        worker: up.worker.context("the sim engine runs in this process")?,
        config,
        edges: vec![process],
        behind: vec![up.core],
        _home: home,
    })
}

async fn over_grpc(mut config: Config, gateways: usize, home: TempDir) -> anyhow::Result<Cluster> {
    let start = || Process::start(config.shutdown_grace, METRICS.clone());
    let (auth_process, router_process, worker_process) = (start()?, start()?, start()?);
    config.gateway.auth = roles::auth(&config, &auth_process).await?.endpoint;
    config.gateway.router = roles::router(&config, &router_process).await?.endpoint;
    config.worker.routers = vec![config.gateway.router.clone()];
    let (_, worker) = roles::worker(&config, &worker_process).await?;
    worker_process.readiness.ready().await;
    let (mut edges, mut serving) = (Vec::new(), Vec::new());
    for _ in 0..gateways {
        let edge = start()?;
        serving.push(roles::gateway(&config, &edge).await?);
        edge.readiness.ready().await;
        edges.push(edge);
    }
    let first = serving.first().context("there must be a gateway")?;
    // The same database as the role's: what is made here, the role sees.
    let auth = roles::open_auth(&config.auth, &auth_process).await?;
    let demo = ensure_demo(&auth, &home.path().join("demo.env")).await?;
    Ok(Cluster {
        grpc_url: grpc_url(first)?,
        base_url: first.endpoint.to_string(),
        admin_url: first.admin.to_string(),
        base_urls: serving
            .iter()
            .map(|role| role.endpoint.to_string())
            .collect(),
        demo,
        auth,
        worker,
        config,
        edges,
        behind: vec![worker_process, router_process, auth_process],
        _home: home,
    })
}
