//! What is known of a request, and the one log line and the metrics it leaves when it ends.
//! Ends are counted when the *answer* ends, so that a stream is measured whole. Nothing of what a
//! caller wrote is in it but the id that it gave the request: no prompt, no text, no credential.

pub mod call;
mod client_id;
mod heir;
mod route;
mod timing;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use ::metrics::{counter, gauge, histogram};
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use fathom_api::stream::AnsweredBy;
use fathom_kit::server::Peer;
use fathom_proto::ErrorCode;
use fathom_proto::id::{ModelId, RequestId};
use fathom_proto::identity::Principal;
use fathom_proto::inference::{Route, Usage};
use http::{HeaderName, HeaderValue, Method};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use self::timing::Times;
use crate::error::ErrorNote;
use crate::identity::Refusal;
use crate::limits::RateLimits;
use crate::metrics;

pub use heir::Heir;
pub use timing::Waiting;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The status under which a request on a socket succeeds; it has none of its own.
const SWITCHING_PROTOCOLS: u16 = 101;

/// The layer around every route: gives the request its id and its record, and ends the record
/// with the answer's body.
pub async fn layer(mut request: Request, next: Next) -> Response {
    let route = route(&request);
    let peer = request.extensions().get::<Peer>();
    let address = peer.and_then(|peer| peer.address);
    let client_id = client_id::of(request.headers());
    let record = Record::begin(route, address.map(|address| address.to_string()), client_id);
    request.extensions_mut().insert(record.clone());
    let mut ending = Ending {
        record,
        complete: false,
    };

    let mut response = next.run(request).await;

    let mut details = ending.record.details();
    details.status = Some(response.status().as_u16());
    if let Some(ErrorNote(error)) = response.extensions_mut().remove::<ErrorNote>() {
        details.error = Some(error.code);
        error.log_cause(Some(&ending.record.0.id));
    }
    if let Some(route) = &details.route {
        route::tell(route, response.headers_mut());
    }
    if let Some(limits) = details.limits {
        limits.tell(response.headers_mut());
    }
    let times = details.times;
    drop(details);
    if let Ok(id) = HeaderValue::from_str(ending.record.id().as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    times.tell(ending.record.0.begun, response.headers_mut());
    if let Some(heir) = response.extensions_mut().remove::<Heir>() {
        heir.inherit(ending);
        return response;
    }
    ending.complete = http_body::Body::is_end_stream(response.body());
    response.map(|body| Body::new(RecordedBody { body, ending }))
}

/// Method and pattern of the route; what a caller can invent has one name, so that the label is
/// bounded.
fn route(request: &Request) -> String {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        return "unmatched".to_owned();
    };
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    };
    format!("{method} {}", path.as_str())
}

/// A running request; clones share it.
#[derive(Clone)]
pub struct Record(Arc<Inner>);

struct Inner {
    id: RequestId,
    route: String,
    peer: Option<String>,
    client_id: Option<String>,
    begun: Instant,
    details: Mutex<Details>,
}

#[derive(Default)]
struct Details {
    status: Option<u16>,
    error: Option<ErrorCode>,
    caller: Option<(String, String)>,
    refusal: Option<Refusal>,
    model: Option<ModelId>,
    route: Option<Route>,
    limits: Option<RateLimits>,
    resumed: Option<RequestId>,
    times: Times,
    first_token: Option<Instant>,
    usage: Option<Usage>,
}

impl Record {
    fn begin(route: String, peer: Option<String>, client_id: Option<String>) -> Self {
        gauge!(metrics::IN_FLIGHT).increment(1);
        Self(Arc::new(Inner {
            id: RequestId::generate(),
            route,
            peer,
            client_id,
            begun: Instant::now(),
            details: Mutex::default(),
        }))
    }

    /// Who is at the other end of the socket that this request opens.
    pub fn client(&self) -> Client {
        Client {
            peer: self.0.peer.clone(),
            client_id: self.0.client_id.clone(),
        }
    }

    /// The id that the caller is told.
    pub fn id(&self) -> &RequestId {
        &self.0.id
    }

    /// Who calls.
    pub fn set_caller(&self, principal: &Principal) {
        let caller = (principal.tenant.to_string(), principal.subject.clone());
        self.details().caller = Some(caller);
    }

    /// Why the credential was refused, which the caller is not told.
    pub fn set_refusal(&self, refusal: Refusal) {
        self.details().refusal = Some(refusal);
    }

    /// The model that generates; only names that the router accepted, so that labels are bounded.
    pub fn set_model(&self, model: ModelId) {
        self.details().model = Some(model);
    }

    /// What the router chose for the request; of several answers, for the first that begins.
    pub fn set_route(&self, route: Route) {
        self.details().route.get_or_insert(route);
    }

    /// What the router chose, as the caller is told.
    pub fn answered_by(&self) -> Option<AnsweredBy> {
        self.details().route.as_ref().map(route::answered_by)
    }

    /// What the caller's limits are.
    pub fn set_limits(&self, limits: RateLimits) {
        self.details().limits = Some(limits);
    }

