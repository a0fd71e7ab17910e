//! A Fathom of processes on this machine, in a folder of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use fathom_client::Client;
use fathom_worker::{EngineConfig, SimConfig};
use futures::future::{join_all, try_join_all};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::Config;
use crate::drill::metrics::Metrics;
use crate::drill::node::Node;
use crate::drill::ports;
use crate::drill::question::MODEL;

/// How long everything may take to be ready, on a machine that has other things to do.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// What is counted while something goes on, and must be 0 when nothing does.
const GAUGES: [&str; 4] = [
    "fathom_gateway_requests_in_flight",
    "fathom_router_in_flight",
    "fathom_worker_running",
    "fathom_worker_queued",
];

/// Changes the configuration of the node with this name.
pub type Adjust = Box<dyn Fn(&str, &mut Config) + Send + Sync>;

/// What to start: gateways and routers in pairs, workers with a simulated engine in zones, and
/// one auth service.
pub struct Plan {
    /// Pairs of a gateway and the router that it calls. Every router knows every worker.
    pub edges: usize,
    /// A zone for each worker.
    pub zones: Vec<&'static str>,
    /// The engine of every worker.
    pub sim: SimConfig,
    /// The last word on what each node is told.
    pub adjust: Adjust,
}

impl Default for Plan {
    /// Two edges, and two workers in each of three zones, whose answers are as long as asked.
    fn default() -> Self {
        Self {
            edges: 2,
            zones: vec!["a", "a", "b", "b", "c", "c"],
            sim: SimConfig {
                serves: vec![MODEL.to_owned()],
                inter_token: Duration::from_millis(20),
                tokens: u32::MAX,
                ..SimConfig::default()
            },
            adjust: Box::new(|_, _| {}),
        }
    }
}

/// Running processes; all are killed when this is dropped.
pub struct Fleet {
    /// The auth service.
    pub auth: Node,
    /// The routers.
    pub routers: Vec<Node>,
    /// The gateways, each in front of the router with its number.
    pub gateways: Vec<Node>,
    /// The workers.
    pub workers: Vec<Node>,
    key: SecretString,
    home: TempDir,
}

impl Fleet {
    /// Starts every role of `plan` with `binary` and waits until each router knows each worker.
    ///
    /// # Errors
    /// Whatever keeps a role from starting.
    pub async fn start(binary: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("fathom-drill-").tempdir()?;
        let mut nodes = nodes(binary, plan, home.path())?;
        let workers = nodes.split_off(1 + 2 * plan.edges);
        let gateways = nodes.split_off(1 + plan.edges);
        let routers = nodes.split_off(1);
        let auth = nodes.remove(0);
        let mut fleet = Self {
            auth,
            routers,
            gateways,
            workers,
            key: SecretString::default(),
            home,
        };
        // In this order nobody looks for another in vain, and comes again later.
        start(std::slice::from_mut(&mut fleet.auth)).await?;
        start(&mut fleet.routers).await?;
        let (gateways, workers) = (&mut fleet.gateways, &mut fleet.workers);
        tokio::try_join!(start(gateways), start(workers))?;
        fleet.key = demo_key(fleet.home.path())?;
        fleet.registered(fleet.workers.len()).await?;
        Ok(fleet)
    }

    /// A client of the gateway with this number, counted round.
    #[must_use]
    pub fn client(&self, number: usize) -> Client {
        let gateway = &self.gateways[number % self.gateways.len()];
        Client::new(gateway.url.clone(), self.key.clone())
    }

    /// The demo tenant's API key.
    #[must_use]
    pub fn key(&self) -> &SecretString {
        &self.key
    }

    /// The workers of a zone.
    pub fn zone(&self, zone: &str) -> impl Iterator<Item = &Node> {
        let workers = self.workers.iter();
        workers.filter(move |worker| worker.zone.as_deref() == Some(zone))
    }

    /// Kills every worker of a zone, as a power cut would.
    ///
    /// # Errors
    /// The system's.
    pub fn kill_zone(&mut self, zone: &str) -> std::io::Result<()> {
        let workers = self.workers.iter_mut();
        workers
            .filter(|worker| worker.zone.as_deref() == Some(zone))
            .try_for_each(Node::kill)
    }

    /// Starts the workers of a zone again.
    ///
    /// # Errors
    /// The system's.
    pub fn start_zone(&mut self, zone: &str) -> std::io::Result<()> {
        let workers = self.workers.iter_mut();
        workers
            .filter(|worker| worker.zone.as_deref() == Some(zone))
            .try_for_each(Node::start)
    }

