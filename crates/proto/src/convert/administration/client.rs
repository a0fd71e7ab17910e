//! OAuth2 clients.

use super::{
    changed_models, changed_scopes, json, known_scopes, model_ids, model_list, models_change,
    parse_scopes, scope_list, scope_names,
};
use crate::Error;
use crate::administration::{Client, ClientMethod, ClientPatch, ClientSecret, NewClient};
use crate::convert::missing;
use crate::pb::auth as pb;

impl From<ClientMethod> for pb::ClientMethod {
    fn from(method: ClientMethod) -> Self {
        match method {
            ClientMethod::ClientSecret => Self::ClientSecret,
            ClientMethod::ClientSecretJwt => Self::ClientSecretJwt,
            ClientMethod::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
}

/// The method that a message says; `None` if it says none.
fn method(number: i32) -> Result<Option<ClientMethod>, Error> {
    match pb::ClientMethod::try_from(number) {
        Ok(pb::ClientMethod::Unspecified) => Ok(None),
        Ok(pb::ClientMethod::ClientSecret) => Ok(Some(ClientMethod::ClientSecret)),
        Ok(pb::ClientMethod::ClientSecretJwt) => Ok(Some(ClientMethod::ClientSecretJwt)),
        Ok(pb::ClientMethod::PrivateKeyJwt) => Ok(Some(ClientMethod::PrivateKeyJwt)),
        Err(_) => Err(Error::invalid("method", "`method` is not a known one")),
    }
}

impl From<Client> for pb::Client {
    fn from(client: Client) -> Self {
        Self {
            id: client.id,
            tenant_id: client.tenant.to_string(),
            name: client.name,
            scopes: scope_names(client.scopes),
            models: client.models.map(model_list),
            method: pb::ClientMethod::from(client.method).into(),
            self_signed_bearer: client.self_signed_bearer,
            token_endpoint_audience: client.token_endpoint_audience,
            jwks: client.jwks.map(|jwks| jwks.to_string()),
            secrets: client.secrets.into_iter().map(Into::into).collect(),
            created_at: client.created_at,
            disabled_at: client.disabled_at,
            expires_at: client.expires_at,
        }
    }
}

impl TryFrom<pb::Client> for Client {
    type Error = Error;

    fn try_from(message: pb::Client) -> Result<Self, Error> {
        let jwks = message.jwks.map(|jwks| json("jwks", &jwks)).transpose()?;
        Ok(Self {
            id: message.id,
            tenant: message.tenant_id.into(),
            name: message.name,
            scopes: known_scopes(&message.scopes),
            models: message.models.map(model_ids),
            method: method(message.method)?.ok_or_else(|| missing("method"))?,
            self_signed_bearer: message.self_signed_bearer,
            token_endpoint_audience: message.token_endpoint_audience,
            jwks,
            secrets: message.secrets.into_iter().map(Into::into).collect(),
            created_at: message.created_at,
            disabled_at: message.disabled_at,
            expires_at: message.expires_at,
        })
    }
}

impl From<ClientSecret> for pb::ClientSecret {
    fn from(secret: ClientSecret) -> Self {
        Self {
            id: secret.id,
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        }
    }
}

impl From<pb::ClientSecret> for ClientSecret {
    fn from(message: pb::ClientSecret) -> Self {
        Self {
            id: message.id,
            created_at: message.created_at,
            expires_at: message.expires_at,
        }
    }
}

impl From<NewClient> for pb::CreateClientRequest {
    fn from(client: NewClient) -> Self {
        Self {
            tenant_id: client.tenant.to_string(),
            name: client.name,
            scopes: scope_names(client.scopes),
            models: client.models.map(model_list),
            method: pb::ClientMethod::from(client.method).into(),
            self_signed_bearer: client.self_signed_bearer,
            token_endpoint_audience: client.token_endpoint_audience,
            jwks: client.jwks.map(|jwks| jwks.to_string()),
            expires_at: client.expires_at,
        }
    }
}

impl TryFrom<pb::CreateClientRequest> for NewClient {
    type Error = Error;

    fn try_from(message: pb::CreateClientRequest) -> Result<Self, Error> {
        Ok(Self {
            tenant: message.tenant_id.into(),
            name: message.name,
            scopes: parse_scopes(&message.scopes)?,
            models: message.models.map(model_ids),
            method: method(message.method)?.unwrap_or_default(),
            self_signed_bearer: message.self_signed_bearer,
            token_endpoint_audience: message.token_endpoint_audience,
            jwks: message.jwks.map(|jwks| json("jwks", &jwks)).transpose()?,
            expires_at: message.expires_at,
        })
    }
}

impl From<(&str, ClientPatch)> for pb::UpdateClientRequest {
    fn from((id, patch): (&str, ClientPatch)) -> Self {
        Self {
            id: id.to_owned(),
            name: patch.name,
            scopes: patch.scopes.map(scope_list),
            models: patch.models.map(models_change),
            self_signed_bearer: patch.self_signed_bearer,
            token_endpoint_audience: patch.token_endpoint_audience,
            jwks: patch.jwks.map(|jwks| jwks.to_string()),
            disabled: patch.disabled,
            expires_at: patch.expires_at.map(|value| pb::TimeChange { value }),
        }
    }
}

impl TryFrom<pb::UpdateClientRequest> for ClientPatch {
    type Error = Error;

    /// The id is read beside it.
    fn try_from(message: pb::UpdateClientRequest) -> Result<Self, Error> {
        Ok(Self {
            name: message.name,
            scopes: changed_scopes(message.scopes)?,
            models: message.models.map(changed_models),
            self_signed_bearer: message.self_signed_bearer,
            token_endpoint_audience: message.token_endpoint_audience,
            jwks: message.jwks.map(|jwks| json("jwks", &jwks)).transpose()?,
            disabled: message.disabled,
            expires_at: message.expires_at.map(|change| change.value),
        })
    }
}
