//! What holds while auth is away, and before it was first heard.

use fathom_proto::ErrorCode;
use fathom_proto::identity::Change;
use tokio::time::{Instant, sleep, timeout};

use super::super::contact::SILENCE;
use super::super::fake::{claims, token};
use super::*;

const UNAVAILABLE: Error = Error::Unavailable { retry_after: None };

#[tokio::test(start_paused = true)]
async fn known_callers_are_trusted_for_the_grace_and_unknown_ones_are_told_to_come_again() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    auth.key("sk-new", "new", &[Scope::Inference]);
    let identities = watching(&auth).await;
    let bearer = token("a", &claims("1"));
    let bearer = bearer.expose_secret();
    for known in [KEY, bearer] {
        subject(&identities, known).await.unwrap();
    }
    auth.go_down();
    // A client that is known is known for its new tokens too.
    let another = token("a", &claims("2"));
    sleep(SILENCE + Duration::from_secs(55)).await;
    for known in [KEY, bearer, another.expose_secret()] {
        assert!(subject(&identities, known).await.is_ok());
    }
    assert_eq!(subject(&identities, "sk-new").await, Err(UNAVAILABLE));
    sleep(Duration::from_secs(6)).await;
    for known in [KEY, bearer, another.expose_secret()] {
        assert_eq!(subject(&identities, known).await, Err(UNAVAILABLE));
    }
    auth.come_back();
    assert_eq!(subject(&identities, KEY).await.unwrap(), "key");
}

#[tokio::test(start_paused = true)]
async fn before_auth_was_heard_every_request_is_asked_for() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = Identities::new(auth.clone(), &Config::default());
    for asked in 1..=3 {
        subject(&identities, KEY).await.unwrap();
        assert_eq!(auth.state().authenticated, asked);
    }
}

/// What was revoked while nobody listened is not known here.
#[tokio::test(start_paused = true)]
async fn without_trust_an_access_token_is_asked_for() {
    let auth = FakeAuth::new();
    let identities = Identities::new(auth.clone(), &Config::default());
    identities.0.fetch_keys().await.unwrap();
    identities.0.revoked.told();
    let bearer = token("a", &claims("1"));
    let refused = Err(Refusal::Unknown.into());
    assert_eq!(subject(&identities, bearer.expose_secret()).await, refused);
    assert_eq!(auth.state().authenticated, 1);
}

#[tokio::test(start_paused = true)]
async fn an_auth_that_hangs_is_waited_for_no_longer_than_allowed() {
    let auth = FakeAuth::new();
    auth.state().held = true;
    let identities = watching(&auth).await;
    let begun = Instant::now();
    assert_eq!(subject(&identities, KEY).await, Err(UNAVAILABLE));
    assert_eq!(begun.elapsed(), Config::default().call_timeout);
}

#[tokio::test(start_paused = true)]
async fn an_open_stream_outlives_a_short_outage_and_not_the_grace() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    let session = identities.authenticate(KEY.into()).await.unwrap();
    let ended = session.ended(Scope::Inference, None);
    tokio::pin!(ended);
    let grace = Config::default().identity_grace;
    auth.go_down();
    assert!(timeout(grace, &mut ended).await.is_err());
    auth.come_back();
    assert!(timeout(grace, &mut ended).await.is_err());
    auth.go_down();
    let error = timeout(SILENCE + grace + Duration::from_secs(2), ended).await;
    assert_eq!(error.unwrap().code, ErrorCode::Unavailable);
}

/// An auth that speaks and does not answer must not keep a stream alive for ever.
#[tokio::test(start_paused = true)]
async fn a_stream_that_must_ask_and_gets_no_answer_ends_with_the_grace() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    let session = identities.authenticate(KEY.into()).await.unwrap();
    let ended = session.ended(Scope::Inference, None);
    tokio::pin!(ended);
    tell(&auth, &identities, Change::Subject("key".into())).await;
    auth.state().down = true;
    let grace = Config::default().identity_grace;
    assert!(
        timeout(grace - Duration::from_secs(1), &mut ended)
            .await
            .is_err()
    );
    let error = timeout(Duration::from_secs(5), ended).await.unwrap();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(identities.in_contact());
}
