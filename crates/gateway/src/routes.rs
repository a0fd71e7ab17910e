//! The table of routes, and the layers around all of them.

mod admin;
mod balance;
mod chat;
mod completions;
mod embeddings;
mod feedback;
mod generate;
mod messages;
mod models;
mod oauth;
mod reference;
mod responses;
mod stream;
mod streams;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use fathom_api::chat::{ChatChunk, ChatCompletion};
use fathom_api::completions::Completion;
use fathom_api::embeddings::EmbeddingList;
use fathom_proto::ErrorCode;
use fathom_proto::identity::Scope;
use http_body::Body as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::Gateway;
use crate::error::{self, ApiError};
use crate::json;
use crate::openapi::Methods;
use crate::openapi::methods::{delete, get, post};
use crate::policy::Policy;
use crate::{compression, record, resume};

pub use admin::PREFIX as ADMIN_PREFIX;
pub use admin::problem::Problem;
pub use messages::error as anthropic;
pub use stream::command::Command;
pub use stream::lane::asked::Asked;

/// Everything the public port answers.
pub fn routes(gateway: Gateway) -> Router {
    layered(table(), gateway)
}

/// A path, who may call it, and what it answers.
pub type Route = (&'static str, Policy, Methods);

/// Every route with its policy. DeepSeek serves the same routes without `/v1`, and some below
/// `/beta`; [`dialect`] says what is different there.
pub fn table() -> Vec<Route> {
    let inference = Policy::Scope(Scope::Inference);
    let by_key = Policy::ScopeByKey(Scope::Inference);
    let models = Policy::Scope(Scope::ModelsRead);
    vec![
        ("/v1/chat/completions", inference, chat()),
        ("/chat/completions", inference, chat()),
        ("/beta/chat/completions", inference, chat()),
        ("/v1/completions", inference, completions()),
        ("/completions", inference, completions()),
        ("/beta/completions", inference, completions()),
        ("/v1/embeddings", inference, embeddings()),
        ("/embeddings", inference, embeddings()),
        ("/v1/responses", inference, responses()),
        ("/responses", inference, responses()),
        ("/v1/messages", by_key, messages()),
        ("/v1/messages/count_tokens", by_key, count_tokens()),
        ("/anthropic/v1/messages", by_key, messages()),
        (
            "/anthropic/v1/messages/count_tokens",
            by_key,
            count_tokens(),
        ),
        (
            "/v1/feedback",
            inference,
            post("Say what an answer was worth.", feedback::create).fails(&[ErrorCode::NotFound]),
        ),
        ("/v1/models", models, list_models()),
        ("/models", models, list_models()),
        ("/beta/models", models, list_models()),
        ("/v1/models/{id}", models, model()),
        ("/models/{id}", models, model()),
        (
            "/user/balance",
            inference,
            get("Tell what the caller may spend.", balance::retrieve),
        ),
        (
            "/v1/streams/{id}",
            by_key,
            delete("End a stream that may be taken up again.", streams::cancel)
                .fails(&[ErrorCode::NotFound]),
        ),
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
        .answers_message("CreateCompletionResponse")
        .streams_messages("CreateCompletionResponse")
        .fails(GENERATION)
}

fn completions() -> Methods {
    post("Continue texts.", completions::create)
        .answers::<Completion<'static>>()
        .streams::<Completion<'static>>()
        .answers_message("CreateCompletionResponse")
        .streams_messages("CreateCompletionResponse")
        .fails(GENERATION)
}

fn embeddings() -> Methods {
    post("Turn texts into vectors.", embeddings::create)
        .answers::<EmbeddingList<'static>>()
        .answers_message("CreateEmbeddingResponse")
        .fails(GENERATION)
}

fn responses() -> Methods {
    post(
        "Answer, without anything that is stored.",
        responses::create,
    )
    .answers::<fathom_api::responses::Response>()
    .streams::<fathom_api::responses::events::Numbered<'static>>()
    .fails(GENERATION)
}

fn messages() -> Methods {
    post(
        "Continue a conversation, in Anthropic's words.",
        messages::create,
    )
    .answers::<fathom_api::messages::Message<'static>>()
    .streams::<fathom_api::messages::events::Event<'static>>()
    .fails(GENERATION)
}

fn count_tokens() -> Methods {
    post("Count the tokens of a conversation.", messages::count).fails(GENERATION)
}

fn list_models() -> Methods {
    get("List the models.", models::list)
}

fn model() -> Methods {
    get("Describe a model.", models::retrieve).fails(&[ErrorCode::ModelNotFound])
}

fn layered(table: Vec<Route>, gateway: Gateway) -> Router {
    let max_body_bytes = gateway.config.max_body_bytes;
    table
        .into_iter()
        .fold(Router::new(), |router, (path, policy, methods)| {
            let route = if methods.is_streamed() {
                let resumable = from_fn_with_state(gateway.clone(), resume::events::layer);
                methods.router.route_layer(resumable)
            } else {
                methods.router
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
        // Around whatever can fail.
        .layer(from_fn(error::layer))
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
