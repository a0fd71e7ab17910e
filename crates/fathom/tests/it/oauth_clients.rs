//! Programs of `examples/oauth`, over OAuth libraries that know nothing of this server.

use std::net::TcpListener;
use std::time::Duration;

use crate::harness::{Server, home, sim};
use crate::programs::{file, runs};

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

async fn runs_to_its_end(program: &str) {
    let program = file(&format!("examples/oauth/{program}"));
    let printed = runs(&server().await, &program, Duration::from_secs(60)).await;
    assert!(!printed.trim().is_empty());
}

#[tokio::test]
async fn authlib_gets_tokens_by_every_method() {
    runs_to_its_end("authlib_clients.py").await;
}

#[tokio::test]
async fn pyjwt_verifies_a_token_with_the_published_keys() {
    runs_to_its_end("pyjwt_verify.py").await;
}

#[tokio::test]
async fn oauth4webapi_discovers_gets_introspects_and_revokes() {
    runs_to_its_end("oauth4webapi.mjs").await;
}
