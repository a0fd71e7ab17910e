//! Workers of the configuration: they know no router, so the router asks them what they serve.

use std::time::Duration;

use fathom_kit::net::Endpoint;
use fathom_proto::engines::{EngineStatus, Engines};
use fathom_proto::grpc::EnginesClient;
use fathom_proto::id::WorkerId;
use fathom_proto::registry::{Announcement, ServedModel};
use fathom_proto::{Error as PublicError, ErrorCode};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::registry::Workers;

/// One of `router.workers`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredWorker {
    /// Where it serves.
    pub endpoint: Endpoint,
    /// Where it runs, for example an availability zone; absent: as near as any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Asks each of `configured` for ever, three times a lease; one that does not answer is out when
/// its lease is over, and back with its next answer.
pub(crate) async fn keep_asking(workers: &Workers, configured: &[ConfiguredWorker]) {
    let asked = configured.iter().map(|worker| async {
        match worker.endpoint.channel() {
            Ok(channel) => ask(workers, worker, &EnginesClient::new(channel)).await,
            Err(problem) => {
                tracing::error!(worker.endpoint = %worker.endpoint, problem, "worker of the configuration cannot be called");
            }
        }
    });
    join_all(asked).await;
}

async fn ask(workers: &Workers, configured: &ConfiguredWorker, engines: &dyn Engines) {
    let pause = workers.lease() / 3;
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answers = None;
    loop {
        ticks.tick().await;
        let id: WorkerId = configured.endpoint.to_string().into();
        if workers.registers_itself(&configured.endpoint, &id) {
            continue;
        }
        let answer = match answer(engines, pause).await {
            Ok(engines) => {
                let announcement = announcement(configured, id, engines);
                workers.register(announcement).map_err(PublicError::from)
            }
            Err(error) => Err(error),
        };
        if answers != Some(answer.is_ok())
            && let Err(error) = &answer
        {
            tracing::warn!(
                worker.endpoint = %configured.endpoint,
                %error,
                "worker of the configuration does not say what it serves; asking again"
            );
        }
        answers = Some(answer.is_ok());
    }
}

async fn answer(engines: &dyn Engines, within: Duration) -> Result<Vec<EngineStatus>, PublicError> {
    let answer = timeout(within, engines.list()).await;
    answer.unwrap_or_else(|_| {
        let message = "no answer in time";
        Err(PublicError::new(ErrorCode::DeadlineExceeded, message))
    })
}

fn announcement(
    configured: &ConfiguredWorker,
    worker: WorkerId,
    engines: Vec<EngineStatus>,
) -> Announcement {
    let models = engines.into_iter().flat_map(|engine| {
        let EngineStatus {
            serves,
            deployment,
            load,
        } = engine;
        serves.into_iter().map(move |model| ServedModel {
            model,
            deployment: deployment.clone(),
            load,
        })
    });
    Announcement {
        worker,
        endpoint: configured.endpoint.to_string(),
        zone: configured.zone.clone(),
        version: String::new(),
        models: models.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use fathom_proto::catalog::Deployment;
    use fathom_proto::engines::{EngineLoad, LoadEngine};
    use fathom_proto::id::ModelId;
    use fathom_proto::inference::Inference;
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::Config;

    struct Fake {
        answers: AtomicBool,
    }

    #[tonic::async_trait]
    impl Engines for Fake {
        async fn list(&self) -> Result<Vec<EngineStatus>, PublicError> {
            if !self.answers.load(Ordering::Relaxed) {
                sleep(Duration::from_secs(3_600)).await;
            }
            Ok(vec![EngineStatus {
                serves: vec!["chat".into(), "code".into()],
                deployment: Deployment {
                    backend: "upstream".into(),
                    weights: "words".into(),
                    context_length: 10,
                },
                load: EngineLoad::default(),
            }])
        }

        async fn load(&self, _: LoadEngine) -> Result<EngineStatus, PublicError> {
            Err(PublicError::internal("not asked for"))
        }

        async fn unload(&self, _: &ModelId) -> Result<(), PublicError> {
            Err(PublicError::internal("not asked for"))
        }
    }

    fn workers() -> Workers {
        let no_call = |_: &Endpoint| -> Result<Arc<dyn Inference>, String> {
            Ok(crate::registry::tests::nothing())
        };
        Workers::new(&Config::default(), Box::new(no_call))
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_of_the_configuration_is_up_while_it_answers() {
        let workers = workers();
        let configured = ConfiguredWorker {
            endpoint: Endpoint::local(1),
            zone: None,
        };
        let fake = Fake {
            answers: AtomicBool::new(true),
        };
        let (chat, code): (ModelId, ModelId) = ("chat".into(), "code".into());
        let watch = async {
            sleep(Duration::from_millis(1)).await;
            assert!(workers.deployment(&chat).is_some() && workers.deployment(&code).is_some());
            advance(workers.lease() * 2).await;
            sleep(Duration::from_secs(1)).await;
            assert!(workers.deployment(&chat).is_some(), "it is asked again");
            fake.answers.store(false, Ordering::Relaxed);
            sleep(workers.lease() * 2).await;
            assert!(workers.deployment(&chat).is_none());
            fake.answers.store(true, Ordering::Relaxed);
            sleep(workers.lease()).await;
            assert!(workers.deployment(&chat).is_some(), "within two heartbeats");
        };
        tokio::select! {
            () = ask(&workers, &configured, &fake) => {}
            () = watch => {}
        }
    }

    /// Known twice, it would get twice its share.
    #[tokio::test(start_paused = true)]
    async fn a_worker_that_registers_itself_is_not_asked() {
        let workers = workers();
        let configured = ConfiguredWorker {
            endpoint: Endpoint::local(1),
            zone: None,
        };
        let itself = announcement(&configured, "itself".into(), Vec::new());
        workers.register(itself).unwrap();
        let fake = Fake {
            answers: AtomicBool::new(true),
        };
        tokio::select! {
            () = ask(&workers, &configured, &fake) => {}
            () = sleep(Duration::from_secs(1)) => {}
        }
        assert!(workers.deployment(&"chat".into()).is_none());
    }
}
