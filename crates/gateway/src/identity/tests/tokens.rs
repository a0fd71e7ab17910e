//! Access tokens, verified here.

use fathom_proto::ErrorCode;
use fathom_proto::identity::{Change, ModelAccess};
use fathom_token::{Refusal as Jwt, times};
use tokio::time::timeout;

use super::super::fake::{claims, token};
use super::*;

async fn outcome(identities: &Identities, bearer: SecretString) -> Result<Session, Refusal> {
    match identities.authenticate(bearer).await {
        Ok(session) => Ok(session),
        Err(Error::Refused(refusal)) => Err(refusal),
        Err(error @ Error::Unavailable { .. }) => panic!("{error}"),
    }
}

#[track_caller]
fn assert_refused(outcome: Result<Session, Refusal>, refusal: Refusal) {
    assert_eq!(outcome.err(), Some(refusal));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_verified_here_and_narrows_what_its_client_may_do() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    for jti in ["1", "2", "2"] {
        let session = outcome(&identities, token("a", &claims(jti)))
            .await
            .unwrap();
        let principal = session.principal();
        assert_eq!(principal.subject, "client");
        assert_eq!(principal.scopes, [Scope::Inference].into_iter().collect());
    }
    let state = auth.state();
    assert_eq!((state.authenticated, state.described), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_verify_is_refused_and_not_asked_for() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let good = claims("1");
    let mut old = good.clone();
    (old.iat, old.exp) = (now() - 7200, now() - times::SKEW - 1);
    let mut foreign = good.clone();
    foreign.aud = "https://elsewhere.example.com".into();
    let mut moved = good.clone();
    moved.tenant = "another".into();
    let mut mighty = good.clone();
    mighty.scope = "root".into();
    let secret = token("a", &good);
    let text = secret.expose_secret();
    let cut = &text[..text.rfind('.').unwrap() + 1];
    for (bearer, refusal) in [
        (token("a", &old), Jwt::Times.into()),
        (token("a", &foreign), Jwt::Audience.into()),
        (token("a", &mighty), Jwt::NoScope.into()),
        (token("a", &moved), Refusal::Tenant),
        (token("unheard of", &good), Jwt::UnknownKey.into()),
        (cut.into(), Jwt::Signature.into()),
    ] {
        assert_refused(outcome(&identities, bearer).await, refusal);
    }
    assert_eq!(auth.state().authenticated, 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_what_its_client_may_still_do() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let bearer = token("a", &claims("1"));
    assert!(outcome(&identities, bearer.clone()).await.is_ok());
    let narrowed = principal("client", &[Scope::ModelsRead]);
    auth.state().clients.insert("client".into(), narrowed);
    tell(&auth, &identities, Change::Subject("client".into())).await;
    assert_refused(outcome(&identities, bearer.clone()).await, Refusal::Ended);
    auth.state().clients.clear();
    tell(&auth, &identities, Change::Tenant("tenant".into())).await;
    assert_refused(outcome(&identities, bearer).await, Refusal::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_refused_and_its_sisters_are_not() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let [bad, good] = ["1", "2"].map(|jti| token("a", &claims(jti)));
    assert!(outcome(&identities, bad.clone()).await.is_ok());
    let revoked = Change::Token {
        id: "1".into(),
        subject: "client".into(),
        expires_at: now() + 3600,
    };
    tell(&auth, &identities, revoked).await;
    assert_refused(outcome(&identities, bad).await, Refusal::Revoked);
    assert!(outcome(&identities, good).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn while_the_revoked_tokens_are_not_all_told_new_ones_are_asked_for() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let bearer = token("a", &claims("1"));
    identities.0.revoked.clear();
    assert_refused(outcome(&identities, bearer.clone()).await, Refusal::Unknown);
    assert_eq!(auth.state().authenticated, 1);
    // The next heartbeat says that auth has caught up.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(outcome(&identities, bearer).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_sends_to_auth_once_in_ten_seconds() {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let before = auth.state().key_sets;
    let asks = (0..20).map(|i| outcome(&identities, token(&format!("k{i}"), &claims("1"))));
    assert!(join_all(asks).await.iter().all(Result::is_err));
    assert_eq!(auth.state().key_sets, before + 1);
    auth.state().keys.push("b");
    let bearer = token("b", &claims("1"));
    assert_refused(
        outcome(&identities, bearer.clone()).await,
        Jwt::UnknownKey.into(),
    );
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(outcome(&identities, bearer).await.is_ok());
    assert_eq!(auth.state().key_sets, before + 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_retired_takes_its_tokens_along() {
    let auth = FakeAuth::new();
    auth.state().keys.push("b");
    let identities = watching(&auth).await;
    let [old, new] = ["a", "b"].map(|kid| token(kid, &claims(kid)));
    assert!(outcome(&identities, old.clone()).await.is_ok());
    auth.state().keys.remove(0);
    tell(&auth, &identities, Change::SigningKeys).await;
    assert_refused(outcome(&identities, old).await, Jwt::UnknownKey.into());
    assert!(outcome(&identities, new).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_a_key_set_tokens_are_asked_for() {
    let auth = FakeAuth::new();
    let identities = Identities::new(auth.clone(), &Config::default());
    let bearer = token("a", &claims("1"));
    let known = principal("client", &[Scope::Inference]);
    let text = bearer.expose_secret().to_owned();
    auth.state().credentials.insert(text, known);
    assert!(outcome(&identities, bearer).await.is_ok());
    assert_eq!(auth.state().authenticated, 1);
}

/// What a stream that was begun with a token in time hears, which is over by now, when something
/// changes; `None`: it goes on.
async fn heard_after_the_end(change: impl FnOnce(&FakeAuth) -> Change) -> Option<ErrorCode> {
    let auth = FakeAuth::new();
    let identities = watching(&auth).await;
    let over_at = now() + 2;
    let mut short = claims("1");
    (short.iat, short.exp) = (over_at - 3600, over_at - times::SKEW);
    let bearer = token("a", &short);
    let session = outcome(&identities, bearer.clone()).await.unwrap();
    // The time of tokens is not that of this test, which stands still.
    while now() < over_at {
        yield_now().await;
    }
    assert_refused(outcome(&identities, bearer).await, Jwt::Times.into());
    let ended = session.ended(Scope::Inference, Some("m".into()));
    tokio::pin!(ended);
    let change = change(&auth);
    tell(&auth, &identities, change).await;
    let heard = timeout(Duration::from_secs(5), &mut ended).await;
    heard.ok().map(|error| error.code)
}

fn revoked(jti: &str) -> Change {
    Change::Token {
        id: jti.into(),
        subject: "client".into(),
        expires_at: now() + 3600,
    }
}

/// What was begun in time may be finished, whatever else happens to its client.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_is_not_held_against_its_stream() {
    let subject = || Change::Subject("client".into());
    for (why, change) in [
        ("a sister is revoked", revoked("2")),
        ("a limit is edited", subject()),
        ("the tenant is edited", Change::Tenant("tenant".into())),
        ("auth begins anew", Change::Everything),
    ] {
        assert_eq!(heard_after_the_end(|_| change).await, None, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_can_be_revoked_all_the_same() {
    let subject = || Change::Subject("client".into());
    let unauthenticated = Some(ErrorCode::Unauthenticated);
    assert_eq!(heard_after_the_end(|_| revoked("1")).await, unauthenticated);
    let without_client = heard_after_the_end(|auth| {
        auth.state().clients.clear();
        subject()
    });
    assert_eq!(without_client.await, unauthenticated);
    let without_key = heard_after_the_end(|auth| {
        auth.state().keys = vec!["b"];
        Change::SigningKeys
    });
    assert_eq!(without_key.await, unauthenticated);
    let without_models = heard_after_the_end(|auth| {
        let mut narrowed = principal("client", &Scope::ALL);
        narrowed.models = ModelAccess::Only(["other".into()].into());
        auth.state().clients.insert("client".into(), narrowed);
        subject()
    });
    assert_eq!(without_models.await, Some(ErrorCode::ModelNotFound));
}
