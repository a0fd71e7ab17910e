//! The table of routes, and the layers around all of them.

mod admin;
mod chat;
mod completions;
mod embeddings;
mod feedback;
mod models;
mod oauth;
mod stream;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use fathom_proto::ErrorCode;
use fathom_proto::identity::Scope;
use tower_http::catch_panic::CatchPanicLayer;

use crate::Gateway;
use crate::error::ApiError;
use crate::policy::Policy;
use crate::{compression, protobuf, record};

/// Everything the public port answers.
pub fn routes(gateway: Gateway) -> Router {
    layered(table(), gateway)
}

type Route = (&'static str, Policy, MethodRouter<Gateway>);

/// Every route with its policy. DeepSeek serves the same routes without `/v1`.
fn table() -> Vec<Route> {
    let inference = Policy::Scope(Scope::Inference);
    let models = Policy::Scope(Scope::ModelsRead);
    vec![
        ("/v1/chat/completions", inference, post(chat::create)),
        ("/chat/completions", inference, post(chat::create)),
        ("/v1/completions", inference, post(completions::create)),
        ("/completions", inference, post(completions::create)),
        ("/v1/embeddings", inference, post(embeddings::create)),
        ("/embeddings", inference, post(embeddings::create)),
        ("/v1/feedback", inference, post(feedback::create)),
        ("/v1/models", models, get(models::list)),
        ("/models", models, get(models::list)),
        ("/v1/models/{id}", models, get(models::retrieve)),
        ("/models/{id}", models, get(models::retrieve)),
        ("/v1/stream", Policy::OwnCredentials, get(stream::upgrade)),
    ]
    .into_iter()
    .chain(oauth::table())
    .chain(admin::table())
    .collect()
}

fn layered(table: Vec<Route>, gateway: Gateway) -> Router {
    let max_body_bytes = gateway.config.max_body_bytes;
    table
        .into_iter()
        .fold(Router::new(), |router, (path, policy, route)| {
            let route = policy.guard(route, &gateway);
            if compression::is_allowed(path) {
                router.route(path, route.layer(compression::answers()))
            } else {
                router.route(path, route)
            }
        })
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // A bug in one request ends that request alone.
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(from_fn(move |request, next| {
            compression::requests(max_body_bytes, request, next)
        }))
        .layer(from_fn(protobuf::errors))
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
