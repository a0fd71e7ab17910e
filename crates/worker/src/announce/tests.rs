use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use fathom_proto::engines::Engines;
use fathom_proto::id::WorkerId;
use fathom_proto::inference::{GenerateRequest, Inference, Prompt, RequestContext};
use fathom_proto::registry::{Lease, Registry};
use fathom_proto::{Error, ErrorCode};
use futures::FutureExt;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{Config, EngineConfig, SimConfig};

const LEASE: Duration = Duration::from_secs(9);

/// A router that notes when it was called.
#[derive(Default)]
struct Router {
    calls: Mutex<Vec<(&'static str, Instant)>>,
    told: Mutex<Vec<Announcement>>,
    /// The incarnations that left.
    left: Mutex<Vec<u64>>,
    down: Mutex<bool>,
}

impl Router {
    fn note(&self, call: &'static str) -> Result<(), Error> {
        self.calls.lock().unwrap().push((call, Instant::now()));
        if *self.down.lock().unwrap() {
            return Err(Error::new(ErrorCode::Unavailable, "down"));
        }
        Ok(())
    }

    /// The models that it was told of last, and how many generations they run.
    fn told(&self) -> Vec<(String, u32)> {
        let told = self.told.lock().unwrap();
        let models = told.last().map(|told| told.models.clone());
        models
            .unwrap_or_default()
            .into_iter()
            .map(|served| (served.model.to_string(), served.load.running))
            .collect()
    }

    fn calls(&self, wanted: &str) -> Vec<Instant> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(call, _)| *call == wanted)
            .map(|(_, at)| *at)
            .collect()
    }
}

#[tonic::async_trait]
impl Registry for Router {
    async fn register(&self, announcement: Announcement) -> Result<Lease, Error> {
        self.told.lock().unwrap().push(announcement);
        self.note("register").map(|()| Lease { duration: LEASE })
    }

    async fn deregister(&self, _: &WorkerId, incarnation: u64) -> Result<(), Error> {
        self.left.lock().unwrap().push(incarnation);
        self.note("deregister")
    }
}

/// Routers by address, and which of them a name stands for.
#[derive(Default)]
struct Routers {
    routers: Mutex<BTreeMap<Endpoint, Arc<Router>>>,
    named: Mutex<Option<BTreeSet<Endpoint>>>,
}

impl Routers {
    fn at(&self, address: &Endpoint) -> Arc<Router> {
        let mut routers = self.routers.lock().unwrap();
        routers.entry(address.clone()).or_default().clone()
    }

    /// The name stands for these from now on; `None`: it cannot be looked up.
    fn name(&self, addresses: Option<&[Endpoint]>) {
        *self.named.lock().unwrap() = addresses.map(|all| all.iter().cloned().collect());
    }
}

#[tonic::async_trait]
impl Discovery for Routers {
    async fn resolve(&self, name: &Endpoint) -> io::Result<BTreeSet<Endpoint>> {
        if name.name().is_none() {
            return Ok(BTreeSet::from([name.clone()]));
        }
        let named = self.named.lock().unwrap().clone();
        named.ok_or_else(|| io::Error::other("no answer"))
    }

    fn connect(&self, address: &Endpoint) -> Result<Arc<dyn Registry>, String> {
        Ok(self.at(address))
    }
}

struct Setup {
    routers: Vec<Arc<Router>>,
    worker: Worker,
    readiness: Readiness,
    shutdown: Shutdown,
}

fn address(port: u16) -> Endpoint {
    Endpoint::local(port)
}

fn sim(name: &str) -> EngineConfig {
    EngineConfig::Sim(SimConfig {
        serves: vec![name.to_owned()],
        ..SimConfig::default()
    })
}

/// Announces a worker to so many routers.
async fn announce(routers: u16) -> Setup {
    let addresses: Vec<_> = (0..routers).map(address).collect();
    announce_to(addresses, Arc::default()).await
}

async fn announce_to(addresses: Vec<Endpoint>, discovery: Arc<Routers>) -> Setup {
    let (readiness, shutdown) = (Readiness::default(), Shutdown::new(Duration::from_secs(30)));
    let config = Config {
        engines: vec![sim("chat")],
        ..Config::default()
    };
    let worker = Worker::start(&config, Path::new("unused"), &shutdown);
    let worker = worker.await.unwrap();
    let registration = Registration {
        worker: worker.clone(),
        announcement: Announcement {
            worker: "w".into(),
            incarnation: 0,
            endpoint: "http://127.0.0.1:1".to_owned(),
            zone: Some("a".to_owned()),
            version: "1".to_owned(),
            models: Vec::new(),
        },
        routers: addresses.clone(),
        discovery: discovery.clone(),
    };
    shutdown.spawn(keep_registered(
        registration,
        readiness.clone(),
        shutdown.clone(),
    ));
    Setup {
        routers: addresses
            .iter()
            .map(|address| discovery.at(address))
            .collect(),
        worker,
        readiness,
        shutdown,
    }
}

