//! The accept loop: HTTP/1.1 and HTTP/2 on one port, plain or in TLS, with the time-outs, caps and
//! graceful end that `axum::serve` leaves out. gRPC services are HTTP/2 routes and are served by
//! it too.
//!
//! # Layout
//!
//! - [`limits`]: what one peer may cost
//! - [`connections`]: how many connections there may be, in all and from one address
//! - [`connection`]: one connection, from its handshake to its end
//! - [`activity`]: whether a connection has anything to do, and since when not
//! - [`socket`]: a connection's bytes; a peer that takes none is given up
//! - [`pace`]: how fast a reader is
//! - [`frames`]: HTTP/2 frames that only make work
//! - [`streams`]: answers over HTTP/2; one that nobody reads is given up
//! - [`request_body`]: bodies that stop coming
//! - [`peer`]: who is at the other end, also behind a proxy
//! - [`tls`]: certificates, and what happens when their files change
//! - [`metrics`]: names of the metrics

mod activity;
mod connection;
mod connections;
mod frames;
mod limits;
pub mod metrics;
mod pace;
mod peer;
mod request_body;
mod socket;
mod streams;
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use axum::Router;
use tokio::net::{TcpStream, UnixStream};

use crate::net::Listener;
use crate::shutdown::Shutdown;
use connection::Server;
use connections::{Connections, Place};

pub use limits::Limits;
pub use peer::{Peer, TrustedProxies};
pub use request_body::BodyStalled;
pub use tls::{Tls, TlsConfig, TlsError};

/// How long nothing is accepted when the system gives no more connections: trying again at once
/// would only burn the processor.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How a port takes its connections.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// What one peer may cost.
    pub limits: Limits,
    /// The certificate to show; `None`: no TLS.
    pub tls: Option<Tls>,
    /// Whose word counts on where a request comes from.
    pub trusted_proxies: TrustedProxies,
}

impl From<Limits> for Edge {
    /// Without TLS, for callers that come from nowhere else.
    fn from(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}

/// Serves `routes` until draining begins, then until every connection has ended.
pub async fn serve(
    listener: Listener,
    routes: Router,
    edge: impl Into<Edge> + Send,
    shutdown: Shutdown,
) {
    let edge = edge.into();
    let connections = Connections::new(&edge);
    let server = Arc::new(Server::new(routes, edge, shutdown.clone()));
    let accept = async {
        loop {
            match accept(&listener, &connections).await {
                Ok((stream, place)) => shutdown.spawn(server.clone().connected(stream, place)),
                Err(error) => {
                    counter!(metrics::ACCEPT_ERRORS).increment(1);
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown.draining() => {}
    }
}

/// A new connection.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Waits for a connection that there is room for. One from an address that has its share is closed
/// at once.
async fn accept(listener: &Listener, connections: &Connections) -> io::Result<(Stream, Place)> {
    let mut room = connections.room().await?;
    loop {
        let (stream, address) = match listener {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Stream::Tcp(stream), Some(peer.ip().to_canonical()))
            }
            Listener::Unix(listener, _) => (Stream::Unix(listener.accept().await?.0), None),
        };
        match connections.admit(room, address) {
            Ok(place) => return Ok((stream, place)),
            Err(unused) => room = unused,
        }
        counter!(metrics::REFUSED).increment(1);
        if let Stream::Tcp(stream) = &stream {
            // A reset leaves nothing behind here, where a farewell would.
            let _ = stream.set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests;
