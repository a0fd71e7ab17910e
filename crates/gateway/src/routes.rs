//! The table of routes, and the layers around all of them.

mod admin;
mod chat;
mod completions;
mod embeddings;
mod feedback;
mod models;
mod oauth;
mod reference;
mod stream;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use fathom_api::chat::{ChatChunk, ChatCompletion};
use fathom_api::completions::Completion;
use fathom_api::embeddings::EmbeddingList;
use fathom_proto::ErrorCode;
use fathom_proto::identity::Scope;
use tower_http::catch_panic::CatchPanicLayer;

use crate::Gateway;
use crate::error::ApiError;
use crate::openapi::Methods;
use crate::openapi::methods::{get, post};
use crate::policy::Policy;
use crate::record;

pub use admin::PREFIX as ADMIN_PREFIX;
pub use admin::problem::Problem;

/// Everything the public port answers.
pub fn routes(gateway: Gateway) -> Router {
    layered(table(), gateway)
}

/// A path, who may call it, and what it answers.
pub type Route = (&'static str, Policy, Methods);

/// Every route with its policy. DeepSeek serves the same routes without `/v1`.
pub fn table() -> Vec<Route> {
    let inference = Policy::Scope(Scope::Inference);
    let models = Policy::Scope(Scope::ModelsRead);
    vec![
        ("/v1/chat/completions", inference, chat()),
        ("/chat/completions", inference, chat()),
        ("/v1/completions", inference, completions()),
        ("/completions", inference, completions()),
        ("/v1/embeddings", inference, embeddings()),
        ("/embeddings", inference, embeddings()),
        (
            "/v1/feedback",
            inference,
            post("Say what an answer was worth.", feedback::create).fails(&[ErrorCode::NotFound]),
        ),
        ("/v1/models", models, list_models()),
        ("/models", models, list_models()),
        ("/v1/models/{id}", models, model()),
        ("/models/{id}", models, model()),
        (
            "/v1/stream",
            Policy::OwnCredentials,
            get("Generate over a WebSocket.", stream::upgrade),
        ),
    ]
    .into_iter()
    .chain(oauth::table())
    .chain(admin::table())
    .chain(reference::table())
    .collect()
}

/// How what generates can fail, once its request was read.
const GENERATION: &[ErrorCode] = &[
    ErrorCode::ModelNotFound,
    ErrorCode::RateLimited,
    ErrorCode::WorkerFailed,
    ErrorCode::Overloaded,
    ErrorCode::DeadlineExceeded,
];

fn chat() -> Methods {
    post("Continue a conversation.", chat::create)
        .answers::<ChatCompletion<'static>>()
        .streams::<ChatChunk<'static>>()
        .fails(GENERATION)
}

fn completions() -> Methods {
    post("Continue texts.", completions::create)
        .answers::<Completion<'static>>()
        .streams::<Completion<'static>>()
        .fails(GENERATION)
}

fn embeddings() -> Methods {
    post("Turn texts into vectors.", embeddings::create)
        .answers::<EmbeddingList<'static>>()
        .fails(GENERATION)
}

fn list_models() -> Methods {
    get("List the models.", models::list)
}

fn model() -> Methods {
    get("Describe a model.", models::retrieve)
}

fn layered(table: Vec<Route>, gateway: Gateway) -> Router {
    let max_body_bytes = gateway.config.max_body_bytes;
    table
        .into_iter()
        .fold(Router::new(), |router, (path, policy, methods)| {
            router.route(path, policy.guard(methods.router, &gateway))
        })
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // A bug in one request ends that request alone.
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(from_fn(admin::problem::layer))
        // Outermost, so that every answer has an id and leaves one log line.
        .layer(from_fn(record::layer))
        .with_state(gateway)
}

async fn not_found() -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        "there is no such route; the API begins at /v1",
    )
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        "this route does not take that method",
    )
}

/// The panic's text is in the log already, by the panic hook; it may hold anything.
fn panicked() -> Response {
    ApiError::new(ErrorCode::Internal, "internal error").into_response()
}

#[cfg(test)]
mod tests;
