//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, Version, header};
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use metrics::counter;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tower::ServiceExt;

use super::activity::{Activity, FAREWELL, InFlight, Overdue};
use super::connections::Place;
use super::metrics::ENDED;
use super::request_body::RequestBody;
use super::socket::{Reset, Socket};
use super::streams::{Answer, Streams};
use super::{Edge, Limits, Peer, Stream};
use crate::shutdown::Shutdown;

/// Most of an answer that waits in this process, and in the kernel before it is sent.
const BUFFER: u32 = 64 * 1024;
/// Most of the bodies of requests that is taken in ahead of their readers, of a connection.
const WINDOW: u32 = 1024 * 1024;
/// Streams that were reset before they were looked at (CVE-2023-44487), and resets that errors of
/// the peer made necessary (RUSTSEC-2024-0003), until the connection ends.
const MOST_PENDING_RESETS: usize = 20;
const MOST_ERROR_RESETS: usize = 100;

/// What the connections of a port have in common.
pub struct Server {
    routes: Router,
    edge: Edge,
    http: Builder<Streams>,
    shutdown: Shutdown,
}

impl Server {
    pub fn new(routes: Router, edge: Edge, shutdown: Shutdown) -> Self {
        let http = http(&edge.limits, &shutdown);
        Self {
            routes,
            edge,
            http,
            shutdown,
        }
    }

    /// Serves a connection until it ends.
    pub async fn connected(self: Arc<Self>, stream: Stream, place: Place) {
        match stream {
            Stream::Tcp(stream) => {
                // Nagle's algorithm would hold a token back until the last one is acknowledged.
                let _ = stream.set_nodelay(true);
                // Without it megabytes wait in the kernel for a reader that has stopped.
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(BUFFER);
                Box::pin(self.shake_hands(stream, place)).await;
            }
            Stream::Unix(stream) => Box::pin(self.shake_hands(stream, place)).await,
        }
    }

    async fn shake_hands<IO>(self: Arc<Self>, stream: IO, place: Place)
    where
        IO: AsyncRead + AsyncWrite + Reset + Send + Unpin + 'static,
    {
        let Some(tls) = &self.edge.tls else {
            return self.serve(stream, false, place).await;
        };
        let greeted = tokio::select! {
            greeted = timeout(self.edge.limits.header_timeout, tls.accept(stream)) => greeted,
            () = self.shutdown.draining() => return,
        };
        match greeted {
            Ok(Ok(stream)) => Box::pin(self.serve(stream, true, place)).await,
            Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
            Err(_) => counter!(ENDED, "reason" => "handshake").increment(1),
        }
    }

    async fn serve<IO>(self: Arc<Self>, stream: IO, secure: bool, place: Place)
    where
        IO: AsyncRead + AsyncWrite + Reset + Send + Unpin + 'static,
    {
        let limits = &self.edge.limits;
        let activity = Activity::new();
        let peer = Peer {
            address: place.address,
            secure,
        };
        let socket = Socket::new(stream, activity.clone(), limits.write_timeout, place);
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            let in_flight = activity.begin(request.version() == Version::HTTP_2);
            self.clone().answer(request, peer, in_flight)
        });
        let connection = self
            .http
            .serve_connection_with_upgrades(TokioIo::new(socket), service);
        let mut connection = pin!(connection);
        let mut overdue = pin!(activity.overdue(limits));
        // What the connection does may change what is due, so it goes first.
        let mut end = tokio::select! {
            biased;
            ended = connection.as_mut() => End::Itself(ended),
            why = overdue.as_mut() => End::Overdue(why),
            () = self.shutdown.draining() => End::Draining,
        };
        if !matches!(end, End::Itself(_)) {
            connection.as_mut().graceful_shutdown();
        }
        if matches!(end, End::Draining) {
            activity.drain();
            end = tokio::select! {
                biased;
                ended = connection.as_mut() => End::Itself(ended),
                why = overdue.as_mut() => End::Overdue(why),
            };
        }
        match end {
            // Peers that break off are everyday; the request's own log line says what they missed.
            End::Itself(Err(error)) => tracing::debug!(%error, "connection ended early"),
            End::Itself(Ok(())) | End::Draining | End::Overdue(Overdue::Drained) => {}
            End::Overdue(why) => {
                counter!(ENDED, "reason" => why.reason()).increment(1);
                let _ = timeout(FAREWELL, connection).await;
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
        in_flight: InFlight,
    ) -> Result<Response, Infallible> {
        let (mut parts, body) = request.into_parts();
        let peer = peer.of_request(&mut parts.headers, &self.edge.trusted_proxies);
        parts.extensions.insert(peer);
        let body = if body.is_end_stream() {
            Body::empty()
        } else {
            let limit = self.edge.limits.body_timeout;
            Body::new(RequestBody::new(body, limit, in_flight.activity().clone()))
        };
        let http2 = parts.version == Version::HTTP_2;
        let activity = in_flight.activity().clone();
        let routes = self.routes.clone();
        let answered = routes.oneshot(Request::from_parts(parts, body)).await;
        let mut response = answered.unwrap_or_else(|never| match never {});
        if !http2 && (is_refused_body(response.status()) || activity.is_unread()) {
            // hyper closes only after it has said that the connection goes on, and a client that
            // believes it sends its next request into the close.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response.map(|body| Body::new(Answer::new(body, in_flight))))
    }
}

/// Whether the answer says that a body is not wanted, so that its rest must not be read as the
/// next request.
fn is_refused_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE
    )
}

/// How the time of a connection without its own end is over.
enum End {
    Itself(Result<(), Box<dyn std::error::Error + Send + Sync>>),
    Overdue(Overdue),
    Draining,
}

fn http(limits: &Limits, shutdown: &Shutdown) -> Builder<Streams> {
    let mut builder = Builder::new(Streams {
        shutdown: shutdown.clone(),
        write_timeout: limits.write_timeout,
    });
    builder
        .http1()
        // Its clock runs while the connection is idle; ours tells the two apart.
        .header_read_timeout(None)
        // The buffer is what bounds a header. It is that of answers, too.
        .max_buf_size(limits.max_header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(limits.max_header_bytes)
        .max_pending_accept_reset_streams(MOST_PENDING_RESETS)
        .max_local_error_reset_streams(MOST_ERROR_RESETS)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .max_send_buf_size(BUFFER as usize)
        // A peer that is gone without a word is found out.
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
