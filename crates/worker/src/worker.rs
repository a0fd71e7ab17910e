//! The service itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::Deployment;
use fathom_proto::id::ModelId;
use fathom_proto::inference::{GenerateRequest, Inference, RequestContext, TokenStream};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::admission::Load;
use crate::engine::Engine;
use crate::engine::local::Local;
use crate::engine::sim::Sim;
use crate::guarded::{Guarded, end};
use crate::{Config, EngineConfig, Error, store};

/// The engines of one process; clones are the same ones.
#[derive(Clone)]
pub struct Worker {
    engines: Arc<[Arc<dyn Engine>]>,
    serving: Arc<BTreeMap<ModelId, Arc<dyn Engine>>>,
    expired: CancellationToken,
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
        let dir = config
            .model_dir
            .clone()
            .unwrap_or_else(|| home.join("models"));
        let mut engines = Vec::new();
        let mut serving = BTreeMap::new();
        for engine_config in &config.engines {
            let loading = engine_config.clone();
            let (dir, python, shutdown) = (dir.clone(), config.python.clone(), shutdown.clone());
            let engine = spawn_blocking(move || load(&loading, &dir, &python, &shutdown)).await??;
            for model in engine_config.serves() {
                serving.insert(ModelId::from(model.as_str()), engine.clone());
            }
            engines.push(engine);
        }
        Ok(Self {
            engines: engines.into(),
            serving: Arc::new(serving),
            expired: shutdown.expired_token(),
        })
    }

    /// What it serves, for the announcement; ordered by name.
    #[must_use]
    pub fn models(&self) -> Vec<(ModelId, Deployment)> {
        self.serving
            .iter()
            .map(|(model, engine)| (model.clone(), engine.deployment()))
            .collect()
    }

    /// What all engines have to do at this moment.
    #[must_use]
    pub fn load(&self) -> Load {
        self.engines.iter().fold(Load::default(), |sum, engine| {
            let Load { running, queued } = engine.load();
            Load {
                running: sum.running + running,
                queued: sum.queued + queued,
            }
        })
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
        let Some(engine) = self.serving.get(&model) else {
            return Err(Error::ModelNotFound { model }.into());
        };
        let deadline = context.deadline;
        let events = tokio::select! {
            events = engine.generate(request, context) => events?,
            () = self.expired.cancelled() => return Err(Error::ShuttingDown.into()),
        };
        let end = Box::pin(end(self.expired.clone(), deadline));
        Ok(Box::pin(Guarded::new(events, end, &model)))
    }
}

/// Loads one engine. Blocks for as long as that takes.
fn load(
    config: &EngineConfig,
    model_dir: &Path,
    python: &Path,
    shutdown: &Shutdown,
) -> Result<Arc<dyn Engine>, Error> {
    let engine: Arc<dyn Engine> = match config {
        EngineConfig::Sim(config) => Arc::new(Sim::new(config)),
        EngineConfig::Local(config) => {
            let path = match &config.path {
                Some(path) => path.clone(),
                None => store::ensure_default(model_dir, python, shutdown)?,
            };
            Arc::new(Local::load(config, &path)?)
        }
    };
    let Deployment {
        backend,
        weights,
        context_length,
    } = engine.deployment();
    tracing::info!(
        engine.backend = %backend,
        engine.weights = %weights,
        engine.context_length = context_length,
        "engine is ready"
    );
    Ok(engine)
}
