//! What the handlers read from a request; what cannot be read is an error in the one form.

use std::error::Error as _;

use axum::extract::{FromRequestParts, Path};
use fathom_proto::ErrorCode;
use fathom_proto::administration::{Caller, Page};
use fathom_proto::id::TenantId;
use http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::openapi::{Input, Operation};
use crate::policy;

/// The caller's credential, to be passed on.
pub struct Bearer(pub Caller);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        policy::bearer(&parts.headers)
            .map(|bearer| Self(Caller(bearer)))
            .ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated, "no credential"))
    }
}

impl Input for Bearer {}

/// The ids in the path.
pub struct Ids<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        // What is not even text is no id.
        path.map(|Path(ids)| Self(ids))
            .map_err(|_| ApiError::new(ErrorCode::NotFound, "there is no such id"))
    }
}

impl<T> Input for Ids<T> {
    fn describe(operation: &mut Operation) {
        operation.failures.push(ErrorCode::NotFound);
    }
}

/// The parameters after the question mark.
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                let problem = match rejection.source() {
                    Some(cause) => cause.to_string(),
                    None => rejection.body_text(),
                };
                let message = format!("the query is not valid: {problem}");
                ApiError::new(ErrorCode::InvalidRequest, message)
            })
    }
}

impl<T: JsonSchema> Input for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.query.push(T::json_schema);
        operation.failures.push(ErrorCode::InvalidRequest);
    }
}

/// A part of the things of a tenant, or of all.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PageOfTenant {
    /// Those of this tenant; absent: of all.
    pub tenant: Option<TenantId>,
    /// What comes after this id; absent: from the beginning.
    after: Option<String>,
    /// How many, 1 to 1,000; absent: 100.
    #[schemars(range(min = 1, max = Page::MAX_LIMIT))]
    limit: Option<u32>,
}

impl PageOfTenant {
    /// The part.
    pub fn page(&self) -> Page {
        Page {
            after: self.after.clone(),
            limit: self.limit,
        }
    }
}

/// The things of a tenant, or of all.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OfTenant {
    /// Those of this tenant; absent: of all.
    pub tenant: Option<TenantId>,
}
