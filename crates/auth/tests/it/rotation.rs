use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fathom_auth::keyring::{List, prepend, remove};
use fathom_auth::{Actor, Auth, Error, KeyRingSource};
use fathom_kit::shutdown::Shutdown;
use fathom_proto::ErrorCode;
use fathom_proto::administration::NewClient;
use fathom_proto::identity::Identity as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::{JoinSet, yield_now};

use crate::at_rest::dump;
use crate::harness::{
    ClientCredentials, Database, Home, new_client, new_key, now, on_both_databases, self_signed,
    token,
};

on_both_databases!(keys_are_replaced_under_load_without_a_failure);

/// Uses every kind of credential until told to stop. Counts how often, and fails with the first
/// failure.
async fn load(
    auth: Auth,
    key: SecretString,
    client: ClientCredentials,
    stop: Arc<AtomicBool>,
) -> usize {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        auth.authenticate(key.clone()).await.unwrap();
        let token = token(&auth, &client).await.unwrap();
        auth.authenticate(token).await.unwrap();
        let own = self_signed(&client, now(), now() + 60);
        auth.authenticate(own.into()).await.unwrap();
        rounds += 1;
        yield_now().await;
    }
    rounds
}

async fn ids(home: &Home, column: &'static str) -> Vec<String> {
    sqlx::query_scalar(column)
        .fetch_all(&home.pool)
        .await
        .unwrap()
}

const PEPPERS: &str = "SELECT DISTINCT pepper_id FROM api_keys";
const MASTERS: &str = "SELECT key_id FROM client_secrets WHERE key_id IS NOT NULL \
     UNION SELECT key_id FROM signing_keys";

/// SEC-42: prepend, rewrap and remove, by another process than those that serve.
async fn keys_are_replaced_under_load_without_a_failure(database: Database) {
    let home = Home::on(database).await;
    let KeyRingSource::File(path) = &home.config.key_ring else {
        panic!("the key ring is a file")
    };
    let shutdown = Shutdown::new(Duration::from_secs(5));
    shutdown.spawn(home.auth.clone().keep_current(shutdown.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let (key, client) = (home.api_key(None).await, home.client(true).await);
        tasks.spawn(load(home.auth.clone(), key, client, Arc::clone(&stop)));
    }
    let old: Vec<String> = [ids(&home, MASTERS).await, ids(&home, PEPPERS).await].concat();
    assert_eq!(old.len(), 2);

    let master = prepend(path, List::Master).await.unwrap();
    let pepper = prepend(path, List::Pepper).await.unwrap();
    // API keys move by their use; the service that moves them has read the new keys.
    while ids(&home, PEPPERS).await != [pepper.as_str()] {
        yield_now().await;
    }
    let operator = home.another().await;
    let actor = Actor::Operator("ops".to_owned());
    let error = remove(path, &old[0], &operator.key_ids_in_use().await.unwrap()).await;
    assert!(matches!(error, Err(Error::KeyStays { .. })), "{error:?}");
    let rewrapped = operator.rewrap(&actor).await.unwrap();
    assert_eq!((rewrapped.client_secrets, rewrapped.signing_keys), (2, 1));
    assert_eq!(ids(&home, MASTERS).await, [master]);

    for id in &old {
        let in_use = operator.key_ids_in_use().await.unwrap();
        remove(path, id, &in_use).await.unwrap();
    }
    // A service that starts now has the new keys alone.
    let fresh = home.another().await;
    let (key, client) = (home.api_key(None).await, home.client(true).await);
    fresh.authenticate(key).await.unwrap();
    token(&fresh, &client).await.unwrap();

    // Nor does the service need an old key for what nobody has.
    let nobody = ClientCredentials {
        id: "0".repeat(32),
        ..client
    };
    let error = home.token(&nobody).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    let own = self_signed(&nobody, now(), now() + 60);
    home.assert_refused(&own, "nobody's bearer").await;

    stop.store(true, Ordering::Relaxed);
    for rounds in tasks.join_all().await {
        assert!(rounds > 0);
    }
    shutdown.drain().await;
    let dump = dump(&home).await;
    for id in &old {
        assert!(!dump.contains(id.as_str()), "{id}");
    }
    assert!(dump.contains(pepper.as_str()));
}

/// SEC-42: the service that makes a value and the one that reads it need not have read the key
/// ring at the same time.
#[tokio::test]
async fn a_service_reads_what_is_under_a_key_that_it_has_not_seen() {
    let home = Home::new().await;
    let KeyRingSource::File(path) = &home.config.key_ring else {
        panic!("the key ring is a file")
    };
    prepend(path, List::Master).await.unwrap();
    prepend(path, List::Pepper).await.unwrap();
    let newer = home.another().await;
    let key = newer.create_key(&Actor::System, new_key()).await.unwrap();
    let key = key.secret.unwrap();
    home.authenticate(key.expose_secret()).await.unwrap();

    prepend(path, List::Master).await.unwrap();
    let newest = home.another().await;
    let client = NewClient {
        self_signed_bearer: true,
        ..new_client()
    };
    let client = newest.create_client(&Actor::System, client).await.unwrap();
    home.token(&client.into()).await.unwrap();
}
