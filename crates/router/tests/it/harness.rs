use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fathom_kit::database;
use fathom_kit::net::{Endpoint, ListenAddress};
use fathom_kit::server::{Limits, serve};
use fathom_kit::shutdown::Shutdown;
use fathom_proto::Error;
use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::grpc::InferenceServer;
use fathom_proto::id::RequestId;
use fathom_proto::inference::{
    Delta, EmbedRequest, Embeddings, Event, FinishReason, GenerateRequest, Inference, Piece,
    Prompt, RequestContext, TokenIds, TokenStream, Usage,
};
use fathom_proto::registry::{Announcement, ServedModel};
use fathom_router::{Config, Router};
use fathom_test_database::TestDatabase;
use futures::{StreamExt, stream};
use sqlx::AnyPool;

/// A router over a database of its own.
pub struct Harness {
    pub router: Router,
    pub pool: AnyPool,
    _database: TestDatabase,
}

/// Over SQLite, where the kind of database does not matter.
pub async fn start() -> Harness {
    Harness::over(TestDatabase::sqlite()).await
}

impl Harness {
    pub async fn over(database: TestDatabase) -> Self {
        Self::with(database, &Config::default()).await
    }

    pub async fn with(database: TestDatabase, config: &Config) -> Self {
        let pool = database::connect(&database.url).await.unwrap();
        let router = Router::new(pool.clone(), config).await.unwrap();
        Self {
            router,
            pool,
            _database: database,
        }
    }

    /// Adds a worker of this process that serves `deepseek-chat`.
    pub fn add(&self, worker: &str, fake: &Arc<Fake>) {
        self.add_inference(worker, fake.clone());
    }

    /// As [`Self::add`], in place of the one with this name.
    pub fn add_inference(&self, worker: &str, inference: Arc<dyn Inference>) {
        // Another address is another worker.
        let endpoint = format!("unix:{:p}", Arc::as_ptr(&inference));
        self.router
            .register_local(announcement(worker, &endpoint, 8192), inference)
            .unwrap();
    }
}

/// What a fake worker does with a request.
pub enum Script {
    /// Answers in full.
    Answer,
    /// Ends the stream after the first delta, as if nothing were missing.
    Truncate,
    /// Sends one delta, then nothing for ever.
    Hang,
    /// Refuses with this error.
    Refuse(fn() -> Error),
    /// Fails with this error after the first delta.
    Break(fn() -> Error),
    /// Fails with this error before the first delta.
    Fail(fn() -> Error),
    /// Ends the stream before the first delta.
    Vanish,
}

/// A worker that follows a script and counts.
pub struct Fake {
    script: Script,
    calls: AtomicUsize,
    pub running: Arc<()>,
    pub context_length: AtomicUsize,
}

impl Fake {
    pub fn new(script: Script) -> Arc<Self> {
        Arc::new(Self {
            script,
            calls: AtomicUsize::new(0),
            running: Arc::default(),
            context_length: AtomicUsize::new(0),
        })
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Streams that are neither over nor dropped.
    pub fn running(&self) -> usize {
        Arc::strong_count(&self.running) - 1
    }
}

#[tonic::async_trait]
impl Inference for Fake {
    async fn generate(
        &self,
        request: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let allowed = request.context_length.unwrap_or_default() as usize;
        self.context_length.store(allowed, Ordering::Relaxed);
        let started = Event::Started {
            prompt_tokens: 2,
            cached_tokens: 0,
            fingerprint: None,
            route: None,
        };
        let delta = Event::Delta(Delta {
            piece: Piece::Text("hello".to_owned()),
            tokens: 1,
            logprobs: Vec::new(),
            ids: TokenIds::new(),
        });
        let usage = Usage {
            prompt_tokens: 2,
            completion_tokens: 1,
            ..Usage::default()
        };
        let finished = Event::Finished {
            reason: FinishReason::Stop,
            usage,
        };
        let opened = stream::iter([Ok(started.clone())]);
        let begun = stream::iter([Ok(started), Ok(delta)]);
        let stream: TokenStream = match &self.script {
            Script::Answer => Box::pin(begun.chain(stream::iter([Ok(finished)]))),
            Script::Truncate => Box::pin(begun),
            Script::Hang => Box::pin(begun.chain(stream::pending())),
            Script::Refuse(error) => return Err(error()),
            Script::Break(error) => Box::pin(begun.chain(stream::iter([Err(error())]))),
            Script::Fail(error) => Box::pin(opened.chain(stream::iter([Err(error())]))),
            Script::Vanish => Box::pin(opened),
        };
        let running = self.running.clone();
        Ok(Box::pin(stream.inspect(move |_| {
            let _counted = &running;
        })))
    }

    async fn count_tokens(&self, _: GenerateRequest, _: RequestContext) -> Result<u32, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match &self.script {
            Script::Refuse(error) => Err(error()),
            _ => Ok(2),
        }
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match &self.script {
            Script::Refuse(error) => Err(error()),
            _ => Ok(Embeddings {
                vectors: vec![vec![1.0]],
                prompt_tokens: 2,
            }),
        }
    }
}

/// Serves a fake over gRPC until `shutdown` drains.
pub fn serve_over_grpc<F: Inference + 'static>(fake: &Arc<F>, shutdown: &Shutdown) -> Endpoint {
    let address: ListenAddress = "127.0.0.1:0".parse().unwrap();
    let listener = address.bind().unwrap();
    let endpoint = listener.endpoint().unwrap();
    let routes = tonic::service::Routes::new(InferenceServer::new(fake.clone()));
    let serving = serve(
        listener,
        routes.into_axum_router(),
        Limits::internal(),
        shutdown.clone(),
    );
    shutdown.spawn(serving);
    endpoint
}

pub fn announcement(worker: &str, endpoint: &str, context_length: u32) -> Announcement {
    let deployment = Deployment {
        backend: "sim".into(),
        weights: "words".into(),
        context_length,
    };
    Announcement {
        worker: worker.into(),
        incarnation: 1,
        endpoint: endpoint.into(),
        zone: None,
        version: "1".into(),
        models: vec![ServedModel {
            model: "deepseek-chat".into(),
            deployment,
            load: EngineLoad::default(),
        }],
    }
}

pub fn request(model: &str) -> (GenerateRequest, RequestContext) {
    let request = GenerateRequest::new(model.into(), Prompt::Text("say hello".to_owned()));
    let context = RequestContext {
        request_id: RequestId::generate(),
        tenant: "tenant".into(),
        user: "user".into(),
        deadline: None,
    };
    (request, context)
}
