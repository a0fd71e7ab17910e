//! `fathom.router.v1`

use std::time::Duration;

use super::missing;
use crate::Error;
use crate::catalog::{Deployment, Model};
use crate::pb::router as pb;
use crate::registry::{Announcement, Lease, ServedModel};

impl From<Model> for pb::Model {
    fn from(model: Model) -> Self {
        Self {
            id: model.id.to_string(),
            owned_by: model.owned_by,
            created: model.created,
            context_length: model.context_length,
            deployment: model.deployment.map(Into::into),
        }
    }
}

impl From<pb::Model> for Model {
    fn from(message: pb::Model) -> Self {
        Self {
            id: message.id.into(),
            owned_by: message.owned_by,
            created: message.created,
            context_length: message.context_length,
            deployment: message.deployment.map(Into::into),
        }
    }
}

impl From<Deployment> for pb::Deployment {
    fn from(deployment: Deployment) -> Self {
        let Deployment {
            backend,
            weights,
            context_length,
        } = deployment;
        Self {
            backend,
            weights,
            context_length,
        }
    }
}

impl From<pb::Deployment> for Deployment {
    fn from(message: pb::Deployment) -> Self {
        let pb::Deployment {
            backend,
            weights,
            context_length,
        } = message;
        Self {
            backend,
            weights,
            context_length,
        }
    }
}

impl From<Announcement> for pb::RegisterWorkerRequest {
    fn from(announcement: Announcement) -> Self {
        Self {
            worker_id: announcement.worker.to_string(),
            incarnation: announcement.incarnation,
            endpoint: announcement.endpoint,
            models: announcement
                .models
                .into_iter()
                .map(|served| pb::ServedModel {
                    model: served.model.to_string(),
                    deployment: Some(served.deployment.into()),
                    load: Some(served.load.into()),
                })
                .collect(),
            zone: announcement.zone.unwrap_or_default(),
            version: announcement.version,
        }
    }
}

impl TryFrom<pb::RegisterWorkerRequest> for Announcement {
    type Error = Error;

    fn try_from(message: pb::RegisterWorkerRequest) -> Result<Self, Error> {
        if message.worker_id.is_empty() {
            return Err(missing("worker_id"));
        }
        let models = message
            .models
            .into_iter()
            .map(|served| {
                let deployment = served
                    .deployment
                    .ok_or_else(|| missing("models.deployment"))?;
                Ok(ServedModel {
                    model: served.model.into(),
                    deployment: deployment.into(),
                    load: served.load.unwrap_or_default().into(),
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            worker: message.worker_id.into(),
            incarnation: message.incarnation,
            endpoint: message.endpoint,
            zone: Some(message.zone).filter(|zone| !zone.is_empty()),
            version: message.version,
            models,
        })
    }
}

impl From<Lease> for pb::RegisterWorkerResponse {
    fn from(lease: Lease) -> Self {
        Self {
            lease_ms: u32::try_from(lease.duration.as_millis()).unwrap_or(u32::MAX),
        }
    }
}

impl From<pb::RegisterWorkerResponse> for Lease {
    fn from(message: pb::RegisterWorkerResponse) -> Self {
        Self {
            duration: Duration::from_millis(message.lease_ms.into()),
        }
    }
}
