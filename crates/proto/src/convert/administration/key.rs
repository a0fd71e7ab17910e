//! API keys.

use super::{
    changed_models, changed_scopes, known_scopes, model_ids, model_list, models_change,
    parse_scopes, scope_list, scope_names,
};
use crate::Error;
use crate::administration::{ApiKey, ApiKeyPatch, NewApiKey};
use crate::pb::auth as pb;

impl From<ApiKey> for pb::ApiKey {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            tenant_id: key.tenant.to_string(),
            name: key.name,
            scopes: scope_names(key.scopes),
            models: key.models.map(model_list),
            created_at: key.created_at,
            disabled_at: key.disabled_at,
            expires_at: key.expires_at,
        }
    }
}

impl From<pb::ApiKey> for ApiKey {
    fn from(message: pb::ApiKey) -> Self {
        Self {
            id: message.id,
            tenant: message.tenant_id.into(),
            name: message.name,
            scopes: known_scopes(&message.scopes),
            models: message.models.map(model_ids),
            created_at: message.created_at,
            disabled_at: message.disabled_at,
            expires_at: message.expires_at,
        }
    }
}

impl From<NewApiKey> for pb::CreateKeyRequest {
    fn from(key: NewApiKey) -> Self {
        Self {
            tenant_id: key.tenant.to_string(),
            name: key.name,
            scopes: scope_names(key.scopes),
            models: key.models.map(model_list),
            expires_at: key.expires_at,
        }
    }
}

impl TryFrom<pb::CreateKeyRequest> for NewApiKey {
    type Error = Error;

    fn try_from(message: pb::CreateKeyRequest) -> Result<Self, Error> {
        Ok(Self {
            tenant: message.tenant_id.into(),
            name: message.name,
            scopes: parse_scopes(&message.scopes)?,
            models: message.models.map(model_ids),
            expires_at: message.expires_at,
        })
    }
}

impl From<(&str, ApiKeyPatch)> for pb::UpdateKeyRequest {
    fn from((id, patch): (&str, ApiKeyPatch)) -> Self {
        Self {
            id: id.to_owned(),
            name: patch.name,
            scopes: patch.scopes.map(scope_list),
            models: patch.models.map(models_change),
            disabled: patch.disabled,
            expires_at: patch.expires_at.map(|value| pb::TimeChange { value }),
        }
    }
}

impl TryFrom<pb::UpdateKeyRequest> for ApiKeyPatch {
    type Error = Error;

    /// The id is read beside it.
    fn try_from(message: pb::UpdateKeyRequest) -> Result<Self, Error> {
        Ok(Self {
            name: message.name,
            scopes: changed_scopes(message.scopes)?,
            models: message.models.map(changed_models),
            disabled: message.disabled,
            expires_at: message.expires_at.map(|change| change.value),
        })
    }
}
