//! Who calls, over an auth service that changes its mind and goes away.

mod changes;
mod outage;
mod tokens;

use std::sync::Arc;

use fathom_kit::shutdown::Shutdown;
use futures::future::join_all;
use tokio::task::yield_now;

use super::fake::{FakeAuth, principal};
use super::*;
use fathom_proto::identity::Scope;

const KEY: &str = "sk-0123456789abcdef0123456789abcdef-secret";

/// Identities that are kept up to date.
async fn watching(auth: &Arc<FakeAuth>) -> Identities {
    let identities = Identities::new(auth.clone(), &Config::default());
    let shutdown = Shutdown::new(Duration::from_secs(1));
    shutdown.spawn(identities.clone().keep_current(shutdown.clone()));
    while !identities.in_contact() || identities.key_set().is_none() {
        yield_now().await;
    }
    identities
}

/// Tells of a change, and waits until it is applied.
async fn tell(auth: &FakeAuth, identities: &Identities, change: fathom_proto::identity::Change) {
    let epoch = identities.0.subjects.epoch();
    auth.tell(change);
    while identities.0.subjects.epoch() == epoch {
        yield_now().await;
    }
}

async fn subject(identities: &Identities, bearer: &str) -> Result<String, Error> {
    let session = identities.authenticate(bearer.into()).await?;
    Ok(session.principal().subject.clone())
}

#[tokio::test(start_paused = true)]
async fn an_api_key_is_asked_for_once() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    for _ in 0..3 {
        assert_eq!(subject(&identities, KEY).await.unwrap(), "key");
    }
    assert_eq!(auth.state().authenticated, 1);
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_at_once_with_one_key_ask_once() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    auth.state().held = true;
    let callers = (0..50).map(|_| subject(&identities, KEY));
    let release = async {
        while auth.state().authenticated == 0 {
            yield_now().await;
        }
        auth.release.notify_one();
    };
    let (subjects, ()) = tokio::join!(join_all(callers), release);
    assert!(
        subjects
            .iter()
            .all(|subject| subject.as_deref() == Ok("key"))
    );
    assert_eq!(auth.state().authenticated, 1);
}

/// SEC-22: what two credentials share makes them nobody's but their own.
#[tokio::test(start_paused = true)]
async fn credentials_that_share_all_but_a_character_are_two_identities() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    auth.key(KEY, "original", &[Scope::Inference]);
    assert_eq!(subject(&identities, KEY).await.unwrap(), "original");
    for shared in 8..KEY.len() {
        let mut other = KEY.to_owned();
        other.replace_range(shared..=shared, "~");
        assert_eq!(
            subject(&identities, &other).await,
            Err(Refusal::Unknown.into()),
            "{shared} characters shared"
        );
        auth.key(&other, &other, &[Scope::Inference]);
        assert_eq!(subject(&identities, &other).await.unwrap(), other);
        let prefix = &KEY[..shared];
        assert!(subject(&identities, prefix).await.is_err());
    }
    assert_eq!(subject(&identities, KEY).await.unwrap(), "original");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_remembered() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let refused = Err(Refusal::Unknown.into());
    assert_eq!(subject(&identities, KEY).await, refused);
    auth.key(KEY, "key", &[Scope::Inference]);
    assert_eq!(subject(&identities, KEY).await.unwrap(), "key");
}

#[tokio::test(start_paused = true)]
async fn an_api_key_ends_at_its_second() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    for (ends_in, asked) in [(-1, 2), (0, 2), (1000, 1)] {
        let mut ending = principal("key", &[Scope::Inference]);
        ending.expires_at = Some(now() + ends_in);
        auth.state().credentials.insert(KEY.to_owned(), ending);
        auth.state().authenticated = 0;
        let change = fathom_proto::identity::Change::Subject("key".into());
        tell(&auth, &identities, change).await;
        for _ in 0..2 {
            subject(&identities, KEY).await.unwrap();
        }
        assert_eq!(auth.state().authenticated, asked, "{ends_in}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_too_long_is_not_even_asked_for() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let long = "a".repeat(MAX_CREDENTIAL_BYTES + 1);
    let refused = Err(Refusal::TooLong.into());
    assert_eq!(subject(&identities, &long).await, refused);
    assert_eq!(auth.state().authenticated, 0);
}

#[tokio::test(start_paused = true)]
async fn the_cache_does_not_grow_past_its_bound() {
    let auth = FakeAuth::new();
    let config = Config {
        identity_cache_entries: 10,
        ..Config::default()
    };
    let identities = Identities::new(auth.clone(), &config);
    for i in 0..1000 {
        let key = format!("sk-{i}");
        auth.key(&key, &key, &[Scope::Inference]);
        subject(&identities, &key).await.unwrap();
    }
    identities.0.credentials.run_pending_tasks().await;
    assert!(identities.0.credentials.entry_count() <= 10);
}
