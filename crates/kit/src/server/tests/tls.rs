//! EDGE-11: TLS, its certificate while it changes, and clients that are not what they should be.

use std::fs;
use std::path::PathBuf;

use ::metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use super::*;

/// An authority, and the files of a server that it vouches for.
struct Files {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ours");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Self {
            authority,
            folder: TempDir::new().unwrap(),
        };
        files.renew("first.test");
        fs::write(files.path("ca.pem"), files.authority.as_ref().pem()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, name: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned(), "localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        (certificate.der().clone(), key)
    }

    /// Writes a certificate of another name.
    fn renew(&self, name: &str) {
        self.write(name, |_| {});
    }

    fn write(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned(), "localhost".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.path("cert.pem"), certificate.pem()).unwrap();
        fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
    }

    fn config(&self) -> TlsConfig {
        TlsConfig {
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: None,
        }
    }

    fn edge(&self) -> Edge {
        Edge {
            tls: Some(Tls::load(&self.config()).unwrap()),
            ..Edge::default()
        }
    }

    fn client(&self, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.as_ref().der().clone()).unwrap();
        let mut client =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        client.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        client
    }
}

async fn shake(
    server: &Server,
    client: ClientConfig,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    connector.connect(name, server.connect().await).await
}

/// EDGE-11: both protocols are agreed upon.
#[tokio::test]
async fn edge_11_the_protocol_is_agreed_upon() {
    let files = Files::new();
    let server = Server::start(hello(), files.edge());
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut stream = shake(&server, files.client(offered), "localhost")
            .await
            .unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.alpn_protocol(), agreed.map(str::as_bytes));
        if agreed != Some("h2") {
            stream.write_all(REQUEST).await.unwrap();
            assert!(read_some(&mut stream).await.ends_with("hello"));
            continue;
        }
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let (answer, _) = client.send_request(floods::get("/"), true).unwrap();
        let status = tokio::select! {
            answer = answer => answer.unwrap().status(),
            _ = connection => panic!("the connection has ended"),
        };
        assert_eq!(status, StatusCode::OK);
    }
}

/// EDGE-11: a client that names no server gets the one certificate; a version of TLS that is too
/// old, or no TLS at all, gets no answer.
#[tokio::test]
async fn edge_11_old_tls_and_no_tls_are_refused() {
    let files = Files::new();
    let server = Server::start(hello(), files.edge());
    let mut nameless = files.client(&[]);
    nameless.enable_sni = false;
    shake(&server, nameless, "localhost").await.unwrap();

    // A hello of TLS 1.1 (RFC 4346): one cipher suite, no compression, and the extensions that
    // tell a curve and a signature.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    hello.extend([
        0, 22, 0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 29, 0, 11, 0, 2, 1, 0,
    ]);
    let mut handshake = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    handshake.extend(hello);
    let mut record = vec![22, 3, 1, 0, u8::try_from(handshake.len()).unwrap()];
    record.extend(handshake);
    let mut old = server.connect().await;
    old.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    timeout(LIMIT, old.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    // An alert, fatal: protocol_version.
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]), "{answer:?}");

    let plain = server.ask(REQUEST).await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
}

/// EDGE-11: TLS 1.2 is spoken, and TLS 1.3.
#[tokio::test]
async fn edge_11_two_versions_of_tls_are_spoken() {
    let files = Files::new();
    let server = Server::start(hello(), files.edge());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(files.authority.as_ref().der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut stream = shake(&server, client, "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        stream.write_all(REQUEST).await.unwrap();
        assert!(read_some(&mut stream).await.ends_with("hello"));
    }
}

/// How often the files of a certificate were read anew, as the metrics of this thread say.
struct Reloads {
    recorder: &'static PrometheusRecorder,
    _guard: LocalRecorderGuard<'static>,
}

impl Reloads {
    fn counted() -> Self {
        let recorder: &'static _ = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        Self {
            recorder,
            _guard: ::metrics::set_default_local_recorder(recorder),
        }
    }

    /// Waits until files were used, or could not be, so many times.
    async fn are(&self, result: &str, count: usize) {
        let line = format!("{}{{result=\"{result}\"}} {count}\n", metrics::TLS_RELOADS);
        let handle = self.recorder.handle();
        eventually(&line, || handle.render().contains(&line)).await;
    }
}

