//! Makes engines of what configuration or an operator says.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::Deployment;
use fathom_proto::engines::LoadEngine;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::engine::Engine;
use crate::engine::local::Local;
use crate::engine::sim::Sim;
use crate::engine::upstream::Upstream;
use crate::{Config, EngineConfig, Error, LocalConfig, store};

/// Loads engines, one at a time.
#[derive(Clone)]
pub(crate) struct Loader {
    model_dir: Arc<Path>,
    python: Arc<Path>,
    shutdown: Shutdown,
    turn: Arc<Semaphore>,
}

impl Loader {
    /// A loader that keeps weights in `home` unless configured.
    pub fn new(config: &Config, home: &Path, shutdown: &Shutdown) -> Self {
        let model_dir = config.model_dir.clone();
        Self {
            model_dir: model_dir.unwrap_or_else(|| home.join("models")).into(),
            python: config.python.as_path().into(),
            shutdown: shutdown.clone(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Loads one engine, after those that were asked for before. What has begun goes on when the
    /// future is dropped, and is dropped when it is done.
    pub async fn load(&self, config: EngineConfig) -> Result<Arc<dyn Engine>, Error> {
        // Only a semaphore that is closed fails, and nobody closes this one.
        let turn = self.turn.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Error::ShuttingDown)?;
        let loader = self.clone();
        let loaded = spawn_blocking(move || {
            let _turn = turn;
            loader.load_now(&config)
        });
        let engine = loaded.await??;
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

    /// The configuration of an engine that is asked for at run time.
    pub fn configure(&self, request: LoadEngine) -> Result<EngineConfig, Error> {
        let serves: Vec<String> = request.serves.iter().map(ToString::to_string).collect();
        for (i, name) in serves.iter().enumerate() {
            if name.is_empty() || serves[..i].contains(name) {
                let problem = format!("`serves` has `{name}` empty or twice; name each once");
                return Err(Error::LoadRequest {
                    field: "serves",
                    problem,
                });
            }
        }
        let defaults = LocalConfig::default();
        let slots = request.slots.map(|slots| {
            usize::try_from(slots)
                .ok()
                .and_then(std::num::NonZeroUsize::new)
                .ok_or(Error::LoadRequest {
                    field: "slots",
                    problem: "`slots` is 0; an engine needs one at least".to_owned(),
                })
        });
        Ok(EngineConfig::Local(LocalConfig {
            serves,
            path: Some(self.file(&request.file)?),
            context_length: request.context_length,
            slots: slots.transpose()?.unwrap_or(defaults.slots),
            ..defaults
        }))
    }

    /// The path of a file of the model folder, and of no other.
    fn file(&self, name: &str) -> Result<PathBuf, Error> {
        let refused = |problem| Error::LoadRequest {
            field: "file",
            problem,
        };
        let path = Path::new(name);
        let plain = matches!(
            path.components().collect::<Vec<_>>()[..],
            [Component::Normal(only)] if only == path.as_os_str()
        );
        if !plain || name.contains('\\') || !name.ends_with(".gguf") {
            return Err(refused(format!(
                "`{name}` is no name of a file in the model folder; write NAME.gguf"
            )));
        }
        let path = self.model_dir.join(path);
        if !path.is_file() {
            return Err(refused(format!("the model folder has no file `{name}`")));
        }
        Ok(path)
    }

    /// Blocks for as long as loading takes.
    fn load_now(&self, config: &EngineConfig) -> Result<Arc<dyn Engine>, Error> {
        Ok(match config {
            EngineConfig::Sim(config) => Arc::new(Sim::new(config)),
            EngineConfig::Upstream(config) => Arc::new(Upstream::new(config)?),
            EngineConfig::Local(config) => {
                let path = match &config.path {
                    Some(path) => path.clone(),
                    None => store::ensure_default(&self.model_dir, &self.python, &self.shutdown)?,
                };
                Arc::new(Local::load(config, &path)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_a_name_in_the_model_folder_can_be_loaded() {
        let home = tempfile::tempdir().unwrap();
        let models = home.path().join("models");
        std::fs::create_dir(&models).unwrap();
        std::fs::create_dir(models.join("folder.gguf")).unwrap();
        std::fs::write(models.join("there.gguf"), "").unwrap();
        std::fs::write(home.path().join("outside.gguf"), "").unwrap();
        let shutdown = Shutdown::new(Duration::ZERO);
        let loader = Loader::new(&Config::default(), home.path(), &shutdown);
        assert_eq!(
            loader.file("there.gguf").unwrap(),
            models.join("there.gguf")
        );
        for name in [
            "",
            ".gguf/",
            "there",
            "../outside.gguf",
            "./there.gguf",
            "there.gguf/",
            "..\\outside.gguf",
            "/etc/passwd.gguf",
            "absent.gguf",
            "folder.gguf",
        ] {
            let error = fathom_proto::Error::from(loader.file(name).unwrap_err());
            assert_eq!(
                error.code,
                fathom_proto::ErrorCode::InvalidRequest,
                "{name}"
            );
            assert_eq!(error.param.as_deref(), Some("file"), "{name}");
        }
    }
}
