//! What the router adds to a request: the same one asked of a worker and through the router, in
//! one process and over gRPC. Everything runs on one thread, so time is the processor's.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has failed"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fathom_kit::database;
use fathom_kit::net::{Endpoint, ListenAddress};
use fathom_kit::server::{Limits, serve};
use fathom_kit::shutdown::Shutdown;
use fathom_proto::Error;
use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::grpc::{InferenceClient, InferenceServer};
use fathom_proto::id::RequestId;
use fathom_proto::inference::{
    Delta, EmbedRequest, Embeddings, Event, FinishReason, GenerateRequest, Inference, Piece,
    Prompt, RequestContext, TokenIds, TokenStream, Usage,
};
use fathom_proto::registry::{Announcement, Registry, ServedModel};
use fathom_router::{Config, Router};
use fathom_test_database::TestDatabase;
use futures::{StreamExt, stream};

fn dispatch(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let database = TestDatabase::sqlite();
    let worker: Arc<dyn Inference> = Arc::new(Ready);
    let [here, afar] = runtime.block_on(async {
        let pool = database::connect(&database.url).await.unwrap();
        let here = Router::new(pool.clone(), &Config::default()).await.unwrap();
        here.register_local(announcement("unix:none"), worker.clone())
            .unwrap();
        // Nobody renews it.
        let config = Config {
            lease: Duration::from_secs(3_600),
            ..Config::default()
        };
        let afar = Router::new(pool, &config).await.unwrap();
        [here, afar]
    });
    let (worker_afar, router_afar) = runtime.block_on(async {
        let worker = endpoint(worker.clone(), &shutdown);
        afar.register(announcement(&worker.to_string()))
            .await
            .unwrap();
        let router = endpoint(Arc::new(afar), &shutdown);
        (client(&worker), client(&router))
    });
    let asked: [(&str, Arc<dyn Inference>); 4] = [
        ("worker", worker),
        ("router and worker", Arc::new(here)),
        ("worker over gRPC", worker_afar),
        ("router and worker over gRPC", router_afar),
    ];
    for tokens in [1, 100] {
        for (name, inference) in &asked {
            criterion.bench_function(&format!("{name}, tokens: {tokens}"), |bencher| {
                bencher.to_async(&runtime).iter(|| async {
                    let (request, context) = request(tokens);
                    let stream = inference.generate(request, context).await.unwrap();
                    let count = stream.map(|event| black_box(event).unwrap()).count().await;
                    assert_eq!(count, tokens as usize + 2);
                });
            });
        }
    }
    let (large, context) = request(1);
    let large = GenerateRequest {
        prompt: Prompt::Text("word ".repeat(6_000)),
        ..large
    };
    criterion.bench_function("a copy of a request with 30 kB", |bencher| {
        bencher.iter(|| black_box((large.clone(), context.clone())));
    });
}

/// A worker that has its answer ready.
struct Ready;

#[tonic::async_trait]
impl Inference for Ready {
    async fn generate(
        &self,
        request: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, Error> {
        let tokens = request.max_tokens.unwrap_or_default();
        let started = Event::Started {
            prompt_tokens: 200,
            cached_tokens: 0,
            fingerprint: None,
            route: None,
        };
        let deltas = (0..tokens).map(|token| {
            Event::Delta(Delta {
                piece: Piece::Text("word ".to_owned()),
                tokens: 1,
                logprobs: Vec::new(),
                ids: TokenIds::from_slice(&[token]),
            })
        });
        let finished = Event::Finished {
            reason: FinishReason::Length,
            usage: Usage {
                prompt_tokens: 200,
                completion_tokens: tokens,
                ..Usage::default()
            },
        };
        let events = std::iter::once(started).chain(deltas).chain([finished]);
        Ok(Box::pin(stream::iter(events.map(Ok))))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(Error::invalid("model", "makes no vectors"))
    }
}

fn request(tokens: u32) -> (GenerateRequest, RequestContext) {
    let prompt = Prompt::Text("word ".repeat(200));
    let mut request = GenerateRequest::new("deepseek-chat".into(), prompt);
    request.max_tokens = Some(tokens);
    let context = RequestContext {
        request_id: RequestId::generate(),
        tenant: "tenant".into(),
        user: "user".into(),
        deadline: None,
    };
    (request, context)
}

fn announcement(endpoint: &str) -> Announcement {
    Announcement {
        worker: "ready".into(),
        endpoint: endpoint.into(),
        zone: None,
        version: "1".into(),
        incarnation: 0,
        models: vec![ServedModel {
            model: "deepseek-chat".into(),
            deployment: Deployment {
                backend: "sim".into(),
                weights: "words".into(),
                context_length: 8192,
            },
            load: EngineLoad::default(),
        }],
    }
}

fn endpoint(inference: Arc<dyn Inference>, shutdown: &Shutdown) -> Endpoint {
    let address: ListenAddress = "127.0.0.1:0".parse().unwrap();
    let listener = address.bind().unwrap();
    let endpoint = listener.endpoint().unwrap();
    let routes = tonic::service::Routes::new(InferenceServer::new(inference));
    let limits = Limits::internal();
    shutdown.spawn(serve(
        listener,
        routes.into_axum_router(),
        limits,
        shutdown.clone(),
    ));
    endpoint
}

fn client(endpoint: &Endpoint) -> Arc<dyn Inference> {
    Arc::new(InferenceClient::new(endpoint.channel().unwrap()))
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
