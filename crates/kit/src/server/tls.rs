//! TLS 1.2 and 1.3 with one certificate, and what happens when its files change: new connections
//! see the new certificate, those that are open stay as they are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::metrics::TLS_RELOADS;
use crate::shutdown::Shutdown;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Where the certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM: the certificate, and those of the authorities between it and the one that clients
    /// know. One that is over is shown all the same, and clients refuse it.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: authorities of which one must have signed the certificate of each client; absent:
    /// clients show none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// A certificate that does not serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM", path.display())]
    Absent {
        /// Which one.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Key and certificate do not fit, or are of a kind that is not known.
    #[error("{} and its key cannot be used: {source}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities of clients are none.
    #[error("{} cannot be used: {source}", path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The certificate of one port or several; clones share it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

struct Inner {
    config: TlsConfig,
    /// What [`Tls::load`] found.
    files: Files,
    current: watch::Sender<Arc<ServerConfig>>,
}

impl std::fmt::Debug for Inner {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.config.fmt(f)
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let files = Files::read(config)?;
        let current = watch::Sender::new(files.server(config)?);
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            files,
            current,
        })))
    }

    /// Shakes hands with a client.
    pub(super) async fn accept<IO>(&self, stream: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let current = self.0.current.borrow().clone();
        TlsAcceptor::from(current).accept(stream).await
    }

    /// Looks at the files until draining begins. What cannot be used changes nothing.
    pub async fn keep_current(self, shutdown: Shutdown) {
        tokio::select! {
            () = self.follow() => {}
            () = shutdown.draining() => {}
        }
    }

    async fn follow(&self) {
        let mut tried = self.0.files.clone();
        // A file may be half written, or one of the two; what stays for a period is whole.
        let mut seen = tried.clone();
        let mut readable = true;
        loop {
            sleep(PERIOD).await;
            let config = self.0.config.clone();
            let read = tokio::task::spawn_blocking(move || Files::read(&config)).await;
            let files = match read {
                Ok(Ok(files)) => files,
                Ok(Err(error)) if readable => {
                    readable = false;
                    failed(&error);
                    continue;
                }
                Ok(Err(_)) | Err(_) => continue,
            };
            readable = true;
            if files == tried {
                continue;
            }
            if files != seen {
                seen = files;
                continue;
            }
            match files.server(&self.0.config) {
                Ok(server) => {
                    self.0.current.send_replace(server);
                    counter!(TLS_RELOADS, "result" => "loaded").increment(1);
                    tracing::info!("a new certificate is shown to new connections");
                }
                Err(error) => failed(&error),
            }
            tried = files;
        }
    }
}

fn failed(error: &TlsError) {
    counter!(TLS_RELOADS, "result" => "failed").increment(1);
    let cause = std::error::Error::source(error).map(tracing::field::display);
    tracing::error!(%error, cause, "the certificate stays as it was");
}

/// The content of the files.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let client_ca = config.client_ca.as_deref().map(read);
        Ok(Self {
            certificate: read(&config.certificate)?,
            key: read(&config.key)?,
            client_ca: client_ca.transpose()?,
        })
    }

    fn server(&self, config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
        let unusable = |source| TlsError::Unusable {
            path: config.certificate.clone(),
            source,
        };
        let chain = certificates(&self.certificate, &config.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::Absent {
            path: config.key.clone(),
            what: "private key",
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match (&self.client_ca, &config.client_ca) {
            (Some(pem), Some(path)) => {
                let authorities = |source| TlsError::Authorities {
                    path: path.clone(),
                    source,
                };
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem, path)? {
                    roots
                        .add(certificate)
                        .map_err(|error| authorities(error.into()))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| authorities(error.into()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut server = builder.with_single_cert(chain, key).map_err(unusable)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Absent {
            path: path.to_owned(),
            what: "certificate",
        }),
    }
}
