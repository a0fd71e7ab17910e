use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fathom_client::{Client, fetch_token};
use tokio::time::Instant;

use crate::harness::{home, real};

/// Nothing is configured here, so this is the start that a first user sees.
#[tokio::test]
async fn a_second_start_keeps_credentials_and_tokens_and_is_quick() {
    let home = home();
    let begun = Instant::now();
    let mut first = real(&home, &[]).await;
    let first_start = begun.elapsed();
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

    let begun = Instant::now();
    let second = real(&home, &["--set", &listen]).await;
    let second_start = begun.elapsed();
    println!("ready after {first_start:?}, the second time after {second_start:?}");
    assert!(second_start < Duration::from_secs(10), "{second_start:?}");
    assert_eq!(fs::read_to_string(second.demo_file()).unwrap(), demo);
    let client = Client::new(second.base_url(), token.access_token.into());
    assert_eq!(client.models().await.unwrap().data.len(), 3);
    second.client().models().await.unwrap();
}
