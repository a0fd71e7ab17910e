use fathom_proto::ErrorCode;
use secrecy::ExposeSecret as _;

use crate::harness::{Database, Home, TENANT, now, on_both_databases, scopes};

on_both_databases!(
    a_key_leads_to_its_tenant_and_scopes,
    anything_but_the_whole_key_is_refused,
    a_key_ends_when_it_expires_or_it_or_its_tenant_is_disabled,
    a_broken_database_lets_nobody_in,
);

async fn a_key_leads_to_its_tenant_and_scopes(database: Database) {
    let home = Home::on(database).await;
    let end = now() + 60;
    let key = home.api_key(Some(end)).await;
    let principal = home.authenticate(key.expose_secret()).await.unwrap();
    assert_eq!(principal.tenant.as_str(), TENANT);
    assert_eq!(principal.scopes, scopes());
    assert_eq!(principal.expires_at, Some(end));
    assert!(
        key.expose_secret().contains(&principal.subject),
        "the id alone is named"
    );
}

/// Part of SEC-21 and SEC-22: what is almost a key, and what is none at all.
async fn anything_but_the_whole_key_is_refused(database: Database) {
    let home = Home::on(database).await;
    let (one, other) = (home.api_key(None).await, home.api_key(None).await);
    let (one, other) = (one.expose_secret(), other.expose_secret());
    let (id, secret) = one.strip_prefix("sk-").unwrap().split_once('-').unwrap();
    let (other_id, other_secret) = other.strip_prefix("sk-").unwrap().split_once('-').unwrap();
    for bearer in [
        String::new(),
        "sk-".to_owned(),
        "sk--".to_owned(),
        format!("sk-{id}"),
        format!("sk-{id}-"),
        format!("sk-{other_id}-{secret}"),
        format!("sk-{id}-{other_secret}"),
        format!("sk-{}-{secret}", "0".repeat(32)),
        format!("sk-{}-{secret}", id.to_uppercase()),
        format!("SK-{id}-{secret}"),
        format!("{one} "),
        format!(" {one}"),
        format!("{one}\n"),
        format!("{one}="),
        format!("Bearer {one}"),
        one[..one.len() - 1].to_owned(),
        format!("sk-' OR '1'='1-{secret}"),
        format!("sk-{id}'--{secret}"),
        format!("sk-{id}\0-{secret}"),
        format!("sk-\u{202e}{id}-{secret}"),
        format!("sk-{id}-{}", "a".repeat(9_000)),
        "a".repeat(1024 * 1024),
    ] {
        let shown: String = bearer.chars().take(16).collect();
        home.assert_refused(&bearer, &format!("{shown:?}…, {} bytes", bearer.len()))
            .await;
    }
    home.authenticate(one).await.unwrap();
}

/// Part of SEC-4: no flip of bits in a good key is a good key.
#[tokio::test]
async fn a_key_with_a_flipped_bit_is_refused() {
    let home = Home::new().await;
    let key = home.api_key(None).await;
    let key = key.expose_secret().as_bytes();
    for bit in 0..key.len() * 8 {
        let mut flipped = key.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = String::from_utf8(flipped) {
            home.assert_refused(&flipped, &format!("bit {bit} flipped"))
                .await;
        }
    }
}

/// Part of SEC-12.
async fn a_key_ends_when_it_expires_or_it_or_its_tenant_is_disabled(database: Database) {
    let home = Home::on(database).await;
    let expired = home.api_key(Some(now() + 60)).await;
    home.sql("UPDATE api_keys SET expires_at = 1").await;
    home.assert_refused(expired.expose_secret(), "an expired key")
        .await;

    let key = home.api_key(None).await;
    home.authenticate(key.expose_secret()).await.unwrap();
    home.sql("UPDATE api_keys SET disabled_at = 1").await;
    home.assert_refused(key.expose_secret(), "a disabled key")
        .await;

    let key = home.api_key(None).await;
    home.sql("UPDATE tenants SET disabled_at = 1").await;
    home.assert_refused(key.expose_secret(), "a disabled tenant's key")
        .await;
    home.sql("UPDATE tenants SET disabled_at = NULL, expires_at = 1")
        .await;
    home.assert_refused(key.expose_secret(), "an expired tenant's key")
        .await;
}

/// Part of SEC-24: what cannot be checked is not let in, and is no refusal either.
async fn a_broken_database_lets_nobody_in(database: Database) {
    let home = Home::on(database).await;
    let key = home.api_key(None).await;
    home.sql("UPDATE api_keys SET scopes = 'inference everything'")
        .await;
    let error = home.authenticate(key.expose_secret()).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::Internal, "internal error")
    );

    home.pool.close().await;
    let error = home.authenticate(key.expose_secret()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(!format!("{error:?}").contains(key.expose_secret()));
}
