//! EDGE-11 through the configuration of the gateway; its details are tests of the accept loop.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use fathom_e2e::{Cluster, Wiring};
use fathom_kit::server::TlsConfig;
use rcgen::{CertificateParams, KeyPair};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::attack::python;

/// A certificate that vouches for itself, and its key.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key);
    std::fs::write(folder.path().join("tls.crt"), certificate.unwrap().pem()).unwrap();
    std::fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
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
    let asked = Command::new(python())
        .args(["-c", program, &cluster.base_url])
        .arg(file("tls.crt"))
        .arg(cluster.demo.api_key.expose_secret())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(20), asked)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{errors}");
    assert_eq!(lines[1], cluster.base_url);
}