/// A socket of bytes that come back, on a connection that is upgraded for it.
async fn echoing(
    mut request: axum::extract::Request,
    tasks: TaskTracker,
) -> (StatusCode, [(&'static str, &'static str); 2]) {
    let upgrade = hyper::upgrade::on(&mut request);
    tasks.spawn(async move {
        let mut socket = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
        let mut bytes = [0; 16];
        while let Ok(count @ 1..) = socket.read(&mut bytes).await {
            socket.write_all(&bytes[..count]).await.unwrap();
        }
    });
    let headers = [("connection", "upgrade"), ("upgrade", "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, headers)
}

/// EDGE-11: a renewed certificate is shown to new connections, and what is open goes on: a request
/// of HTTP/1.1, a stream of HTTP/2, a socket. One that cannot be used changes nothing, and one that
/// is over is shown, for clients to refuse it.
#[tokio::test]
async fn edge_11_a_renewed_certificate_drops_no_stream() {
    let reloads = Reloads::counted();
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_begun, handler_go) = (begun.clone(), go.clone());
    let slow = get(async move || {
        handler_begun.notify_one();
        handler_go.notified().await;
        "finished"
    });
    let files = Files::new();
    let edge = files.edge();
    let tasks = TaskTracker::new();
    let of_server = tasks.clone();
    let socket = get(move |request| echoing(request, of_server));
    let routes = hello().route("/slow", slow).route("/socket", socket);
    let server = Server::start(routes, edge.clone());
    let current = edge
        .tls
        .clone()
        .unwrap()
        .keep_current(server.shutdown.clone());
    server.shutdown.spawn(current);
    let open = async |protocols: &[&str]| {
        let shaken = shake(&server, files.client(protocols), "first.test").await;
        shaken.unwrap()
    };
    let mut request = open(&[]).await;
    request
        .write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    begun.notified().await;
    let (mut client, connection) = h2::client::handshake(open(&["h2"]).await).await.unwrap();
    let connection = tasks.spawn(connection);
    let (stream, _) = client.send_request(floods::get("/slow"), true).unwrap();
    begun.notified().await;
    let mut socket = open(&[]).await;
    socket
        .write_all(
            b"GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
        )
        .await
        .unwrap();
    assert!(read_some(&mut socket).await.starts_with("HTTP/1.1 101"));

    // A file that is no certificate changes nothing.
    let good = fs::read(files.path("cert.pem")).unwrap();
    fs::write(files.path("cert.pem"), "no certificate").unwrap();
    reloads.are("failed", 1).await;
    open(&[]).await;
    fs::write(files.path("cert.pem"), good).unwrap();

    files.renew("second.test");
    reloads.are("loaded", 1).await;
    shake(&server, files.client(&[]), "second.test")
        .await
        .unwrap();

    files.write("second.test", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    reloads.are("loaded", 2).await;
    let refused = shake(&server, files.client(&[]), "second.test").await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("expired"), "{refused}");

    go.notify_waiters();
    assert!(read_some(&mut request).await.ends_with("finished"));
    let body = stream.await.unwrap().into_body().data().await;
    assert_eq!(body.unwrap().unwrap(), "finished");
    socket.write_all(b"still there").await.unwrap();
    assert_eq!(read_some(&mut socket).await, "still there");
    connection.abort();
}

/// EDGE-7: connections that never say hello are closed, and hold no place after that.
#[tokio::test]
async fn edge_7_a_flood_without_hello_holds_nothing() {
    let files = Files::new();
    let edge = Edge {
        limits: Limits {
            max_connections: 50,
            header_timeout: Duration::from_millis(300),
            ..Limits::default()
        },
        ..files.edge()
    };
    let server = Server::start(hello(), edge);
    let mut silent = Vec::new();
    for _ in 0..150 {
        silent.push(server.connect().await);
    }
    for stream in &mut silent {
        assert_eq!(read(stream).await, "");
    }
    shake(&server, files.client(&[]), "localhost")
        .await
        .unwrap();
}

/// A port that asks for certificates of clients lets nobody in without one.
#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_wanted() {
    let files = Files::new();
    let config = TlsConfig {
        client_ca: Some(files.path("ca.pem")),
        ..files.config()
    };
    let edge = Edge {
        tls: Some(Tls::load(&config).unwrap()),
        ..Edge::default()
    };
    let server = Server::start(hello(), edge);
    let ask = async |client: ClientConfig| {
        let mut stream = shake(&server, client, "localhost").await.ok()?;
        stream.write_all(REQUEST).await.ok()?;
        let answer = read_some_or_nothing(&mut stream).await?;
        answer.ends_with("hello").then_some(())
    };
    assert_eq!(ask(files.client(&[])).await, None);

    let with = |files: &Files, vouching: &Files| {
        let (certificate, key) = vouching.issue("client");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(files.authority.as_ref().der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .unwrap()
    };
    assert_eq!(ask(with(&files, &Files::new())).await, None);
    assert_eq!(ask(with(&files, &files)).await, Some(()));
}

async fn read_some_or_nothing(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    let mut bytes = [0; 1024];
    let length = timeout(LIMIT, stream.read(&mut bytes)).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

#[test]
fn files_that_do_not_serve_are_named() {
    let (files, other) = (Files::new(), Files::new());
    let problem = |change: &dyn Fn(&mut TlsConfig)| {
        let mut config = files.config();
        change(&mut config);
        Tls::load(&config).unwrap_err().to_string()
    };
    let absent = problem(&|config| config.certificate = files.path("nowhere.pem"));
    assert!(
        absent.starts_with("cannot read ") && absent.ends_with("nowhere.pem"),
        "{absent}"
    );
    let no_key = problem(&|config| config.key = files.path("cert.pem"));
    assert!(
        no_key.ends_with("cert.pem holds no private key in PEM"),
        "{no_key}"
    );
    let foreign = problem(&|config| config.key = other.path("key.pem"));
    assert!(
        foreign.contains("cert.pem and its key cannot be used"),
        "{foreign}"
    );
}
