//! Who may call a route. A route cannot be declared without a policy, and every failure to learn
//! who calls refuses the call.

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use fathom_proto::ErrorCode;
use fathom_proto::identity::Scope;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use crate::Gateway;
use crate::error::{ApiError, lacks_scope};
use crate::identity::{self, Identities, Session};
use crate::record::Record;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody: what the route says is no secret and the same for all.
    Public,
    /// Anybody: the route itself takes credentials, in its own form.
    OwnCredentials,
    /// A bearer whose identity has this scope.
    Scope(Scope),
    /// The same, and the credential may be in Anthropic's header instead.
    ScopeByKey(Scope),
}

/// How a request says who calls.
type Credential = fn(&HeaderMap) -> Option<SecretString>;

/// Anthropic's header for a credential.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

impl Policy {
    /// How callers fail that it keeps out, and what else its guard may answer.
    pub const fn failures(self) -> &'static [ErrorCode] {
        match self {
            // A route that takes credentials of its own says itself how they fail.
            Self::Public | Self::OwnCredentials => &[],
            Self::Scope(_) | Self::ScopeByKey(_) => &[
                ErrorCode::Unauthenticated,
                ErrorCode::PermissionDenied,
                ErrorCode::Unavailable,
            ],
        }
    }

    /// The route, guarded.
    pub fn guard(self, route: MethodRouter<Gateway>, gateway: &Gateway) -> MethodRouter<Gateway> {
        let (scope, credential): (_, Credential) = match self {
            Self::Public | Self::OwnCredentials => return route,
            Self::Scope(scope) => (scope, bearer),
            Self::ScopeByKey(scope) => (scope, key_or_bearer),
        };
        route.route_layer(from_fn_with_state(
            (gateway.clone(), scope, credential),
            require,
        ))
    }
}

async fn require(
    State((gateway, scope, credential)): State<(Gateway, Scope, Credential)>,
    mut request: Request,
    next: Next,
) -> Response {
    let bearer = credential(request.headers());
    let record = request.extensions().get::<Record>();
    match authenticate(&gateway.identities, bearer, scope, record).await {
        Ok(session) => {
            request.extensions_mut().insert(session);
            next.run(request).await
        }
        Err(denied) => denied.into_response(),
    }
}

/// The caller behind a credential, if it has `scope`.
///
/// # Errors
/// Why it is not let in; the record learns the reason of a refusal, the caller does not.
pub async fn authenticate(
    identities: &Identities,
    bearer: Option<SecretString>,
    scope: Scope,
    record: Option<&Record>,
) -> Result<Session, Denied> {
    let bearer = bearer.ok_or(Denied::NoCredential)?;
    let session = identities.authenticate(bearer).await.map_err(|error| {
        if let (identity::Error::Refused(refusal), Some(record)) = (error, record) {
            record.set_refusal(refusal);
        }
        Denied::Unknown(error)
    })?;
    if let Some(record) = record {
        record.set_caller(session.principal());
    }
    match session.check(scope, None) {
        Ok(()) => Ok(session),
        Err(_) => Err(Denied::Scope(scope)),
    }
}

/// A caller that is not let in.
#[derive(Debug)]
pub enum Denied {
    /// It does not say who it is.
    NoCredential,
    /// Who it is is not established.
    Unknown(identity::Error),
    /// It is known, and lacks this scope.
    Scope(Scope),
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoCredential => Self::new(
                ErrorCode::Unauthenticated,
                "no credential; send `Authorization: Bearer <API key or access token>`",
            ),
            Denied::Unknown(error) => Self(error.into()),
            Denied::Scope(scope) => Self(lacks_scope(scope)),
        }
    }
}

impl IntoResponse for Denied {
    /// With the challenge of RFC 6750, section 3: no error for who did not know that one must say
    /// who one is, and the scope for who lacks it.
    fn into_response(self) -> Response {
        let challenge = match &self {
            Self::NoCredential => Some("Bearer realm=\"fathom\"".to_owned()),
            Self::Unknown(_) => None,
            Self::Scope(scope) => Some(format!(
                "Bearer realm=\"fathom\", error=\"insufficient_scope\", scope=\"{}\"",
                scope.as_str()
            )),
        };
        let mut response = ApiError::from(self).into_response();
        if let Some(Ok(challenge)) = challenge.map(HeaderValue::try_from) {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The credential of the `Authorization` header; none if there are two.
pub fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    strip_bearer(value.to_str().ok()?)
}

/// The credential of a route that takes it in either header; none if the two differ, so that no
/// two readers can take different ones.
fn key_or_bearer(headers: &HeaderMap) -> Option<SecretString> {
    if !headers.contains_key(X_API_KEY) {
        return bearer(headers);
    }
    let mut values = headers.get_all(X_API_KEY).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let key = value.to_str().ok()?.trim();
    if key.is_empty() {
        return None;
    }
    if headers.contains_key(header::AUTHORIZATION) && bearer(headers)?.expose_secret() != key {
        return None;
    }
    Some(key.to_owned().into())
}

/// The credential after the word `Bearer`, whatever its case (RFC 9110, section 11.1).
pub fn strip_bearer(text: &str) -> Option<SecretString> {
    let (scheme, credential) = text.trim().split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty())
        .then(|| credential.to_owned().into())
}