#[tokio::test(start_paused = true)]
async fn it_registers_again_after_a_third_of_the_lease() {
    let setup = announce(1).await;
    let begun = Instant::now();
    sleep(LEASE).await;
    let at: Vec<_> = setup.routers[0]
        .calls("register")
        .iter()
        .map(|at| *at - begun)
        .collect();
    assert_eq!(at[..3], [Duration::ZERO, LEASE / 3, LEASE * 2 / 3]);
    assert!(setup.readiness.ready().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_router_that_is_down_is_tried_for_ever_and_ever_more_rarely() {
    let setup = announce(1).await;
    *setup.routers[0].down.lock().unwrap() = true;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(setup.readiness.missing(), [REGISTERED]);
    let tries = setup.routers[0].calls("register").len();
    assert!((720..=1450).contains(&tries), "{tries}");
    *setup.routers[0].down.lock().unwrap() = false;
    setup.readiness.ready().await;
}

#[tokio::test(start_paused = true)]
async fn one_router_that_knows_the_worker_is_enough_to_be_ready() {
    let setup = announce(2).await;
    *setup.routers[0].down.lock().unwrap() = true;
    sleep(Duration::from_secs(1)).await;
    assert!(setup.readiness.missing().is_empty());
    *setup.routers[1].down.lock().unwrap() = true;
    sleep(LEASE).await;
    assert_eq!(setup.readiness.missing(), [REGISTERED]);
}

#[tokio::test(start_paused = true)]
async fn draining_deregisters_from_every_router() {
    let setup = announce(2).await;
    setup.readiness.ready().await;
    setup.shutdown.drain().await;
    for router in &setup.routers {
        assert_eq!(router.calls("deregister").len(), 1);
    }
    assert_eq!(setup.readiness.missing(), [REGISTERED]);
}

/// What balances load is never older than a heartbeat.
#[tokio::test(start_paused = true)]
async fn each_heartbeat_tells_what_runs_at_that_moment() {
    let setup = announce(1).await;
    setup.readiness.ready().await;
    assert_eq!(setup.routers[0].told(), [("chat".to_owned(), 0)]);
    let request = GenerateRequest::new("chat".into(), Prompt::Text("hi".to_owned()));
    let context = RequestContext {
        request_id: "r".into(),
        tenant: "t".into(),
        user: "user".into(),
        deadline: None,
    };
    let running = setup.worker.generate(request, context).await.unwrap();
    sleep(LEASE / 2).await;
    assert_eq!(setup.routers[0].told(), [("chat".to_owned(), 1)]);
    drop(running);
    sleep(LEASE / 2).await;
    assert_eq!(setup.routers[0].told(), [("chat".to_owned(), 0)]);
    let told = setup.routers[0].told.lock().unwrap();
    assert!(told.iter().all(|told| told.zone.as_deref() == Some("a")));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_what_is_served_is_told_at_once() {
    let setup = announce(2).await;
    setup.readiness.ready().await;
    let begun = Instant::now();
    setup.worker.serve(sim("code")).await.unwrap();
    setup.worker.unload(&"chat".into()).await.unwrap();
    // Less than the third of a lease that would bring the news otherwise.
    sleep(Duration::from_millis(1)).await;
    for router in &setup.routers {
        assert_eq!(router.told(), [("code".to_owned(), 0)]);
        assert!(
            router
                .calls("register")
                .last()
                .unwrap()
                .duration_since(begun)
                < LEASE / 3
        );
    }
    setup.worker.unload(&"code".into()).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(setup.routers[0].told(), []);
}

/// The farewell may reach the router after the greeting that follows it.
#[tokio::test(start_paused = true)]
async fn a_router_that_is_gone_and_back_is_told_of_another_incarnation() {
    let discovery: Arc<Routers> = Arc::default();
    let name: Endpoint = "http://routers.internal:81".parse().unwrap();
    let router = address(1);
    discovery.name(Some(std::slice::from_ref(&router)));
    let setup = announce_to(vec![name], discovery.clone()).await;
    for addresses in [
        std::slice::from_ref(&router),
        &[],
        std::slice::from_ref(&router),
    ] {
        discovery.name(Some(addresses));
        sleep(2 * look_up::PERIOD).await;
    }
    setup.shutdown.drain().await;
    let router = discovery.at(&router);
    let mut told: Vec<_> = {
        let told = router.told.lock().unwrap();
        told.iter().map(|told| told.incarnation).collect()
    };
    told.dedup();
    assert_eq!(told.len(), 2, "before and after, each of them throughout");
    assert!(told[0] != told[1] && !told.contains(&0));
    assert_eq!(*router.left.lock().unwrap(), told);
}

#[tokio::test(start_paused = true)]
async fn a_name_stands_for_every_address_behind_it_as_they_come_and_go() {
    let discovery: Arc<Routers> = Arc::default();
    let name: Endpoint = "http://routers.internal:81".parse().unwrap();
    let setup = announce_to(vec![name], discovery.clone()).await;
    let [one, two, three] = [1, 2, 3].map(address);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        setup.readiness.missing(),
        [REGISTERED],
        "nobody is known yet"
    );

    discovery.name(Some(&[one.clone(), two.clone()]));
    sleep(2 * look_up::PERIOD).await;
    assert!(setup.readiness.missing().is_empty());
    let calls = |at: &Endpoint, call| discovery.at(at).calls(call).len();
    assert!(calls(&one, "register") > 0 && calls(&two, "register") > 0);

    discovery.name(Some(&[two.clone(), three.clone()]));
    sleep(2 * look_up::PERIOD).await;
    assert_eq!(calls(&one, "deregister"), 1);
    assert!(calls(&three, "register") > 0);
    let (told_one, told_two) = (calls(&one, "register"), calls(&two, "register"));

    discovery.name(None);
    sleep(LEASE).await;
    assert_eq!(calls(&one, "register"), told_one, "it is gone");
    assert!(
        calls(&two, "register") > told_two,
        "a look-up that fails changes nothing"
    );
    setup.shutdown.drain().await;
    for (router, told) in [(&one, 1), (&two, 1), (&three, 1)] {
        assert_eq!(calls(router, "deregister"), told);
    }
}
