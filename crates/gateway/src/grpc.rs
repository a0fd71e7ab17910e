//! gRPC for internal clients, on a port of its own: `fathom.inference.v1.CompletionService`, with
//! health and reflection. Whatever a message asks for is checked, bounded, recorded and ended as
//! the same request over REST.

mod completions;
mod health;
mod open;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use fathom_proto::grpc::MAX_MESSAGE_BYTES;
use fathom_proto::identity::Scope;
use fathom_proto::pb::PUBLIC_DESCRIPTORS;
use fathom_proto::pb::inference::completion_service_server::{
    CompletionServiceServer, SERVICE_NAME,
};
use fathom_proto::{Error, ErrorCode};
use std::sync::Arc;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic_reflection::server::Builder;
use tower_http::catch_panic::CatchPanicLayer;

use self::completions::Completions;
use self::open::Open;
use crate::Gateway;
use crate::error::{ApiError, ErrorNote};
use crate::policy::{Policy, authenticate, bearer};
use crate::record::{Record, call};

pub use health::Health;

/// Everything the gRPC port answers, and what it says of its health. With `reflection` it tells
/// anybody its methods and messages.
///
/// # Errors
/// None that a build whose tests pass can have: the descriptors are part of it.
pub fn routes(gateway: Gateway, reflection: bool) -> Result<(Router, Health), Error> {
    let service = CompletionServiceServer::new(Completions(gateway.clone()))
        .max_decoding_message_size(gateway.config.max_body_bytes)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
        .accept_compressed(CompressionEncoding::Gzip);
    let (health, health_service) = Health::new();
    let mut routes = Routes::new(service).add_service(health_service);
    if reflection {
        routes = routes
            .add_service(
                described()
                    .build_v1()
                    .map_err(Error::internal)?
                    .max_decoding_message_size(open::MAX_MESSAGE_BYTES),
            )
            // Older clients, Python's among them, know no other.
            .add_service(
                described()
                    .build_v1alpha()
                    .map_err(Error::internal)?
                    .max_decoding_message_size(open::MAX_MESSAGE_BYTES),
            );
    }
    let open = Open::new(gateway.shutdown.clone());
    let router = routes
        .into_axum_router()
        .layer(from_fn_with_state(open, open::layer))
        .layer(from_fn_with_state(gateway, guard))
        // A bug in one call ends that call alone.
        .layer(CatchPanicLayer::custom(|_| panicked()))
        // Outermost, so that every call leaves one log line.
        .layer(from_fn(recorded));
    Ok((router, health))
}

fn described() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(PUBLIC_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(SERVICE_NAME)
        .with_service_name(health::SERVICE)
}

/// Who may call a method: what is not known here is for nobody without a credential.
fn policy(path: &str) -> Policy {
    match path.trim_start_matches('/').split_once('/') {
        Some((health::SERVICE, _)) => Policy::Public,
        Some((service, _)) if service.starts_with("grpc.reflection.") => Policy::Public,
        _ => Policy::Scope(Scope::Inference),
    }
}

/// The name of a method in metrics and log lines; what a caller can invent has one.
fn method(path: &str) -> &str {
    match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((SERVICE_NAME, "CreateCompletion" | "CreateEmbedding")) => path,
        _ => "unmatched",
    }
}

/// The layer around every method that has a record.
async fn recorded(mut request: Request, next: Next) -> Response {
    if policy(request.uri().path()) == Policy::Public {
        return next.run(request).await;
    }
    let ending = call::begin(method(request.uri().path()), request.extensions());
    request.extensions_mut().insert(ending.record.clone());
    call::answer(ending, next.run(request).await)
}

/// The layer around every method: nothing of a message is read before it is known who calls.
async fn guard(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let Policy::Scope(scope) = policy(request.uri().path()) else {
        return next.run(request).await;
    };
    let record = request.extensions().get::<Record>().cloned();
    let bearer = bearer(request.headers());
    match authenticate(&gateway.identities, bearer, scope, record.as_ref()).await {
        Ok(session) => {
            request.extensions_mut().insert(session);
            next.run(request).await
        }
        Err(denied) => refused(ApiError::from(denied).0),
    }
}

/// The panic's text is in the log already, by the panic hook; it may hold anything.
fn panicked() -> Response {
    refused(Error::new(ErrorCode::Internal, "internal error"))
}

/// An answer that is an error, which the record learns too.
fn refused(error: Error) -> Response {
    let public = Error {
        source: None,
        param: error.param.clone(),
        retry_after: error.retry_after,
        ..Error::new(error.code, error.message.clone())
    };
    let mut response = Status::from(public).into_http();
    response.extensions_mut().insert(ErrorNote(Arc::new(error)));
    response
}
