use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fathom_auth::{Auth, Error};
use secrecy::ExposeSecret as _;

use crate::harness::{Home, now, self_signed};

/// Part of SEC-42: who reads the database's files learns no secret. An Ed25519 key in clear would
/// be found by trying every 32 bytes as its seed.
#[tokio::test]
async fn the_database_holds_no_secret_in_clear() {
    let home = Home::new().await;
    let client = home.client(true).await;
    let key = home.api_key(None).await;
    let token = home.token(&client).await.unwrap();
    home.authenticate(&self_signed(&client, now(), now() + 60))
        .await
        .unwrap();
    let (public_key,): (String,) = sqlx::query_as("SELECT public_key FROM signing_keys")
        .fetch_one(&home.pool)
        .await
        .unwrap();
    // The id has no hyphen, the secret may have some.
    let key_secret = key.expose_secret().splitn(3, '-').nth(2).unwrap();
    let client_secret = client.secret.expose_secret();
    // The pool stays open: its files come and go while it closes.
    let mut bytes = Vec::new();
    for entry in fs::read_dir(home.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("fathom.db") {
            bytes.extend(fs::read(entry.path()).unwrap());
        }
    }
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(holds(client.id.as_bytes()), "the scan finds what is there");
    assert!(holds(public_key.as_bytes()), "the scan finds what is there");
    for text in [
        client_secret,
        key_secret,
        key.expose_secret(),
        token.expose_secret(),
    ] {
        assert!(!holds(text.as_bytes()));
        if let Ok(decoded) = URL_SAFE_NO_PAD.decode(text) {
            assert!(!holds(&decoded));
        }
    }
    let public_key = URL_SAFE_NO_PAD.decode(public_key).unwrap();
    // PKCS #8 puts the seed behind these four bytes, in clear or in base64url.
    assert!(!holds(b"\x04\x22\x04\x20"));
    for run in bytes.split(|b| !b.is_ascii_alphanumeric() && !b"-_".contains(b)) {
        let clear = URL_SAFE_NO_PAD.decode(run).unwrap_or_default();
        assert!(Ed25519KeyPair::from_pkcs8(&clear).is_err());
        let pair = Ed25519KeyPair::from_seed_unchecked(&clear);
        assert!(pair.is_err() || pair.unwrap().public_key().as_ref() != public_key);
    }
}

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let home = Home::new().await;
    let client = home.client(true).await;
    let ring = fs::read_to_string(&home.config.key_ring).unwrap();
    let printed = format!("{:?} {client:?}", home.auth);
    assert!(!printed.contains(client.secret.expose_secret()));
    for key in ring
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"key\": "))
    {
        assert!(!printed.contains(key.trim_matches('"')));
    }
}

#[tokio::test]
async fn the_key_ring_is_private_and_the_databases_own() {
    let home = Home::new().await;
    let path = &home.config.key_ring;
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let open = || Auth::open(home.config.clone(), home.pool.clone());
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = open().await.unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");

    fs::remove_file(path).unwrap();
    let error = open().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::DoesNotOpen {
                table: "signing_keys",
                ..
            }
        ),
        "{error}"
    );
}

/// Part of SEC-42: a sealed secret that is put into another client's row opens nothing.
#[tokio::test]
async fn a_sealed_secret_cannot_be_moved() {
    let home = Home::new().await;
    let (one, other) = (home.client(false).await, home.client(false).await);
    sqlx::query(
        "UPDATE client_secrets SET sealed = (SELECT sealed FROM client_secrets WHERE client_id = $1)",
    )
    .bind(&one.id)
    .execute(&home.pool)
    .await
    .unwrap();
    home.token(&one).await.unwrap();
    let error = home.token(&other).await.unwrap_err();
    assert_eq!(error.message, "internal error");
}
