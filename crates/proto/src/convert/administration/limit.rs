//! The target of limits; the limits themselves are read as the identity port's.

use crate::identity::LimitTarget;
use crate::pb::auth as pb;

impl From<LimitTarget> for pb::RemoveLimitRequest {
    fn from(target: LimitTarget) -> Self {
        Self {
            tenant_id: target.tenant.to_string(),
            subject: target.subject,
            model_id: target.model.map(|model| model.to_string()),
        }
    }
}

impl From<pb::RemoveLimitRequest> for LimitTarget {
    fn from(message: pb::RemoveLimitRequest) -> Self {
        Self {
            tenant: message.tenant_id.into(),
            subject: message.subject,
            model: message.model_id.map(Into::into),
        }
    }
}
