//! Programs of `examples/oauth`, over OAuth libraries that know nothing of this server.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::{Server, home, sim};
use crate::process::{run, test_path};

const LIMIT: Duration = Duration::from_secs(60);

fn example(name: &str) -> PathBuf {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/oauth");
    examples.join(name).canonicalize().unwrap()
}

/// A server whose issuer is its own address, as clients demand.
async fn server() -> Server {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let address = address.unwrap();
    let listen = format!("gateway.listen={address}");
    let issuer = format!("auth.issuer=http://{address}");
    let engine = sim("tokens=8");
    let arguments = ["--set", &listen, "--set", &issuer, "--set", &engine];
    Server::ready(&home(), &arguments).await
}

/// Runs a program to its end with the variables of `demo.env` alone, as a shell reads them.
async fn runs(server: &Server, interpreter: &Path, program: &Path) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"set -a; . "$0"; exec "$@""#]);
    shell.arg(server.demo_file()).arg(interpreter).arg(program);
    shell.env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
    let output = run(shell, LIMIT).await;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {}\n{text}",
        program.display(),
        output.status
    );
    assert!(!output.stdout.trim_ascii().is_empty(), "{output:?}");
}

#[tokio::test]
async fn authlib_gets_tokens_by_every_method() {
    let python = test_path("FATHOM_TEST_PYTHON");
    runs(&server().await, &python, &example("authlib_clients.py")).await;
}

#[tokio::test]
async fn pyjwt_verifies_a_token_with_the_published_keys() {
    let python = test_path("FATHOM_TEST_PYTHON");
    runs(&server().await, &python, &example("pyjwt_verify.py")).await;
}

/// Node looks for packages beside the program.
#[tokio::test]
async fn oauth4webapi_discovers_gets_introspects_and_revokes() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("oauth4webapi.mjs");
    fs::copy(example("oauth4webapi.mjs"), &program).unwrap();
    let packages = test_path("FATHOM_TEST_NODE_MODULES");
    symlink(packages, folder.path().join("node_modules")).unwrap();
    let node = test_path("FATHOM_TEST_NODE");
    runs(&server().await, &node, &program).await;
}
