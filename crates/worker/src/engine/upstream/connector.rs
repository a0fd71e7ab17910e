//! Connections to another server, with and without TLS.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use crate::UpstreamConfig;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Connects within a time that covers the name's resolution and TLS, too.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl Connector {
    /// A connector that trusts the configured certificates; without them the machine's, or
    /// Mozilla's where it has none. They are read from disk, which is for nothing without TLS. The
    /// error names the key that is wrong.
    pub fn new(config: &UpstreamConfig, tls: bool) -> Result<Self, String> {
        let limit = config.connect_timeout;
        let builder = HttpsConnectorBuilder::new();
        let builder = match &config.ca_file {
            Some(_) if !tls => {
                return Err("`ca_file`: `base_url` has no TLS; begin it with `https://`".to_owned());
            }
            Some(path) => builder.with_tls_config(
                trusting(path)
                    .map_err(|problem| format!("`ca_file`: {} {problem}", path.display()))?,
            ),
            None if tls => builder
                .with_native_roots()
                .unwrap_or_else(|_| HttpsConnectorBuilder::new().with_webpki_roots()),
            None => builder.with_webpki_roots(),
        };
        let builder = builder.https_or_http();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared among all addresses of the name, so that a dead one does not take it all.
        tcp.set_connect_timeout(Some(limit));
        let inner = if config.http2 {
            builder.enable_http2().wrap_connector(tcp)
        } else {
            builder.enable_all_versions().wrap_connector(tcp)
        };
        Ok(Self { inner, limit })
    }
}

/// TLS with whom the certificates of a file stand behind.
fn trusting(path: &Path) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| format!("cannot be read: {error}"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("is no PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("holds what cannot be trusted: {error}"))?;
    }
    if roots.is_empty() {
        return Err("holds no certificate; write them in PEM".to_owned());
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
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
