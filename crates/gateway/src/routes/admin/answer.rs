//! Answers that several resources share.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::PREFIX;

/// A part of a list.
#[derive(Serialize)]
pub struct List<T> {
    object: &'static str,
    data: Vec<T>,
    /// Whether this part is full, so that `after` its last member there may be more.
    has_more: bool,
}

impl<T> List<T> {
    /// All that there is.
    pub fn whole(data: Vec<T>) -> Json<Self> {
        Self::part(data, None)
    }

    /// What was found when at most `limit` were asked for.
    pub fn part(data: Vec<T>, limit: impl Into<Option<u32>>) -> Json<Self> {
        let limit = limit.into();
        Json(Self {
            object: "list",
            has_more: limit.is_some_and(|limit| data.len() >= limit as usize),
            data,
        })
    }
}

/// Something new, with the path where it is from now on.
pub struct Created<T> {
    path: String,
    made: T,
}

impl<T> Created<T> {
    /// `path` is below `/admin/v1/`.
    pub fn at(path: &str, made: T) -> Self {
        let path = format!("{PREFIX}{path}");
        Self { path, made }
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.made)).into_response();
        if let Ok(path) = HeaderValue::try_from(self.path) {
            response.headers_mut().insert(header::LOCATION, path);
        }
        response
    }
}
