//! The accept loop: HTTP/1.1 and HTTP/2 on one port, with the time-outs, caps and graceful end
//! that `axum::serve` leaves out. gRPC services are HTTP/2 routes and are served by it too.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use crate::net::Listener;
use crate::shutdown::Shutdown;

/// What one peer may cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at a time; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Time to send a request's header, and to sit idle before it; a longer one lets a slow
    /// attacker hold connections, a shorter one breaks clients that reuse them.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// Requests in flight on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            header_timeout: Duration::from_secs(30),
            max_concurrent_streams: 128,
        }
    }
}

impl Limits {
    /// For ports that only our own services call: one connection carries a whole gateway.
    #[must_use]
    pub fn internal() -> Self {
        Self {
            max_concurrent_streams: 10_000,
            ..Self::default()
        }
    }
}

/// Who is at the other end; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<SocketAddr>);

/// Serves `routes` until draining begins, then until every connection has ended.
pub async fn serve(listener: Listener, routes: Router, limits: Limits, shutdown: Shutdown) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .adaptive_window(true);
    let builder = Arc::new(builder);
    let connections = Arc::new(Semaphore::new(limits.max_connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = shutdown.draining() => return,
        };
        match accepted {
            Ok((Connection::Tcp(stream, peer), permit)) => {
                // Nagle's algorithm would hold a token back until the last one is acknowledged.
                let _ = stream.set_nodelay(true);
                let connection = serve_connection(
                    TokioIo::new(stream),
                    Peer(Some(peer)),
                    routes.clone(),
                    builder.clone(),
                    shutdown.clone(),
                    permit,
                );
                shutdown.spawn(connection);
            }
            Ok((Connection::Unix(stream), permit)) => {
                let connection = serve_connection(
                    TokioIo::new(stream),
                    Peer(None),
                    routes.clone(),
                    builder.clone(),
                    shutdown.clone(),
                    permit,
                );
                shutdown.spawn(connection);
            }
            Err(error) => {
                // Out of file descriptors: trying again at once would only burn the processor.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

enum Connection {
    Tcp(tokio::net::TcpStream, SocketAddr),
    Unix(tokio::net::UnixStream),
}

async fn accept(
    listener: &Listener,
    connections: &Arc<Semaphore>,
) -> io::Result<(Connection, OwnedSemaphorePermit)> {
    let permit = connections
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let connection = match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            Connection::Tcp(stream, peer)
        }
        Listener::Unix(listener, _) => Connection::Unix(listener.accept().await?.0),
    };
    Ok((connection, permit))
}

async fn serve_connection<IO>(
    io: IO,
    peer: Peer,
    routes: Router,
    builder: Arc<Builder<TokioExecutor>>,
    shutdown: Shutdown,
    _permit: OwnedSemaphorePermit,
) where
    IO: Read + Write + Unpin + Send + 'static,
{
    let service =
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let routes = routes.clone();
            async move {
                Ok::<Response, Infallible>(
                    routes
                        .oneshot(request)
                        .await
                        .unwrap_or_else(|never| match never {}),
                )
            }
        });
    let mut connection = std::pin::pin!(builder.serve_connection_with_upgrades(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Peers that break off are everyday; the request's own log line says what they missed.
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

#[cfg(test)]
mod tests;
