//! `fathom.auth.v1`

use secrecy::ExposeSecret;

use crate::Error;
use crate::identity::{
    AccessToken, Change, ClientAuthentication, ClientProof, Introspection, KeySet, Limit,
    LimitTarget, Limits, ModelAccess, Notice, Principal, Scope, Scopes, TokenRequest,
};
use crate::pb::auth as pb;
use crate::pb::auth::client_authentication::Proof;
use crate::pb::auth::watch_revocations_response::Change as PbChange;

impl From<Principal> for pb::AuthenticateResponse {
    fn from(principal: Principal) -> Self {
        let models = match principal.models {
            ModelAccess::All => None,
            ModelAccess::Only(models) => Some(pb::ModelList {
                ids: models.iter().map(ToString::to_string).collect(),
            }),
        };
        Self {
            tenant_id: principal.tenant.to_string(),
            subject: principal.subject,
            scopes: scope_names(principal.scopes),
            expires_at: principal.expires_at,
            models,
            limits: principal.limits.iter().cloned().map(Into::into).collect(),
        }
    }
}

impl From<pb::AuthenticateResponse> for Principal {
    fn from(message: pb::AuthenticateResponse) -> Self {
        let models = match message.models {
            None => ModelAccess::All,
            Some(models) => ModelAccess::Only(models.ids.into_iter().map(Into::into).collect()),
        };
        Self {
            tenant: message.tenant_id.into(),
            subject: message.subject,
            scopes: known_scopes(&message.scopes),
            models,
            limits: message.limits.into_iter().map(Into::into).collect(),
            expires_at: message.expires_at,
        }
    }
}

impl From<Limit> for pb::Limit {
    fn from(Limit { target, limits }: Limit) -> Self {
        Self {
            tenant_id: target.tenant.to_string(),
            subject: target.subject,
            model_id: target.model.as_ref().map(ToString::to_string),
            concurrent_requests: limits.concurrent_requests,
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            budget_micro_usd_per_day: limits.budget_micro_usd_per_day,
            budget_micro_usd_per_month: limits.budget_micro_usd_per_month,
        }
    }
}

impl From<pb::Limit> for Limit {
    fn from(message: pb::Limit) -> Self {
        Self {
            target: LimitTarget {
                tenant: message.tenant_id.into(),
                subject: message.subject,
                model: message.model_id.map(Into::into),
            },
            limits: Limits {
                concurrent_requests: message.concurrent_requests,
                requests_per_minute: message.requests_per_minute,
                tokens_per_minute: message.tokens_per_minute,
                budget_micro_usd_per_day: message.budget_micro_usd_per_day,
                budget_micro_usd_per_month: message.budget_micro_usd_per_month,
            },
        }
    }
}

impl From<ClientAuthentication> for pb::ClientAuthentication {
    fn from(client: ClientAuthentication) -> Self {
        let proof = match client.proof {
            ClientProof::Secret(secret) => Proof::Secret(secret.expose_secret().to_owned()),
            ClientProof::Assertion(jwt) => Proof::Assertion(jwt.expose_secret().to_owned()),
        };
        Self {
            client_id: client.client_id,
            proof: Some(proof),
            address: client.address.map(|address| address.to_string()),
        }
    }
}

impl TryFrom<Option<pb::ClientAuthentication>> for ClientAuthentication {
    type Error = Error;

    fn try_from(message: Option<pb::ClientAuthentication>) -> Result<Self, Error> {
        let message = message.unwrap_or_default();
        let proof = match message.proof {
            Some(Proof::Secret(secret)) => ClientProof::Secret(secret.into()),
            Some(Proof::Assertion(jwt)) => ClientProof::Assertion(jwt.into()),
            None => return Err(Error::invalid("client", "`proof` is missing")),
        };
        let address = message.address.map(|address| address.parse()).transpose();
        Ok(Self {
            client_id: message.client_id,
            proof,
            address: address
                .map_err(|_| Error::invalid("client", "`address` must be an IP address"))?,
        })
    }
}

impl From<TokenRequest> for pb::IssueTokenRequest {
    fn from(request: TokenRequest) -> Self {
        Self {
            client: Some(request.client.into()),
            scopes: request.scopes.map(scope_names).unwrap_or_default(),
        }
    }
}

impl TryFrom<pb::IssueTokenRequest> for TokenRequest {
    type Error = Error;

    fn try_from(message: pb::IssueTokenRequest) -> Result<Self, Error> {
        let scopes = parse_scopes(&message.scopes)?;
        Ok(Self {
            client: message.client.try_into()?,
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

impl From<Introspection> for pb::ActiveToken {
    fn from(token: Introspection) -> Self {
        Self {
            subject: token.subject,
            scopes: scope_names(token.scopes),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            token_id: token.token_id,
        }
    }
}

impl From<pb::ActiveToken> for Introspection {
    fn from(message: pb::ActiveToken) -> Self {
        Self {
            subject: message.subject,
            scopes: known_scopes(&message.scopes),
            issued_at: message.issued_at,
            expires_at: message.expires_at,
            token_id: message.token_id,
        }
    }
}

impl From<KeySet> for pb::GetKeySetResponse {
    fn from(keys: KeySet) -> Self {
        Self {
            issuer: keys.issuer,
            audience: keys.audience,
            jwks: keys.jwks,
        }
    }
}

impl From<pb::GetKeySetResponse> for KeySet {
    fn from(message: pb::GetKeySetResponse) -> Self {
        Self {
            issuer: message.issuer,
            audience: message.audience,
            jwks: message.jwks,
        }
    }
}

impl From<Notice> for pb::WatchRevocationsResponse {
    fn from(Notice { position, change }: Notice) -> Self {
        let change = change.map(|change| match change {
            Change::Everything => PbChange::Everything(pb::Everything {}),
            Change::Tenant(tenant) => PbChange::TenantId(tenant.to_string()),
            Change::Subject(subject) => PbChange::Subject(subject),
            Change::Token {
                id,
                subject,
                expires_at,
            } => PbChange::Token(pb::RevokedToken {
                id,
                subject,
                expires_at,
            }),
            Change::SigningKeys => PbChange::SigningKeys(pb::SigningKeysChanged {}),
        });
        Self { position, change }
    }
}

impl From<pb::WatchRevocationsResponse> for Notice {
    fn from(message: pb::WatchRevocationsResponse) -> Self {
        let change = message.change.map(|change| match change {
            PbChange::Everything(_) => Change::Everything,
            PbChange::TenantId(tenant) => Change::Tenant(tenant.into()),
            PbChange::Subject(subject) => Change::Subject(subject),
            PbChange::Token(token) => Change::Token {
                id: token.id,
                subject: token.subject,
                expires_at: token.expires_at,
            },
            PbChange::SigningKeys(_) => Change::SigningKeys,
        });
        Self {
            position: message.position,
            change,
        }
    }
}

/// The scopes that a request names; one that is unknown is refused.
pub(super) fn parse_scopes(names: &[String]) -> Result<Scopes, Error> {
    Scopes::parse(names.iter().map(String::as_str))
        .map_err(|name| Error::invalid("scopes", format!("`{name}` is not a scope")))
}

pub(super) fn scope_names(scopes: Scopes) -> Vec<String> {
    scopes
        .iter()
        .map(|scope| scope.as_str().to_owned())
        .collect()
}

/// A scope that a newer auth service knows and this build does not grants nothing here.
pub(super) fn known_scopes(names: &[String]) -> Scopes {
    Scope::ALL
        .into_iter()
        .filter(|scope| names.iter().any(|name| name == scope.as_str()))
        .collect()
}
