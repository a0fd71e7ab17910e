//! What anybody may call without a credential, and what that may cost: small messages, few streams
//! at a time, and none that holds a shutdown.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::{Error, ErrorCode};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use super::{health, policy, refused};
use crate::policy::Policy;

/// A message names a service or a symbol.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// Calls that may run for long, of all clients together: each is a stream of whoever watches the
/// health, or reads the description.
const MOST_STREAMS: usize = 1_000;

/// Room for them.
#[derive(Clone)]
pub struct Open {
    room: Arc<Semaphore>,
    shutdown: Shutdown,
}

impl Open {
    /// With nobody in it, until `shutdown` drains.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST_STREAMS)),
            shutdown,
        }
    }
}

/// The layer around every method; others than those go by.
pub async fn layer(State(open): State<Open>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if policy(path) != Policy::Public || path == health::CHECK {
        return next.run(request).await;
    }
    // Health lets go by itself who watches it, with a last word.
    let ends_here = path != health::WATCH;
    let Ok(place) = open.room.clone().try_acquire_owned() else {
        let message = "too many calls watch the health or read the description; try later";
        return refused(Error::new(ErrorCode::Overloaded, message));
    };
    let draining = ends_here.then(|| Box::pin(open.shutdown.draining_token().cancelled_owned()));
    next.run(request).await.map(|body| {
        Body::new(Stream {
            body,
            draining,
            _place: place,
        })
    })
}

/// The answer of a call that may run for long.
struct Stream {
    body: Body,
    /// `None`: it does not end with draining, or has done so.
    draining: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _place: OwnedSemaphorePermit,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // What there is to say is said first.
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            return polled;
        }
        let Some(draining) = &mut self.draining else {
            return Poll::Pending;
        };
        std::task::ready!(draining.as_mut().poll(context));
        self.draining = None;
        self.body = Body::empty();
        let error = Error::new(ErrorCode::ShuttingDown, "the server is shutting down");
        let mut trailers = HeaderMap::new();
        match Status::from(error).add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(status) => Poll::Ready(Some(Err(axum::Error::new(status)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
