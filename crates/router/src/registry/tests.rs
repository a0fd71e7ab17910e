use std::time::Duration;

use fathom_proto::engines::EngineLoad;
use fathom_proto::id::TenantId;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, RequestContext, TokenStream,
};
use fathom_proto::registry::ServedModel;
use futures::FutureExt;
use tokio::time::advance;

use super::*;
use crate::outcome::Outcome;

mod balancing;

const LEASE: Duration = Duration::from_secs(9);

struct Nothing;

#[tonic::async_trait]
impl Inference for Nothing {
    async fn generate(
        &self,
        _: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, fathom_proto::Error> {
        Ok(Box::pin(futures::stream::empty()))
    }

    async fn embed(
        &self,
        _: EmbedRequest,
        _: RequestContext,
    ) -> Result<Embeddings, fathom_proto::Error> {
        Ok(Embeddings {
            vectors: Vec::new(),
            prompt_tokens: 0,
        })
    }
}

/// A worker that generates nothing.
pub(crate) fn nothing() -> Arc<dyn Inference> {
    Arc::new(Nothing)
}

fn workers(max_workers: usize) -> Workers {
    let config = Config {
        lease: LEASE,
        max_workers,
        ..Config::default()
    };
    Workers::new(&config, Box::new(|_| Ok(Arc::new(Nothing))))
}

fn announcement(worker: &str, port: u16, context_length: u32) -> Announcement {
    let deployment = Deployment {
        backend: "sim".into(),
        weights: "words".into(),
        context_length,
    };
    Announcement {
        worker: worker.into(),
        incarnation: 1,
        endpoint: format!("http://127.0.0.1:{port}"),
        zone: None,
        version: "1".into(),
        models: vec![ServedModel {
            model: chat(),
            deployment,
            load: EngineLoad::default(),
        }],
    }
}

fn chat() -> ModelId {
    "chat".into()
}

fn place(workers: &Workers, tried: &[Arc<Connection>]) -> Option<Place> {
    let (target, tenant) = (chat(), "tenant".into());
    placed(workers.pick(&ask(&target, &tenant, tried)))
}

fn ask<'a>(target: &'a ModelId, tenant: &'a TenantId, tried: &'a [Arc<Connection>]) -> Ask<'a> {
    Ask {
        target,
        tenant,
        prefixes: &[],
        tried,
        lost: &[],
        like: None,
    }
}

fn placed(pick: Pick) -> Option<Place> {
    match pick {
        Pick::Place(place) => Some(place),
        Pick::Out(_) | Pick::Nobody => None,
    }
}

