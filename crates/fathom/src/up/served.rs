//! Which of the configured models are served.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fathom_kit::config::ConfigError;
use fathom_proto::catalog::Catalog;
use fathom_proto::id::ModelId;
use fathom_router::Router;
use fathom_worker::EngineConfig;

use crate::Config;
use crate::process::Process;

/// How soon `/readyz` follows a change.
const PERIOD: Duration = Duration::from_millis(100);

/// Refuses engines that serve what is no model and no version of one: no request would ever reach
/// them.
pub async fn check_registered(engines: &[EngineConfig], router: &Router) -> anyhow::Result<()> {
    let models = router.list_models().await?;
    let known: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let mut served = engines.iter().flat_map(|engine| engine.serves());
    match served.find(|name| !router.knows(&name.as_str().into())) {
        None => Ok(()),
        Some(name) => Err(ConfigError::Invalid(format!(
            "`worker.engines`: the model `{name}` is not registered; registered are {}",
            known.join(", ")
        ))
        .into()),
    }
}

/// Keeps the readiness condition `models`: every model that an engine is configured for is served.
/// `was_ready` becomes true with the first time and stays so.
pub async fn watch(config: Config, router: Router, core: Process, was_ready: Arc<AtomicBool>) {
    let wanted: BTreeSet<ModelId> = config
        .worker
        .engines
        .iter()
        .flat_map(|engine| engine.serves().iter().map(|name| name.as_str().into()))
        .collect();
    let watch = async {
        loop {
            let ready = wanted.iter().all(|name| router.has_worker(name));
            core.readiness.set("models", ready);
            was_ready.fetch_or(ready, Ordering::Relaxed);
            tokio::time::sleep(PERIOD).await;
        }
    };
    tokio::select! {
        () = watch => {}
        () = core.shutdown.draining() => {}
    }
}
