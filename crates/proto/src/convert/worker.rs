//! `fathom.worker.v1`

use super::missing;
use crate::Error;
use crate::catalog::Deployment;
use crate::engines::{EngineLoad, EngineStatus, LoadEngine};
use crate::pb::worker as pb;

impl From<EngineLoad> for pb::EngineLoad {
    fn from(load: EngineLoad) -> Self {
        let EngineLoad {
            slots,
            running,
            queued,
            kv_used,
            kv_capacity,
        } = load;
        Self {
            slots,
            running,
            queued,
            kv_used,
            kv_capacity,
        }
    }
}

impl From<pb::EngineLoad> for EngineLoad {
    fn from(message: pb::EngineLoad) -> Self {
        let pb::EngineLoad {
            slots,
            running,
            queued,
            kv_used,
            kv_capacity,
        } = message;
        Self {
            slots,
            running,
            queued,
            kv_used,
            kv_capacity,
        }
    }
}

impl From<EngineStatus> for pb::Engine {
    fn from(status: EngineStatus) -> Self {
        Self {
            serves: status.serves.iter().map(ToString::to_string).collect(),
            backend: status.deployment.backend,
            weights: status.deployment.weights,
            context_length: status.deployment.context_length,
            load: Some(status.load.into()),
        }
    }
}

impl From<pb::Engine> for EngineStatus {
    fn from(message: pb::Engine) -> Self {
        Self {
            serves: message.serves.into_iter().map(Into::into).collect(),
            deployment: Deployment {
                backend: message.backend,
                weights: message.weights,
                context_length: message.context_length,
            },
            load: message.load.unwrap_or_default().into(),
        }
    }
}

impl From<LoadEngine> for pb::LoadEngineRequest {
    fn from(request: LoadEngine) -> Self {
        Self {
            file: request.file,
            serves: request.serves.iter().map(ToString::to_string).collect(),
            context_length: request.context_length,
            slots: request.slots,
        }
    }
}

impl TryFrom<pb::LoadEngineRequest> for LoadEngine {
    type Error = Error;

    fn try_from(message: pb::LoadEngineRequest) -> Result<Self, Error> {
        if message.file.is_empty() {
            return Err(missing("file"));
        }
        if message.serves.is_empty() {
            return Err(missing("serves"));
        }
        Ok(Self {
            file: message.file,
            serves: message.serves.into_iter().map(Into::into).collect(),
            context_length: message.context_length,
            slots: message.slots,
        })
    }
}
