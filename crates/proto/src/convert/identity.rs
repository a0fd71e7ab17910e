//! `fathom.auth.v1`

use crate::identity::{AccessToken, Principal, Scopes, TokenRequest};
use crate::pb::auth as pb;
use crate::{Error, ErrorCode};
use secrecy::ExposeSecret;

impl From<Principal> for pb::AuthenticateResponse {
    fn from(principal: Principal) -> Self {
        Self {
            tenant_id: principal.tenant.to_string(),
            subject: principal.subject,
            scopes: scope_names(principal.scopes),
            expires_at: principal.expires_at,
        }
    }
}

impl From<pb::AuthenticateResponse> for Principal {
    fn from(message: pb::AuthenticateResponse) -> Self {
        Self {
            tenant: message.tenant_id.into(),
            subject: message.subject,
            scopes: known_scopes(&message.scopes),
            expires_at: message.expires_at,
        }
    }
}

impl From<TokenRequest> for pb::IssueTokenRequest {
    fn from(request: TokenRequest) -> Self {
        Self {
            client_id: request.client_id,
            client_secret: request.client_secret.expose_secret().to_owned(),
            scopes: request.scopes.map(scope_names).unwrap_or_default(),
        }
    }
}

impl TryFrom<pb::IssueTokenRequest> for TokenRequest {
    type Error = Error;

    fn try_from(message: pb::IssueTokenRequest) -> Result<Self, Error> {
        let scopes =
            Scopes::parse(message.scopes.iter().map(String::as_str)).map_err(|name| Error {
                param: Some("scopes".into()),
                ..Error::new(
                    ErrorCode::InvalidRequest,
                    format!("`{name}` is not a scope"),
                )
            })?;
        Ok(Self {
            client_id: message.client_id,
            client_secret: message.client_secret.into(),
            scopes: (!scopes.is_empty()).then_some(scopes),
        })
    }
}

impl From<AccessToken> for pb::IssueTokenResponse {
    fn from(token: AccessToken) -> Self {
        Self {
            access_token: token.token.expose_secret().to_owned(),
            expires_in: token.expires_in,
            scopes: scope_names(token.scopes),
        }
    }
}

impl From<pb::IssueTokenResponse> for AccessToken {
    fn from(message: pb::IssueTokenResponse) -> Self {
        Self {
            token: message.access_token.into(),
            expires_in: message.expires_in,
            scopes: known_scopes(&message.scopes),
        }
    }
}

fn scope_names(scopes: Scopes) -> Vec<String> {
    scopes
        .iter()
        .map(|scope| scope.as_str().to_owned())
        .collect()
}

/// A scope that a newer auth service knows and this build does not grants nothing here.
fn known_scopes(names: &[String]) -> Scopes {
    crate::identity::Scope::ALL
        .into_iter()
        .filter(|scope| names.iter().any(|name| name == scope.as_str()))
        .collect()
}
