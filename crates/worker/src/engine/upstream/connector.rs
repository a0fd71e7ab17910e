//! Connections to another server, with and without TLS.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Connects within a time that covers the name's resolution and TLS, too.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl Connector {
    /// A connector that trusts the machine's certificates, or Mozilla's where it has none. The
    /// former are read from disk, which is for nothing without TLS.
    pub fn new(limit: Duration, tls: bool, http2_only: bool) -> Self {
        let native = tls.then(|| HttpsConnectorBuilder::new().with_native_roots().ok());
        let builder = native
            .flatten()
            .unwrap_or_else(|| HttpsConnectorBuilder::new().with_webpki_roots())
            .https_or_http();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared among all addresses of the name, so that a dead one does not take it all.
        tcp.set_connect_timeout(Some(limit));
        let inner = if http2_only {
            builder.enable_http2().wrap_connector(tcp)
        } else {
            builder.enable_all_versions().wrap_connector(tcp)
        };
        Self { inner, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(ready!(self.inner.poll_ready(context)))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move { timeout(limit, connecting).await? })
    }
}
