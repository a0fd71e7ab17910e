//! EDGE-11 through the configuration of the gateway; its details are tests of the accept loop.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use fathom_e2e::{Cluster, Wiring};
use fathom_kit::server::TlsConfig;
use rcgen::{CertificateParams, KeyPair};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::attack::python;

/// A certificate that vouches for itself, and its key; and another one, for which nobody does.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    for name in ["tls", "other"] {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key);
        let file = |kind: &str| folder.path().join(format!("{name}.{kind}"));
        std::fs::write(file("crt"), certificate.unwrap().pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
    }
    folder
});

fn file(name: &str) -> PathBuf {
    FILES.path().join(name)
}

/// EDGE-11: a client that knows the certificate asks over TLS, and the issuer of tokens is where
/// clients find it.
#[tokio::test]
async fn edge_11_the_public_port_speaks_tls() {
    let with_tls = |config: &mut fathom::Config| {
        config.gateway.tls = Some(TlsConfig {
            certificate: file("tls.crt"),
            key: file("tls.key"),
            client_ca: None,
        });
    };
    let builder = Cluster::builder(Wiring::InProcess).config(with_tls);
    let cluster = builder.start().await.unwrap();
    assert!(cluster.base_url.starts_with("https://"));
    let program = "import sys, requests\n\
        base, ca, key = sys.argv[1:]\n\
        ask = lambda path: requests.get(base + path, verify=ca, headers={'authorization': 'Bearer ' + key})\n\
        print(ask('/v1/models').json()['data'][0]['id'])\n\
        print(ask('/.well-known/oauth-authorization-server').json()['issuer'])\n";
    let key = cluster.demo.api_key.expose_secret();
    let ca = file("tls.crt");
    let lines = prints(
        program,
        [cluster.base_url.as_ref(), ca.as_os_str(), key.as_ref()],
    )
    .await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1], cluster.base_url);
}

/// WS-7 and SEC-23: behind a proxy with TLS, a page without it is none of this server; who invents
/// the header is taken for what it is.
#[tokio::test]
async fn ws_7_a_page_without_tls_may_not_send_where_the_proxy_has_it() {
    let behind_a_proxy = |config: &mut fathom::Config| {
        config.gateway.trusted_proxies = "127.0.0.1".parse().unwrap();
    };
    for (adjust, statuses) in [
        (behind_a_proxy as fn(&mut fathom::Config), ["403", "101"]),
        (|_| {}, ["101", "101"]),
    ] {
        let builder = Cluster::builder(Wiring::InProcess).config(adjust);
        let cluster = builder.start().await.unwrap();
        let address = cluster.base_url.trim_start_matches("http://");
        let key = cluster.demo.api_key.expose_secret();
        let mut found = Vec::new();
        for scheme in ["http", "https"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let handshake = format!(
                "GET /v1/stream HTTP/1.1\r\nhost: llm.example.com\r\nconnection: upgrade\r\n\
                 upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {key}\r\n\
                 origin: {scheme}://llm.example.com\r\nx-forwarded-proto: https\r\n\r\n"
            );
            stream.write_all(handshake.as_bytes()).await.unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).await.unwrap();
            found.push(String::from_utf8_lossy(&status[9..]).into_owned());
        }
        assert_eq!(found, statuses);
    }
}

/// GRPC-5: the port for gRPC has the TLS of the public one: who speaks without it, takes the server
/// for another one, or has no certificate where one is asked for, or one of another authority, gets no answer at all.
#[tokio::test]
async fn grpc_5_the_port_for_grpc_asks_for_tls_and_certificates() {
    let with_clients = |config: &mut fathom::Config| {
        config.gateway.tls = Some(TlsConfig {
            certificate: file("tls.crt"),
            key: file("tls.key"),
            client_ca: Some(file("tls.crt")),
        });
    };
    let builder = Cluster::builder(Wiring::InProcess).config(with_clients);
    let cluster = builder.start().await.unwrap();
    let address = cluster.grpc_url.strip_prefix("https://").unwrap();
    let program = "import sys, grpc\n\
        from grpc_health.v1 import health_pb2, health_pb2_grpc\n\
        address, *files = sys.argv[1:]\n\
        crt, key, other_crt, other_key = (open(file, 'rb').read() for file in files)\n\
        ssl = grpc.ssl_channel_credentials\n\
        other = [('grpc.ssl_target_name_override', 'other.example')]\n\
        for channel in (\n\
            grpc.secure_channel(address, ssl(crt, key, crt)),\n\
            grpc.insecure_channel(address),\n\
            grpc.secure_channel(address, ssl(crt, key, crt), other),\n\
            grpc.secure_channel(address, ssl(crt)),\n\
            grpc.secure_channel(address, ssl(crt, other_key, other_crt)),\n\
        ):\n\
        \x20   try:\n\
        \x20       health = health_pb2_grpc.HealthStub(channel)\n\
        \x20       print(health.Check(health_pb2.HealthCheckRequest(), timeout=5).status)\n\
        \x20   except grpc.RpcError as error:\n\
        \x20       print(error.code().name)\n";
    let said = prints(
        program,
        [
            address.as_ref(),
            file("tls.crt").as_os_str(),
            file("tls.key").as_os_str(),
            file("other.crt").as_os_str(),
            file("other.key").as_os_str(),
        ],
    )
    .await;
    let serving = "1";
    assert_eq!(said[0], serving);
    assert_eq!(said[1..], ["UNAVAILABLE"; 4]);
}

/// The lines that a Python program prints.
async fn prints<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Vec<String> {
    let run = Command::new(python())
        .args(["-c", program])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(40), run)
        .await
        .unwrap()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().map(str::to_owned).collect()
}