    /// Waits until each router has `workers` workers.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn registered(&self, workers: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        for router in &self.routers {
            loop {
                let metrics = router.metrics().await.unwrap_or_default();
                if metrics.sum("fathom_router_workers", &[]) == workers as f64 {
                    break;
                }
                if begun.elapsed() > START {
                    bail!("{} does not know {workers} workers", router.name);
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Waits until nothing runs and nothing waits in any process that is there.
    ///
    /// # Errors
    /// Something still does after `limit`; which is named.
    pub async fn settled(&self, limit: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let busy = self.busy().await;
            if busy.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > limit {
                bail!("still busy after {limit:?}: {}", busy.join(", "));
            }
            sleep(LOOK).await;
        }
    }

    /// Gauges that are not 0, by node.
    async fn busy(&self) -> Vec<String> {
        let nodes: Vec<&Node> = self.nodes().collect();
        let looks = join_all(nodes.iter().map(|node| node.metrics())).await;
        let mut busy = Vec::new();
        for (node, metrics) in nodes.iter().zip(looks) {
            // Who does not answer is dead, and has nothing to give back.
            let metrics = metrics.unwrap_or_default();
            let gauges = GAUGES.iter().map(|gauge| (gauge, metrics.sum(gauge, &[])));
            let open = gauges.filter(|(_, value)| *value != 0.0);
            busy.extend(open.map(|(gauge, value)| format!("{} {gauge} {value}", node.name)));
        }
        busy
    }

    /// The sum of a metric over `nodes` that answer.
    pub async fn sum<'a>(
        nodes: impl IntoIterator<Item = &'a Node>,
        name: &str,
        labels: &[(&str, &str)],
    ) -> f64 {
        let looks = join_all(nodes.into_iter().map(Node::metrics)).await;
        let found = looks.into_iter().flatten();
        found
            .map(|metrics: Metrics| metrics.sum(name, labels))
            .sum()
    }

    /// Keeps the folder with configurations and logs, and says where it is.
    #[must_use]
    pub fn keep_folder(&mut self) -> PathBuf {
        self.home.disable_cleanup(true);
        self.home.path().to_owned()
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        let services = self.routers.iter().chain(&self.gateways);
        services.chain(&self.workers)
    }
}

async fn start(nodes: &mut [Node]) -> anyhow::Result<()> {
    for node in nodes.iter_mut() {
        node.start()?;
    }
    try_join_all(nodes.iter_mut().map(|node| node.ready(START))).await?;
    Ok(())
}

/// Auth, then the routers, the gateways and the workers.
fn nodes(binary: &Path, plan: &Plan, home: &Path) -> anyhow::Result<Vec<Node>> {
    let mut common = Config::defaults_in(home);
    common.shutdown_grace = Duration::from_secs(10);
    common.telemetry.format = fathom_kit::telemetry::Format::Json;
    common.auth.demo_credentials = Some(home.join("demo.env"));
    common.auth.listen = ports::free()?;
    common.auth.admin_listen = ports::free()?;
    common.gateway.auth = endpoint(&common.auth.listen)?;
    common.worker.routers.clear();
    let mut edges = Vec::new();
    for _ in 0..plan.edges {
        let mut edge = common.clone();
        for listen in [
            &mut edge.router.listen,
            &mut edge.router.admin_listen,
            &mut edge.gateway.listen,
            &mut edge.gateway.grpc_listen,
            &mut edge.gateway.admin_listen,
        ] {
            *listen = ports::free()?;
        }
        edge.gateway.router = endpoint(&edge.router.listen)?;
        common.worker.routers.push(edge.gateway.router.clone());
        edges.push(edge);
    }
    let mut told = vec![("auth".to_owned(), "auth", common.clone())];
    for role in ["router", "gateway"] {
        let numbered = edges.iter().enumerate();
        told.extend(numbered.map(|(i, edge)| (format!("{role}-{i}"), role, edge.clone())));
    }
    for (i, zone) in plan.zones.iter().enumerate() {
        let mut config = common.clone();
        config.worker.listen = ports::free()?;
        config.worker.admin_listen = ports::free()?;
        config.worker.zone = Some((*zone).to_owned());
        config.worker.engines = vec![EngineConfig::Sim(plan.sim.clone())];
        told.push((format!("worker-{zone}-{i}"), "worker", config));
    }
    let nodes = told.into_iter().map(|(name, role, mut config)| {
        (plan.adjust)(&name, &mut config);
        Node::new(name, role, binary, &config)
    });
    nodes.collect()
}

fn endpoint(address: &fathom_kit::net::ListenAddress) -> anyhow::Result<fathom_kit::net::Endpoint> {
    format!("http://{address}")
        .parse()
        .map_err(anyhow::Error::msg)
}

fn demo_key(home: &Path) -> anyhow::Result<SecretString> {
    let file = home.join("demo.env");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let mut lines = text.lines();
    let key = lines.find_map(|line| line.strip_prefix("FATHOM_API_KEY="));
    Ok(key.context("there is no API key in demo.env")?.into())
}