    /// The request takes up the stream of this one.
    pub fn set_resumed(&self, id: RequestId) {
        self.details().resumed = Some(id);
    }

    /// From now until the guard is dropped, the request waits for a worker.
    pub fn asks(&self) -> Waiting {
        self.details().times.asked = true;
        Waiting::begin(self)
    }

    /// From now until the guard is dropped, the request waits for its caller to send the body.
    pub fn reads(&self) -> Waiting {
        Waiting::begin(self)
    }

    /// Tokens so far.
    pub fn set_usage(&self, usage: Usage) {
        self.details().usage = Some(usage);
    }

    /// Something was generated; tokens so far.
    pub fn token(&self, usage: Usage) {
        let mut details = self.details();
        details.usage = Some(usage);
        details.first_token.get_or_insert_with(Instant::now);
    }

    /// The request failed after its status was sent, or without one.
    pub fn set_error(&self, code: ErrorCode) {
        self.details().error = Some(code);
    }

    fn details(&self) -> MutexGuard<'_, Details> {
        // Every write is one assignment, so a panic elsewhere leaves nothing half done.
        self.0
            .details
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other end of a socket, whose requests come later.
#[derive(Clone)]
pub struct Client {
    peer: Option<String>,
    client_id: Option<String>,
}

impl Client {
    /// Begins the record of a request on the socket, with an id of its own.
    pub fn asks(&self) -> Ending {
        let route = "WS /v1/stream".to_owned();
        Ending {
            record: Record::begin(route, self.peer.clone(), self.client_id.clone()),
            complete: false,
        }
    }
}

/// Ends a record when it is dropped: at the end of the answer, or when the caller goes away.
pub struct Ending {
    /// The record to end.
    pub record: Record,
    /// Whether all of the answer was handed over.
    pub complete: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Inner {
            id,
            route,
            peer,
            client_id,
            begun,
            ..
        } = &*self.record.0;
        let mut details = std::mem::take(&mut *self.record.details());
        if std::thread::panicking() {
            details.error.get_or_insert(ErrorCode::Internal);
        }
        let outcome = match details.error {
            Some(code) => code.row().name,
            None if self.complete => "ok",
            None => ErrorCode::Cancelled.row().name,
        };
        let status = match (details.status, details.error) {
            (Some(status), Some(_)) => status,
            (Some(status), None) if self.complete => status,
            (None, Some(code)) => code.row().http,
            (None, None) if self.complete => SWITCHING_PROTOCOLS,
            (_, None) => ErrorCode::Cancelled.row().http,
        };
        let duration = begun.elapsed();
        let first_token = details.first_token.map(|at| at.duration_since(*begun));
        let (tenant, caller) = details.caller.unzip();
        let answer = details.route.as_ref();
        gauge!(metrics::IN_FLIGHT).decrement(1);
        counter!(metrics::REQUESTS, "route" => route.clone(), "status" => status.to_string())
            .increment(1);
        histogram!(metrics::DURATION, "route" => route.clone()).record(duration);
        if let Some(model) = &details.model {
            let model = model.to_string();
            if let Some(first_token) = first_token {
                histogram!(metrics::FIRST_TOKEN, "model" => model.clone()).record(first_token);
            }
            if let Some(usage) = details.usage {
                counter!(metrics::TOKENS, "model" => model.clone(), "kind" => "prompt")
                    .increment(usage.prompt_tokens.into());
                counter!(metrics::TOKENS, "model" => model, "kind" => "completion")
                    .increment(usage.completion_tokens.into());
            }
        }
        tracing::info!(
            request.id = %id,
            request.route = %route,
            request.status = status,
            request.outcome = outcome,
            request.resumed = details.resumed.as_ref().map(RequestId::as_str),
            peer.ip = peer.as_deref(),
            client.request_id = client_id.as_deref(),
            tenant.id = tenant.as_deref(),
            caller.id = caller.as_deref(),
            refusal = details.refusal.map(tracing::field::display),
            model.id = details.model.as_ref().map(ModelId::as_str),
            answer.model = answer.map(|route| route.model.as_str()),
            answer.version = answer.and_then(|route| route.version),
            answer.config_version = answer.map(|route| route.config_version),
            answer.experiment = answer.and_then(route::experiment),
            prompt_tokens = details.usage.map(|usage| usage.prompt_tokens),
            completion_tokens = details.usage.map(|usage| usage.completion_tokens),
            first_token_ms = first_token.map(|time| time.as_secs_f64() * 1000.0),
            duration_ms = duration.as_secs_f64() * 1000.0,
            "request ended"
        );
    }
}

/// An answer's body that ends the record with its last byte.
struct RecordedBody {
    body: Body,
    ending: Ending,
}

impl http_body::Body for RecordedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = &polled {
            // hyper does not poll past the last frame of a body whose length it knows.
            self.ending.complete = match frame {
                None => true,
                Some(Ok(_)) => self.body.is_end_stream(),
                Some(Err(_)) => false,
            };
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
