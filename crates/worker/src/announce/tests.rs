use std::sync::Mutex;

use fathom_proto::ErrorCode;
use fathom_proto::id::WorkerId;
use futures::FutureExt;
use tokio::time::Instant;

use super::*;

const LEASE: Duration = Duration::from_secs(9);

/// A router that notes when it was called.
#[derive(Default)]
struct Router {
    calls: Mutex<Vec<(&'static str, Instant)>>,
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
    async fn register(&self, _: Announcement) -> Result<Lease, Error> {
        self.note("register").map(|()| Lease { duration: LEASE })
    }

    async fn deregister(&self, _: &WorkerId) -> Result<(), Error> {
        self.note("deregister")
    }
}

struct Setup {
    routers: Vec<Arc<Router>>,
    readiness: Readiness,
    shutdown: Shutdown,
}

fn announce(routers: usize) -> Setup {
    let routers: Vec<Arc<Router>> = (0..routers).map(|_| Arc::default()).collect();
    let setup = Setup {
        routers,
        readiness: Readiness::default(),
        shutdown: Shutdown::new(Duration::from_secs(30)),
    };
    let announcement = Announcement {
        worker: "w".into(),
        endpoint: "http://127.0.0.1:1".to_owned(),
        models: Vec::new(),
    };
    let endpoint: Endpoint = "http://127.0.0.1:2".parse().unwrap();
    let registries = setup
        .routers
        .iter()
        .map(|router| (endpoint.clone(), router.clone() as _));
    setup.shutdown.spawn(keep_registered(
        announcement,
        registries.collect(),
        setup.readiness.clone(),
        setup.shutdown.clone(),
    ));
    setup
}

#[tokio::test(start_paused = true)]
async fn it_registers_again_after_a_third_of_the_lease() {
    let setup = announce(1);
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
    let setup = announce(1);
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
    let setup = announce(2);
    *setup.routers[0].down.lock().unwrap() = true;
    sleep(Duration::from_secs(1)).await;
    assert!(setup.readiness.missing().is_empty());
    *setup.routers[1].down.lock().unwrap() = true;
    sleep(LEASE).await;
    assert_eq!(setup.readiness.missing(), [REGISTERED]);
}

#[tokio::test(start_paused = true)]
async fn draining_deregisters_from_every_router() {
    let setup = announce(2);
    setup.readiness.ready().await;
    setup.shutdown.drain().await;
    for router in &setup.routers {
        assert_eq!(router.calls("deregister").len(), 1);
    }
    assert_eq!(setup.readiness.missing(), [REGISTERED]);
}
