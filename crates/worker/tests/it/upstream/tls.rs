//! TLS, with certificates of authorities of its own; SEC-30.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::{Error, ErrorCode};
use fathom_worker::{Config, EngineConfig, UpstreamConfig, Worker};
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::server::{DONE, STOP, text};
use super::{config, hello, outcome, start, told};

/// Who signs certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.as_ref().pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a server of this name is configured with.
    fn server(&self, name: &str, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// A server that says `Hello`, and which versions of HTTP it was asked in.
struct Server {
    url: String,
    asked: mpsc::Receiver<Version>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(mut tls: ServerConfig, protocols: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/v1", listener.local_addr().unwrap());
        tls.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let (told, asked) = mpsc::channel(100);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A client that refuses the certificate ends the handshake.
                let Ok(socket) = acceptor.accept(socket).await else {
                    continue;
                };
                let service = service_fn(|request: Request<Incoming>| {
                    told.try_send(request.version()).unwrap();
                    let body = Bytes::from(format!("{}{STOP}{DONE}", text("Hello")));
                    let answer = Response::builder().header("content-type", "text/event-stream");
                    async { Ok::<_, Infallible>(answer.body(Full::new(body)).unwrap()) }
                });
                let http = auto::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(socket), service).await;
            }
        });
        Self {
            url,
            asked,
            _task: task,
        }
    }
}

fn trusting(base_url: &str, authority: &Authority) -> UpstreamConfig {
    UpstreamConfig {
        ca_file: Some(authority.file()),
        ..config(base_url)
    }
}

#[tokio::test]
async fn the_version_of_http_is_agreed_upon() {
    let authority = Authority::new("ours");
    for (protocols, tls, version) in [
        (&["h2", "http/1.1"][..], &TLS13, Version::HTTP_2),
        (&["h2"], &TLS12, Version::HTTP_2),
        (&["http/1.1"], &TLS13, Version::HTTP_11),
        (&["http/1.1"], &TLS12, Version::HTTP_11),
        (&[], &TLS13, Version::HTTP_11),
    ] {
        let tls = authority.server("127.0.0.1", tls);
        let mut server = Server::start(tls, protocols).await;
        let worker = start(trusting(&server.url, &authority)).await;
        for _ in 0..2 {
            let outcome = outcome(&worker, hello()).await;
            assert_eq!(outcome.text, "Hello", "{protocols:?}: {:?}", outcome.end);
            assert_eq!(server.asked.recv().await.unwrap(), version, "{protocols:?}");
        }
    }
}

/// Asks the server, which must not learn more than that somebody came.
async fn refused(server: &mut Server, config: UpstreamConfig) -> Error {
    let error = outcome(&start(config).await, hello())
        .await
        .end
        .unwrap_err();
    assert!(server.asked.try_recv().is_err(), "nothing was sent");
    assert_eq!(error.code, ErrorCode::Unavailable, "{}", told(&error));
    error
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_is_refused() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let tls = authority.server("elsewhere.example", &TLS13);
    let mut server = Server::start(tls, &["h2"]).await;
    let trusted = trusting(&server.url, &authority);
    let error = told(&refused(&mut server, trusted).await);
    assert!(
        error.contains("certificate not valid for name \"127.0.0.1\""),
        "{error}"
    );
    let tls = authority.server("127.0.0.1", &TLS13);
    let mut server = Server::start(tls, &["http/1.1"]).await;
    for config in [trusting(&server.url, &other), config(&server.url)] {
        let error = told(&refused(&mut server, config).await);
        assert!(
            error.contains("invalid peer certificate: UnknownIssuer"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_file_of_authorities_that_is_none_is_refused_by_name() {
    let authority = Authority::new("ours");
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (ca_file, base_url, words) in [
        (
            folder.path().join("none"),
            "https://host/v1",
            "cannot be read",
        ),
        (
            file("empty", ""),
            "https://host/v1",
            "holds no certificate; write them in PEM",
        ),
        (
            file("garbled", garbled),
            "https://host/v1",
            "holds what cannot be trusted",
        ),
        (
            authority.file(),
            "http://host/v1",
            "begin it with `https://`",
        ),
    ] {
        let config = UpstreamConfig {
            ca_file: Some(ca_file),
            ..config(base_url)
        };
        let config = Config {
            engines: vec![EngineConfig::Upstream(config)],
            ..Config::default()
        };
        let started = Worker::start(&config, folder.path(), &Shutdown::new(Duration::ZERO)).await;
        let problem = format!("{}", started.err().unwrap());
        assert!(
            problem.contains("`ca_file`: ") && problem.contains(words),
            "{problem}"
        );
    }
}
