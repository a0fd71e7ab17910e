//! The part of `fathom.router.v1` that changes models.

use super::missing;
use crate::Error;
use crate::models::{
    Canary, Deploy, Guard, ManagedModel, ModelChange, ModelPatch, ModelState, ModelVersion,
    NewModel, RollBack, Step,
};
use crate::pb::router as pb;

impl From<ManagedModel> for pb::ManagedModel {
    fn from(model: ManagedModel) -> Self {
        Self {
            id: model.id.to_string(),
            owned_by: model.owned_by,
            context_length: model.context_length,
            created_at: model.created_at,
            state: Some(model.state.into()),
            last_change: model.last_change,
        }
    }
}

impl From<pb::ManagedModel> for ManagedModel {
    fn from(message: pb::ManagedModel) -> Self {
        Self {
            id: message.id.into(),
            owned_by: message.owned_by,
            context_length: message.context_length,
            created_at: message.created_at,
            state: message.state.unwrap_or_default().into(),
            last_change: message.last_change,
        }
    }
}

impl From<ModelState> for pb::ModelState {
    fn from(state: ModelState) -> Self {
        Self {
            stable: state.stable,
            previous: state.previous,
            canary: state.canary.map(Into::into),
            fallback: state.fallback.map(|model| model.to_string()),
            hedging: state.hedging,
        }
    }
}

impl From<pb::ModelState> for ModelState {
    fn from(message: pb::ModelState) -> Self {
        Self {
            stable: message.stable,
            previous: message.previous,
            canary: message.canary.map(Into::into),
            fallback: message.fallback.map(Into::into),
            hedging: message.hedging,
        }
    }
}

impl From<Canary> for pb::Canary {
    fn from(canary: Canary) -> Self {
        Self {
            version: canary.version,
            percent: canary.percent,
            guard: Some(canary.guard.into()),
            since: canary.since,
        }
    }
}

impl From<pb::Canary> for Canary {
    fn from(message: pb::Canary) -> Self {
        Self {
            version: message.version,
            percent: message.percent,
            guard: message.guard.map(Into::into).unwrap_or_default(),
            since: message.since,
        }
    }
}

impl From<Guard> for pb::Guard {
    fn from(guard: Guard) -> Self {
        let Guard {
            max_error_increase,
            max_first_token_ratio,
            min_requests,
        } = guard;
        Self {
            max_error_increase,
            max_first_token_ratio,
            min_requests,
        }
    }
}

impl From<pb::Guard> for Guard {
    fn from(message: pb::Guard) -> Self {
        let pb::Guard {
            max_error_increase,
            max_first_token_ratio,
            min_requests,
        } = message;
        Self {
            max_error_increase,
            max_first_token_ratio,
            min_requests,
        }
    }
}

impl From<ModelVersion> for pb::ModelVersion {
    fn from(version: ModelVersion) -> Self {
        Self {
            number: version.number,
            target: version.target.to_string(),
            parameters: Some(version.parameters.into()),
            created_at: version.created_at,
            created_by: version.created_by,
            note: version.note,
        }
    }
}

impl From<pb::ModelVersion> for ModelVersion {
    fn from(message: pb::ModelVersion) -> Self {
        Self {
            number: message.number,
            target: message.target.into(),
            parameters: message.parameters.unwrap_or_default().into(),
            created_at: message.created_at,
            created_by: message.created_by,
            note: message.note,
        }
    }
}

impl From<ModelChange> for pb::ModelChange {
    fn from(change: ModelChange) -> Self {
        Self {
            id: change.id,
            at: change.at,
            actor: change.actor,
            action: change.action,
            model: change.model.to_string(),
            from: Some(change.from.into()),
            to: Some(change.to.into()),
            why: change.why,
        }
    }
}

impl From<pb::ModelChange> for ModelChange {
    fn from(message: pb::ModelChange) -> Self {
        Self {
            id: message.id,
            at: message.at,
            actor: message.actor,
            action: message.action,
            model: message.model.into(),
            from: message.from.unwrap_or_default().into(),
            to: message.to.unwrap_or_default().into(),
            why: message.why,
        }
    }
}

impl From<(&str, NewModel)> for pb::CreateModelRequest {
    fn from((actor, model): (&str, NewModel)) -> Self {
        Self {
            actor: actor.to_owned(),
            id: model.id.to_string(),
            owned_by: model.owned_by,
            context_length: model.context_length,
            target: model.target.map(|target| target.to_string()),
        }
    }
}

impl From<pb::CreateModelRequest> for NewModel {
    /// The actor is read beside it.
    fn from(message: pb::CreateModelRequest) -> Self {
        Self {
            id: message.id.into(),
            owned_by: message.owned_by,
            context_length: message.context_length,
            target: message.target.map(Into::into),
        }
    }
}

impl From<pb::UpdateModelRequest> for ModelPatch {
    /// Actor and model are read beside it.
    fn from(message: pb::UpdateModelRequest) -> Self {
        Self {
            fallback: message.fallback.map(|change| change.value.map(Into::into)),
            hedging: message.hedging,
        }
    }
}

impl From<pb::DeployVersionRequest> for Deploy {
    /// Actor and model are read beside it.
    fn from(message: pb::DeployVersionRequest) -> Self {
        Self {
            version: message.version,
            target: message.target.map(Into::into),
            parameters: message.parameters.unwrap_or_default().into(),
            percent: message.percent,
            guard: message.guard.map(Into::into),
            why: message.why,
            if_last_change: message.if_last_change,
        }
    }
}

impl From<pb::PromoteCanaryRequest> for Step {
    /// Actor and model are read beside it.
    fn from(message: pb::PromoteCanaryRequest) -> Self {
        Self {
            why: message.why,
            if_last_change: message.if_last_change,
        }
    }
}

impl From<pb::AbortCanaryRequest> for Step {
    /// Actor and model are read beside it.
    fn from(message: pb::AbortCanaryRequest) -> Self {
        Self {
            why: message.why,
            if_last_change: message.if_last_change,
        }
    }
}

impl From<pb::RollBackModelRequest> for RollBack {
    /// Actor and model are read beside it.
    fn from(message: pb::RollBackModelRequest) -> Self {
        Self {
            to: message.to,
            why: message.why,
            if_last_change: message.if_last_change,
        }
    }
}

/// The actor of a change, who must be named.
pub(crate) fn actor(actor: &str) -> Result<&str, Error> {
    if actor.is_empty() {
        return Err(missing("actor"));
    }
    Ok(actor)
}
