use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fathom_client::{Client, fetch_token};

use crate::ask::{chat, whole};
use crate::harness::{REAL, home, real, sim};
use crate::process::{fathom, run};

/// Nothing is configured here, so this is the start that a first user sees.
#[tokio::test]
async fn a_second_start_keeps_credentials_and_tokens_and_is_quick() {
    let home = home();
    let mut first = real(&home, &[]).await;
    let first_start = first.ready_after;
    let demo = fs::read_to_string(first.demo_file()).unwrap();
    let mode = fs::metadata(first.demo_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let (id, secret) = (
        first.demo("FATHOM_CLIENT_ID"),
        first.demo("FATHOM_CLIENT_SECRET"),
    );
    let token = fetch_token(&first.base_url(), &id, &secret.into())
        .await
        .unwrap();
    first.terminate();
    assert_eq!(first.ended(Duration::from_secs(10)).await.code(), Some(0));
    let listen = format!("gateway.listen={}", first.address());
    drop(first);

    let second = real(&home, &["--set", &listen]).await;
    let second_start = second.ready_after;
    println!("ready after {first_start:?}, the second time after {second_start:?}");
    assert!(second_start < Duration::from_secs(10), "{second_start:?}");
    assert_eq!(fs::read_to_string(second.demo_file()).unwrap(), demo);
    let client = Client::new(second.base_url(), token.access_token.into());
    assert_eq!(client.models().await.unwrap().data.len(), 3);
    second.client().models().await.unwrap();
}

/// Two servers would take each other's sockets away, and overwrite each other's `demo.env`.
#[tokio::test]
async fn a_second_server_over_the_same_data_folder_is_refused_and_does_no_harm() {
    let server = real(&home(), &["--set", REAL]).await;
    let demo = fs::read_to_string(server.demo_file()).unwrap();
    let folder = server.home.path();
    let listen = ["gateway.listen", "gateway.admin_listen"].map(|key| format!("{key}=127.0.0.1:0"));
    let arguments = [
        "up",
        "--set",
        &listen[0],
        "--set",
        &listen[1],
        "--set",
        &sim("tokens=8"),
    ];
    let second = run(fathom(folder, &arguments), Duration::from_secs(5)).await;
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success(), "{text}");
    assert!(text.contains(folder.to_str().unwrap()), "{text}");
    assert_eq!(fs::read_to_string(server.demo_file()).unwrap(), demo);
    whole(&server.client(), &chat("Hello", 1)).await;
}
