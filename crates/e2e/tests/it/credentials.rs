//! Three kinds of bearer, and what is refused.

use std::time::{SystemTime, UNIX_EPOCH};

use fathom_client::{Client, Error, fetch_token};
use fathom_e2e::Cluster;
use jsonwebtoken::{EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::in_both_wirings;
use crate::requests::chat;

/// The document's `generate_jwt`.
pub fn self_signed(client_id: &str, secret: &str, lifetime: u64) -> SecretString {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({"iss": client_id, "iat": now, "exp": now + lifetime});
    encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
    .into()
}

async fn status_of(cluster: &Cluster, bearer: impl Into<SecretString>) -> u16 {
    match Client::new(cluster.base_url.clone(), bearer.into())
        .chat(&chat("hi"))
        .await
    {
        Ok(_) => 200,
        Err(Error::Refused { status, .. }) => status,
        Err(other) => panic!("{other:?}"),
    }
}

in_both_wirings! {
    async fn each_kind_of_bearer_is_known(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let (id, secret) = (&cluster.demo.client_id, &cluster.demo.client_secret);
        assert_eq!(status_of(&cluster, cluster.demo.api_key.clone()).await, 200);
        let token = fetch_token(&cluster.base_url, id, secret).await.unwrap();
        assert_eq!((token.token_type.as_str(), token.expires_in), ("Bearer", 3600));
        assert_eq!(status_of(&cluster, token.access_token).await, 200);
        let signed = self_signed(id, secret.expose_secret(), 3600);
        assert_eq!(status_of(&cluster, signed).await, 200);
    }

    async fn what_is_nobodys_is_401(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let (id, secret) = (&cluster.demo.client_id, cluster.demo.client_secret.expose_secret());
        let key = cluster.demo.api_key.expose_secret();
        for (why, bearer) in [
            ("unknown", "sk-unknown".into()),
            ("a prefix of a key", key[..key.len() - 1].into()),
            ("a key with more", format!("{key}x").into()),
            ("a secret is no bearer", secret.into()),
            ("signed with another secret", self_signed(id, &"x".repeat(32), 60)),
            ("of another client", self_signed("other", secret, 60)),
            ("lives too long", self_signed(id, secret, 3601 + 60)),
            ("no token at all", "a.b.c".into()),
            ("SQL (part of SEC-21)", "' OR '1'='1".into()),
        ] {
            let bearer: SecretString = bearer;
            assert_eq!(status_of(&cluster, bearer).await, 401, "{why}");
        }
    }

    async fn a_wrong_secret_gets_no_token(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let wrong = "x".repeat(43).into();
        for id in [cluster.demo.client_id.as_str(), "nobody"] {
            let error = fetch_token(&cluster.base_url, id, &wrong).await.err().unwrap();
            assert!(matches!(error, Error::Refused { status: 401, .. }), "{error:?}");
        }
    }
}
