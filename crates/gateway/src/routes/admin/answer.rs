//! Answers that several resources share.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::PREFIX;
use crate::openapi::{Answer, Content, Operation, Output};

/// A part of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub struct List<T> {
    /// Always `list`.
    object: &'static str,
    /// The members.
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

impl<T: JsonSchema> Output for Created<T> {
    fn describe(operation: &mut Operation) {
        operation.answers.push(Answer {
            status: StatusCode::CREATED.as_u16(),
            description: "It is made.",
            content: vec![(
                "application/json",
                Content::Json(SchemaGenerator::subschema_for::<T>),
            )],
            headers: vec![("location", "Its path.")],
        });
    }
}