fn serving(workers: &Workers) -> Option<Arc<Connection>> {
    place(workers, &[]).map(|place| place.connection().clone())
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_unless_it_is_renewed() {
    let workers = workers(8);
    workers.register(announcement("a", 1, 10)).unwrap();
    advance(LEASE * 2 / 3).await;
    assert_eq!(
        workers.register(announcement("a", 1, 10)).unwrap().duration,
        LEASE
    );
    advance(LEASE * 2 / 3).await;
    assert!(serving(&workers).is_some());
    advance(LEASE / 3).await;
    assert!(serving(&workers).is_none());
    assert_eq!(workers.deployment(&chat()), None);
    workers.register(announcement("a", 1, 10)).unwrap();
    assert!(serving(&workers).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_this_process_needs_no_lease() {
    let workers = workers(8);
    workers
        .register_local(announcement("a", 1, 10), Arc::new(Nothing))
        .unwrap();
    advance(LEASE * 100).await;
    workers.sweep();
    let connection = serving(&workers).unwrap();
    workers.forget(&connection);
    assert!(serving(&workers).is_some(), "it could not come back");
    workers.deregister(&"a".into(), 1);
    assert!(serving(&workers).is_none());
}

#[tokio::test]
async fn the_same_address_keeps_its_connection() {
    let workers = workers(8);
    workers.register(announcement("a", 1, 10)).unwrap();
    let first = serving(&workers).unwrap();
    workers.register(announcement("a", 1, 20)).unwrap();
    assert!(Arc::ptr_eq(&first, &serving(&workers).unwrap()));
    assert_eq!(workers.deployment(&chat()).unwrap().context_length, 20);
    workers.register(announcement("a", 2, 20)).unwrap();
    assert!(!Arc::ptr_eq(&first, &serving(&workers).unwrap()));
    workers.forget(&first);
    assert!(
        serving(&workers).is_some(),
        "the newer address is another matter"
    );
}

/// A worker that goes and comes back may be heard in the wrong order.
#[tokio::test(start_paused = true)]
async fn who_comes_back_is_not_taken_out_by_its_farewell_of_before() {
    let workers = workers(8);
    let before = announcement("a", 1, 10);
    let back = Announcement {
        incarnation: 2,
        ..before.clone()
    };
    workers.register(before).unwrap();
    let connection = serving(&workers).unwrap();
    workers.register(back).unwrap();
    workers.deregister(&"a".into(), 1);
    assert!(Arc::ptr_eq(&connection, &serving(&workers).unwrap()));
    workers.deregister(&"a".into(), 2);
    assert!(serving(&workers).is_none());

    workers.register(announcement("a", 1, 10)).unwrap();
    workers.deregister(&"a".into(), 0);
    assert!(serving(&workers).is_none(), "it does not say which");
}

/// Those who wait for a worker are woken by news, not by each heartbeat.
#[tokio::test(start_paused = true)]
async fn a_heartbeat_brings_the_newest_load_and_changes_nothing_else() {
    let workers = workers(8);
    let mut announced = announcement("a", 1, 10);
    workers.register(announced.clone()).unwrap();
    let connection = serving(&workers).unwrap();
    let mut news = pin!(workers.added.notified());
    news.as_mut().enable();
    announced.models[0].load.running = 7;
    workers.register(announced.clone()).unwrap();
    assert!(Arc::ptr_eq(&connection, &serving(&workers).unwrap()));
    assert!(news.as_mut().now_or_never().is_none());
    announced.zone = Some("b".into());
    workers.register(announced).unwrap();
    assert!(news.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_models_is_known_and_serves_nothing() {
    let workers = workers(8);
    let mut announced = announcement("a", 1, 10);
    workers.register(announced.clone()).unwrap();
    announced.models.clear();
    workers.register(announced).unwrap();
    assert!(serving(&workers).is_none());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_worker_gets_the_one_that_comes_up() {
    let workers = workers(8);
    workers.register(announcement("dead", 1, 10)).unwrap();
    let tried = [serving(&workers).unwrap()];
    let until = Instant::now() + LEASE;
    let (target, tenant) = (chat(), "tenant".into());
    let wanted = ask(&target, &tenant, &tried);
    let mut waiting = pin!(workers.wait(&wanted, until));
    assert!(waiting.as_mut().now_or_never().is_none());
    workers.register(announcement("new", 2, 10)).unwrap();
    let place = placed(waiting.now_or_never().unwrap()).unwrap();
    assert!(!Arc::ptr_eq(place.connection(), &tried[0]));

    let tried = [tried[0].clone(), place.connection().clone()];
    let wanted = ask(&target, &tenant, &tried);
    assert!(placed(workers.wait(&wanted, until).await).is_none());
    assert_eq!(Instant::now(), until);
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_expected_only_shortly_after_the_last_one_is_gone() {
    let workers = workers(8);
    let grace = Config::default().wait_for_worker;
    let model = chat();
    assert_eq!(workers.expected_until(&model), Instant::now() + grace);
    advance(grace * 2).await;
    assert!(workers.expected_until(&model) < Instant::now());

    let announced = announcement("a", 1, 10);
    workers.register(announced.clone()).unwrap();
    workers.deregister(&announced.worker, 1);
    assert_eq!(workers.expected_until(&model), Instant::now() + grace);
    advance(grace * 2).await;
    assert!(workers.expected_until(&model) < Instant::now());
}

#[tokio::test]
async fn a_burst_spreads_over_the_workers() {
    let workers = workers(8);
    for (port, worker) in ["a", "b", "c"].into_iter().enumerate() {
        workers
            .register(announcement(worker, port as u16 + 1, 10))
            .unwrap();
    }
    let places: Vec<_> = (0..60).map(|_| place(&workers, &[]).unwrap()).collect();
    for place in &places {
        let mine = |other: &&Place| Arc::ptr_eq(other.connection(), place.connection());
        let streams = places.iter().filter(mine).count();
        assert!((18..=22).contains(&streams), "{streams}");
    }
}

#[tokio::test]
async fn the_shortest_context_speaks_for_the_model() {
    let workers = workers(8);
    workers.register(announcement("a", 1, 10)).unwrap();
    workers.register(announcement("b", 2, 5)).unwrap();
    assert_eq!(workers.deployment(&chat()).unwrap().context_length, 5);
}

#[tokio::test(start_paused = true)]
async fn a_full_registry_refuses_newcomers_until_a_lease_ends() {
    let workers = workers(1);
    workers.register(announcement("a", 1, 10)).unwrap();
    let refused = workers.register(announcement("b", 2, 10)).unwrap_err();
    assert!(matches!(refused, Error::RegistryFull { max_workers: 1 }));
    workers.register(announcement("a", 3, 10)).unwrap();
    advance(LEASE).await;
    workers.register(announcement("b", 2, 10)).unwrap();
}

#[tokio::test]
async fn an_announcement_that_cannot_be_used_is_refused_with_its_field() {
    let workers = workers(8);
    let good = announcement("a", 1, 10);
    for (bad, field) in [
        (
            Announcement {
                worker: "".into(),
                ..good.clone()
            },
            "worker_id",
        ),
        (
            Announcement {
                endpoint: "localhost".into(),
                ..good.clone()
            },
            "endpoint",
        ),
        (
            Announcement {
                models: vec![good.models[0].clone(); MAX_MODELS + 1],
                ..good
            },
            "models",
        ),
    ] {
        let error = fathom_proto::Error::from(workers.register(bad).unwrap_err());
        assert_eq!(error.param.as_deref(), Some(field), "{error}");
    }
}

/// A lost registration heals with the next heartbeat, a restarted worker with its first.
#[tokio::test]
async fn a_worker_that_starts_again_takes_the_place_of_the_one_before() {
    let workers = workers(8);
    workers.register(announcement("before", 1, 10)).unwrap();
    let before = serving(&workers).unwrap();
    workers.register(announcement("after", 1, 20)).unwrap();
    assert_eq!(workers.table().len(), 1);
    assert!(!Arc::ptr_eq(&before, &serving(&workers).unwrap()));
    workers.deregister(&"before".into(), 0);
    assert_eq!(workers.deployment(&chat()).unwrap().context_length, 20);
}

/// A worker that says that it is there, and cannot be reached, must not fail a request with each
/// heartbeat for ever.
#[tokio::test(start_paused = true)]
async fn a_worker_out_of_reach_comes_back_with_a_heartbeat_until_its_breaker_opens() {
    let workers = workers(8);
    let unreachable = Outcome::Failed(fathom_proto::ErrorCode::Unavailable);
    for heartbeat in 0..7 {
        workers.register(announcement("a", 1, 10)).unwrap();
        let Some(place) = place(&workers, &[]) else {
            panic!("heartbeat {heartbeat}")
        };
        let connection = place.connection().clone();
        place.settle(unreachable);
        workers.forget(&connection);
        assert!(matches!(pick(&workers), Pick::Nobody));
        assert_eq!(unrouted(&workers), [1, 0, 0]);
    }
    workers.register(announcement("a", 1, 10)).unwrap();
    assert!(matches!(pick(&workers), Pick::Out(_)));
    assert_eq!(unrouted(&workers), [0, 1, 0]);
}

#[tokio::test]
async fn a_worker_that_serves_nothing_that_is_asked_for_is_measured() {
    let workers = workers(8);
    workers.register(announcement("a", 1, 10)).unwrap();
    assert_eq!(unrouted(&workers), [0, 0, 0]);
    let counts = workers.table().unrouted(|_| false, Instant::now());
    assert_eq!(counts[2], ("no_model", 1));
}

/// CB-4: with every breaker open the answer is at once, and says when to come again; then one
/// request finds out.
#[tokio::test(start_paused = true)]
async fn cb_4_all_out_is_said_at_once() {
    let workers = workers(8);
    for port in [1, 2] {
        let id = format!("worker-{port}");
        workers.register(announcement(&id, port, 10)).unwrap();
    }
    let failed = Outcome::Failed(fathom_proto::ErrorCode::WorkerFailed);
    let after = loop {
        match pick(&workers) {
            Pick::Place(place) => place.settle(failed),
            Pick::Out(after) => break after,
            Pick::Nobody => panic!("there are two"),
        }
    };
    assert!(after <= Duration::from_secs(1), "{after:?}");
    let (target, tenant) = (chat(), "tenant".into());
    assert!(!workers.serve(&ask(&target, &tenant, &[])));
    let asked = Instant::now();
    let wanted = ask(&target, &tenant, &[]);
    let probe = placed(workers.wait(&wanted, asked + LEASE).await).unwrap();
    assert!(asked.elapsed() <= after + Duration::from_millis(1));
    assert!(matches!(pick(&workers), Pick::Out(_)) || workers.serve(&wanted));
    probe.settle(Outcome::Finished);
    assert!(workers.serve(&wanted));
}

/// What is the matter with one upstream says nothing of the next, though one worker speaks for
/// both.
#[tokio::test(start_paused = true)]
async fn an_engine_that_fails_takes_no_other_engine_of_its_worker_out() {
    let workers = workers(8);
    let mut announced = announcement("a", 1, 10);
    let mut other = announced.models[0].clone();
    other.model = "code".into();
    other.deployment.weights = "others".into();
    announced.models.push(other);
    workers.register(announced.clone()).unwrap();
    let failed = Outcome::Failed(fathom_proto::ErrorCode::Unavailable);
    while let Pick::Place(place) = pick(&workers) {
        place.settle(failed);
    }
    assert!(matches!(pick(&workers), Pick::Out(_)));
    let (code, tenant) = ("code".into(), "tenant".into());
    let works = || matches!(workers.pick(&ask(&code, &tenant, &[])), Pick::Place(_));
    assert!(works());
    assert_eq!(unrouted(&workers), [0, 1, 0]);
    // A heartbeat that says something new forgets no failure.
    announced.version = "2".into();
    workers.register(announced).unwrap();
    assert!(matches!(pick(&workers), Pick::Out(_)) && works());
}

/// A worker that is back and full answers every probe with a refusal: it must not get, and refuse,
/// each request that the others have room for.
#[tokio::test(start_paused = true)]
async fn a_probe_that_is_refused_is_not_tried_again_at_once() {
    let workers = workers(8);
    for (port, worker) in [(1, "a"), (2, "b")] {
        workers.register(announcement(worker, port, 10)).unwrap();
    }
    let bad = serving(&workers).unwrap();
    let failed = Outcome::Failed(fathom_proto::ErrorCode::WorkerFailed);
    let full = Outcome::Failed(fathom_proto::ErrorCode::Overloaded);
    let mut out = 0;
    while out < 7 {
        let place = place(&workers, &[]).unwrap();
        if Arc::ptr_eq(place.connection(), &bad) {
            place.settle(failed);
            out += 1;
        } else {
            place.settle(Outcome::Finished);
        }
    }
    advance(Duration::from_secs(1)).await;
    let mut probes = 0;
    for _ in 0..40 {
        let place = place(&workers, &[]).unwrap();
        if Arc::ptr_eq(place.connection(), &bad) {
            probes += 1;
            place.settle(full);
        } else {
            place.settle(Outcome::Finished);
        }
        advance(Duration::from_millis(10)).await;
    }
    assert!((1..=2).contains(&probes), "{probes} probes in 400 ms");
    let good = place(&workers, &[]).unwrap().connection().clone();
    assert!(!Arc::ptr_eq(&good, &bad));
    let alone = place(&workers, std::slice::from_ref(&good)).unwrap();
    assert!(
        Arc::ptr_eq(alone.connection(), &bad),
        "nobody else is there"
    );
}

#[tokio::test]
async fn only_workers_with_the_same_deployment_continue() {
    let workers = workers(8);
    workers.register(announcement("a", 1, 10)).unwrap();
    workers.register(announcement("b", 2, 20)).unwrap();
    let (target, tenant) = (chat(), "tenant".into());
    for context_length in [10, 20, 30] {
        let like = announcement("any", 3, context_length).models.remove(0);
        let mut wanted = ask(&target, &tenant, &[]);
        wanted.like = Some(&like.deployment);
        let place = placed(workers.pick(&wanted));
        let found = place.map(|place| place.deployment().context_length);
        assert_eq!(found, (context_length < 30).then_some(context_length));
    }
}

fn pick(workers: &Workers) -> Pick {
    let (target, tenant) = (chat(), "tenant".into());
    workers.pick(&ask(&target, &tenant, &[]))
}

fn unrouted(workers: &Workers) -> [u32; 3] {
    let counts = workers.table().unrouted(|_| true, Instant::now());
    counts.map(|(_, count)| count)
}
