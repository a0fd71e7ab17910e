//! Who may call a route. A route cannot be declared without a policy, and every failure to learn
//! who calls refuses the call.

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use fathom_proto::ErrorCode;
use fathom_proto::identity::{Principal, Scope};
use http::{HeaderMap, header};
use secrecy::SecretString;

use crate::Gateway;
use crate::error::ApiError;
use crate::record::Record;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody: the route itself takes credentials, in its own form.
    OwnCredentials,
    /// A bearer whose identity has this scope.
    Scope(Scope),
}

impl Policy {
    /// The route, guarded.
    pub fn guard(self, route: MethodRouter<Gateway>, gateway: &Gateway) -> MethodRouter<Gateway> {
        match self {
            Self::OwnCredentials => route,
            Self::Scope(scope) => {
                route.route_layer(from_fn_with_state((gateway.clone(), scope), require))
            }
        }
    }
}

async fn require(
    State((gateway, scope)): State<(Gateway, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    let bearer = bearer(request.headers());
    let record = request.extensions().get::<Record>().cloned();
    match authenticate(&gateway, bearer, scope, record.as_ref()).await {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// The caller behind a credential, if it has `scope`.
pub async fn authenticate(
    gateway: &Gateway,
    bearer: Option<SecretString>,
    scope: Scope,
    record: Option<&Record>,
) -> Result<Principal, ApiError> {
    let bearer = bearer.ok_or_else(|| {
        ApiError::new(
            ErrorCode::Unauthenticated,
            "no credential; send `Authorization: Bearer <API key or access token>`",
        )
    })?;
    let principal = gateway.call(gateway.identity.authenticate(bearer)).await?;
    if let Some(record) = record {
        record.set_caller(&principal);
    }
    if !principal.scopes.contains(scope) {
        let message = format!("this credential lacks the scope `{}`", scope.as_str());
        return Err(ApiError::new(ErrorCode::PermissionDenied, message));
    }
    Ok(principal)
}

/// The credential of the `Authorization` header.
pub fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    strip_bearer(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The credential after the word `Bearer`, whatever its case (RFC 9110, section 11.1).
pub fn strip_bearer(text: &str) -> Option<SecretString> {
    let (scheme, credential) = text.trim().split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty())
        .then(|| credential.to_owned().into())
}
