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
use crate::place::Place;

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
    assert_eq!(workers.table().loads(&chat()), [announced.models[0].load]);
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
    let loads: Vec<_> = (0..6).map(|_| place(&workers, &[]).unwrap()).collect();
    assert!(loads.iter().all(|load| load.connection().running() == 2));
    let freed = loads[3].connection().clone();
    drop(loads);
    assert_eq!(freed.running(), 0);
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
