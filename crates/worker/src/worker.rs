//! The service itself.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::engines::{EngineLoad, EngineStatus, Engines, LoadEngine};
use fathom_proto::id::ModelId;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, Inference, RequestContext, TokenStream,
};
use fathom_proto::registry::ServedModel;
use futures::FutureExt;
use tokio::sync::watch;

use crate::engine::Engine;
use crate::guarded::{Guarded, end};
use crate::loading::Loader;
use crate::serving::{Held, Served, Serving};
use crate::tokens::Tokens;
use crate::{Config, EngineConfig, Error};

/// The engines of one process; clones are the same ones.
#[derive(Clone)]
pub struct Worker {
    serving: watch::Sender<Serving>,
    loader: Loader,
    shutdown: Shutdown,
}

impl Worker {
    /// Loads every engine, which may take minutes when the default weights have to be fetched
    /// into `home`. Streams that outlive the grace period of `shutdown` end with an error.
    ///
    /// # Errors
    /// [`Error::Engines`] for a configuration that serves nothing or serves a model twice,
    /// [`Error::Load`] and [`Error::Store`] for weights that cannot be used or had.
    pub async fn start(config: &Config, home: &Path, shutdown: &Shutdown) -> Result<Self, Error> {
        config.validate()?;
        let worker = Self {
            serving: watch::Sender::default(),
            loader: Loader::new(config, home, shutdown),
            shutdown: shutdown.clone(),
        };
        for engine in &config.engines {
            worker.serve(engine.clone()).await?;
        }
        Ok(worker)
    }

    /// Loads an engine, which then serves its names instead of those that did. Running
    /// generations stay with the engine that they began on; it ends when the last of them does,
    /// unless it serves other names.
    ///
    /// # Errors
    /// [`Error::Load`] and [`Error::Store`] for weights that cannot be used or had.
    pub async fn serve(&self, config: EngineConfig) -> Result<EngineStatus, Error> {
        let names = config.serves().iter().map(|name| name.as_str().into());
        let names: Vec<ModelId> = names.collect();
        let engine = self.loader.load(config).await?;
        let status = status(&names, engine.as_ref());
        let mut nameless = Vec::new();
        self.serving
            .send_modify(|serving| nameless = serving.add(names, engine));
        self.retire(nameless);
        Ok(status)
    }

    /// What it serves, for the announcement; ordered by name.
    #[must_use]
    pub fn models(&self) -> Vec<ServedModel> {
        self.serving.borrow().models()
    }

    /// Sees that other models are served than before.
    pub(crate) fn changes(&self) -> watch::Receiver<Serving> {
        self.serving.subscribe()
    }

    /// What all engines have to do at this moment.
    #[must_use]
    pub fn load(&self) -> EngineLoad {
        self.serving.borrow().load()
    }

    fn hold(&self, model: &ModelId) -> Result<Held, Error> {
        let held = self.serving.borrow().hold(model);
        held.ok_or_else(|| Error::ModelNotFound {
            model: model.clone(),
        })
    }

    fn retire(&self, nameless: Vec<Served>) {
        for served in nameless {
            self.shutdown.spawn(served.retire());
        }
    }
}

#[tonic::async_trait]
impl Inference for Worker {
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, fathom_proto::Error> {
        let model = request.model.clone();
        let held = self.hold(&model)?;
        let (deadline, generated) = (context.deadline, request.generated.len());
        let expired = self.shutdown.expired_token();
        let events = tokio::select! {
            events = unpanicked(held.engine.generate(request, context)) => events?,
            () = expired.cancelled() => return Err(Error::ShuttingDown.into()),
        };
        let end = Box::pin(end(expired, deadline));
        let tokens = Tokens::of(&model, generated);
        Ok(Box::pin(Guarded::new(events, held, end, tokens)))
    }

    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, fathom_proto::Error> {
        let held = self.hold(&request.model)?;
        let mut tokens = Tokens::of(&request.model, 0);
        let end = end(self.shutdown.expired_token(), context.deadline);
        let embeddings = tokio::select! {
            embeddings = unpanicked(held.engine.embed(request, context)) => embeddings?,
            error = end => return Err(error.into()),
        };
        tokens.prompt(embeddings.prompt_tokens);
        Ok(embeddings)
    }

    async fn count_tokens(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<u32, fathom_proto::Error> {
        let held = self.hold(&request.model)?;
        let end = end(self.shutdown.expired_token(), context.deadline);
        tokio::select! {
            counted = unpanicked(held.engine.count_tokens(request)) => Ok(counted?),
            error = end => Err(error.into()),
        }
    }
}

#[tonic::async_trait]
impl Engines for Worker {
    async fn list(&self) -> Result<Vec<EngineStatus>, fathom_proto::Error> {
        Ok(self.serving.borrow().engines().collect())
    }

    async fn load(&self, request: LoadEngine) -> Result<EngineStatus, fathom_proto::Error> {
        let config = self.loader.configure(request)?;
        self.serve(config).await.map_err(|error| match error {
            // Whoever asks is an operator, and chose the file.
            Error::Load { source, .. } => {
                let problem = format!("the file cannot be loaded: {source}");
                fathom_proto::Error::invalid("file", problem)
            }
            error => error.into(),
        })
    }

    async fn unload(&self, model: &ModelId) -> Result<(), fathom_proto::Error> {
        let mut removed = None;
        self.serving.send_if_modified(|serving| {
            removed = serving.remove(model);
            removed.is_some()
        });
        let Some(nameless) = removed else {
            let model = model.clone();
            return Err(Error::ModelNotFound { model }.into());
        };
        tracing::info!(model.id = %model, "model is not served any more");
        self.retire(nameless);
        Ok(())
    }
}

fn status(names: &[ModelId], engine: &dyn Engine) -> EngineStatus {
    EngineStatus {
        serves: names.to_vec(),
        deployment: engine.deployment(),
        load: engine.load(),
    }
}

/// The outcome of an engine's call; a panic in it is a failure of this request alone.
async fn unpanicked<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    outcome.unwrap_or(Err(Error::Panicked))
}
