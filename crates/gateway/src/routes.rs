//! The table of routes, and the layers around all of them.

mod admin;
mod balance;
mod chat;
mod completions;
mod embeddings;
mod feedback;
mod messages;
mod models;
mod oauth;
mod responses;
mod stream;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use fathom_proto::ErrorCode;
use fathom_proto::identity::Scope;
use http_body::Body as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::Gateway;
use crate::error::ApiError;
use crate::json;
use crate::policy::Policy;
use crate::{compression, dialect, protobuf, record, resume};

/// Everything the public port answers.
pub fn routes(gateway: Gateway) -> Router {
    layered(table(), gateway)
}

type Route = (&'static str, Policy, MethodRouter<Gateway>);

/// Every route with its policy. DeepSeek serves the same routes without `/v1`, and some below
/// `/beta`; [`dialect`] says what is different there.
fn table() -> Vec<Route> {
    let inference = Policy::Scope(Scope::Inference);
    let by_key = Policy::ScopeByKey(Scope::Inference);
    let models = Policy::Scope(Scope::ModelsRead);
    vec![
        ("/v1/chat/completions", inference, post(chat::create)),
        ("/chat/completions", inference, post(chat::create)),
        ("/beta/chat/completions", inference, post(chat::create)),
        ("/v1/completions", inference, post(completions::create)),
        ("/completions", inference, post(completions::create)),
        ("/beta/completions", inference, post(completions::create)),
        ("/v1/embeddings", inference, post(embeddings::create)),
        ("/embeddings", inference, post(embeddings::create)),
        ("/v1/responses", inference, post(responses::create)),
        ("/responses", inference, post(responses::create)),
        ("/v1/messages", by_key, post(messages::create)),
        ("/v1/messages/count_tokens", by_key, post(messages::count)),
        ("/anthropic/v1/messages", by_key, post(messages::create)),
        (
            "/anthropic/v1/messages/count_tokens",
            by_key,
            post(messages::count),
        ),
        ("/v1/feedback", inference, post(feedback::create)),
        ("/v1/models", models, get(models::list)),
        ("/models", models, get(models::list)),
        ("/beta/models", models, get(models::list)),
        ("/v1/models/{id}", models, get(models::retrieve)),
        ("/models/{id}", models, get(models::retrieve)),
        ("/user/balance", inference, get(balance::retrieve)),
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
            let route = match policy {
                Policy::Scope(Scope::Inference) | Policy::ScopeByKey(Scope::Inference) => {
                    let gateway = gateway.clone();
                    route.route_layer(from_fn_with_state(gateway, resume::events::layer))
                }
                _ => route,
            };
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
        .layer(from_fn_with_state(max_body_bytes, declared_length))
        .layer(from_fn(protobuf::errors))
        .layer(from_fn(admin::problem::layer))
        .layer(from_fn(messages::error::layer))
        .layer(from_fn(dialect::layer))
        // Outermost, so that every answer has an id and leaves one log line.
        .layer(from_fn(record::layer))
        .with_state(gateway)
}

/// Refuses a body that says itself that it is too large, before any of it is read.
async fn declared_length(State(most): State<usize>, request: Request, next: Next) -> Response {
    // hyper takes no request with another kind of length, nor with two of them.
    if request.body().size_hint().lower() > most as u64 {
        return json::too_large().into_response();
    }
    next.run(request).await
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
