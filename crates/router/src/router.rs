//! The service itself.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::{Catalog, Model};
use fathom_proto::feedback::{Feedback, Score};
use fathom_proto::id::{ModelId, RequestId, TenantId, WorkerId};
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, Inference, RequestContext, TokenStream,
};
use fathom_proto::registry::{Announcement, Lease, Registry};
use sqlx::AnyPool;
use tokio::time::{MissedTickBehavior, interval};

use crate::configured;
use crate::connection::over_grpc;
use crate::dispatch::Dispatch;
use crate::models::Models;
use crate::registry::Workers;
use crate::{Config, ConfiguredWorker, Error, catalog};

/// How often the table of models is read: a change shows after so long at most.
const REFRESH_MODELS: Duration = Duration::from_secs(2);

/// The router; clones are the same one.
#[derive(Clone)]
pub struct Router {
    pub(crate) models: Arc<Models>,
    workers: Arc<Workers>,
    configured: Arc<[ConfiguredWorker]>,
    dispatch: Arc<Dispatch>,
}

impl Router {
    /// A router of the models in `pool`, without workers. Its models stay as they are unless
    /// [`Self::keep_current`] runs.
    ///
    /// # Errors
    /// [`Error::Database`] when the tables of models cannot be read.
    pub async fn new(pool: AnyPool, config: &Config) -> Result<Self, Error> {
        let models = Arc::new(Models::load(pool).await?);
        let workers = Arc::new(Workers::new(config, Box::new(over_grpc)));
        Ok(Self {
            configured: config.workers.clone().into(),
            dispatch: Dispatch::new(&models, &workers, config),
            models,
            workers,
        })
    }

    /// Reads changes of models, ends trials of versions that go badly, asks the workers of the
    /// configuration what they serve, and takes out workers whose lease is over, until
    /// draining begins. Run it as a task of its own.
    pub async fn keep_current(self, shutdown: Shutdown) {
        let mut ticks = interval(REFRESH_MODELS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let refresh = async {
            loop {
                ticks.tick().await;
                self.workers.sweep();
                self.models.refresh().await;
                self.workers.measure(|target| self.knows(target));
                self.models.end_bad_trials().await;
            }
        };
        let ask = async {
            configured::keep_asking(&self.workers, &self.configured).await;
            pending::<()>().await;
        };
        tokio::select! {
            () = refresh => {}
            () = ask => {}
            () = shutdown.draining() => {}
        }
    }

    /// Follows experiments, writes what is counted of them and ends harmful arms, until draining
    /// begins; then it writes the rest. Run it as a task of its own, until the last stream is over.
    pub async fn keep_experiments(self, shutdown: Shutdown) {
        self.models.experiments.keep_current(&shutdown).await;
    }

    /// Whether requests may be sent to workers that announce `name`: it is a model, or the target
    /// of a version of one.
    #[must_use]
    pub fn knows(&self, name: &ModelId) -> bool {
        let models = &self.models.snapshot().models;
        let mut versions = models.values().flat_map(|model| model.versions.iter());
        models.contains_key(name) || versions.any(|version| version.target == *name)
    }

    /// Whether a worker that announces `name` is up.
    #[must_use]
    pub fn has_worker(&self, name: &ModelId) -> bool {
        self.workers.deployment(name).is_some()
    }

    /// Adds a worker of this process, called without a network, or notes what it says anew. It has
    /// no lease: it is up until it is deregistered. The announced endpoint is for log lines alone.
    ///
    /// # Errors
    /// [`Error::Announcement`] or [`Error::RegistryFull`].
    pub fn register_local(
        &self,
        announcement: Announcement,
        worker: Arc<dyn Inference>,
    ) -> Result<(), Error> {
        self.workers.register_local(announcement, worker)
    }
}

#[tonic::async_trait]
impl Inference for Router {
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, fathom_proto::Error> {
        self.dispatch.generate(request, context).await
    }

    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, fathom_proto::Error> {
        self.dispatch.embed(request, context).await
    }

    async fn count_tokens(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<u32, fathom_proto::Error> {
        self.dispatch.count_tokens(request, context).await
    }
}

#[tonic::async_trait]
impl Catalog for Router {
    async fn list_models(&self) -> Result<Vec<Model>, fathom_proto::Error> {
        Ok(catalog::list(&self.models, &self.workers))
    }
}

#[tonic::async_trait]
impl Feedback for Router {
    async fn score(
        &self,
        tenant: &TenantId,
        request: &RequestId,
        score: Score,
    ) -> Result<(), fathom_proto::Error> {
        let experiments = &self.models.experiments;
        Ok(experiments.score(tenant, request, score).await?)
    }
}

#[tonic::async_trait]
impl Registry for Router {
    async fn register(&self, announcement: Announcement) -> Result<Lease, fathom_proto::Error> {
        Ok(self.workers.register(announcement)?)
    }

    async fn deregister(
        &self,
        worker: &WorkerId,
        incarnation: u64,
    ) -> Result<(), fathom_proto::Error> {
        self.workers.deregister(worker, incarnation);
        Ok(())
    }
}
