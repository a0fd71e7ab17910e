//! What happens to answers and open streams when something changes.

use fathom_proto::ErrorCode;
use fathom_proto::identity::{Change, ModelAccess};
use tokio::time::{sleep, timeout};

use super::super::look_up::TRIES;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_change_is_asked_for_and_what_it_does_not_touch_is_not() {
    let auth = FakeAuth::new();
    auth.key("sk-1", "one", &[Scope::Inference]);
    auth.key("sk-2", "two", &[Scope::Inference]);
    let identities = watching(&auth).await;
    let both = async || {
        for key in ["sk-1", "sk-2"] {
            subject(&identities, key).await.unwrap();
        }
        std::mem::take(&mut auth.state().authenticated)
    };
    assert_eq!(both().await, 2);
    assert_eq!(both().await, 0);
    tell(&auth, &identities, Change::Subject("one".into())).await;
    assert_eq!(both().await, 1);
    tell(&auth, &identities, Change::Tenant("tenant".into())).await;
    assert_eq!(both().await, 2);
    tell(&auth, &identities, Change::Everything).await;
    assert_eq!(both().await, 2);
    auth.state().credentials.remove("sk-1");
    tell(&auth, &identities, Change::Subject("one".into())).await;
    let refused = Err(Refusal::Unknown.into());
    assert_eq!(subject(&identities, "sk-1").await, refused);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_change_overtakes_is_asked_for_again() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    auth.state().held = true;
    let disable = async {
        while auth.state().authenticated == 0 {
            yield_now().await;
        }
        auth.state().credentials.clear();
        tell(&auth, &identities, Change::Subject("key".into())).await;
        auth.state().held = false;
        auth.release.notify_one();
    };
    let (answer, ()) = tokio::join!(subject(&identities, KEY), disable);
    assert_eq!(answer, Err(Refusal::Unknown.into()));
    assert_eq!(auth.state().authenticated, 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_always_overtaken_is_good_for_once() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    auth.state().held = true;
    let churn = async {
        for asked in 1..=TRIES {
            while auth.state().authenticated < asked {
                yield_now().await;
            }
            tell(&auth, &identities, Change::Subject("key".into())).await;
            auth.release.notify_one();
        }
    };
    let (answer, ()) = tokio::join!(subject(&identities, KEY), churn);
    assert_eq!(answer.unwrap(), "key");
    auth.state().held = false;
    subject(&identities, KEY).await.unwrap();
    assert_eq!(auth.state().authenticated, TRIES + 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_through_changes_that_leave_it_its_rights() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    let session = identities.authenticate(KEY.into()).await.unwrap();
    let ended = session.ended(Scope::Inference, Some("m".into()));
    tokio::pin!(ended);
    for change in [Change::Subject("key".into()), Change::Everything] {
        tell(&auth, &identities, change).await;
        assert!(timeout(Duration::from_secs(5), &mut ended).await.is_err());
    }
    assert_eq!(auth.state().authenticated, 3);
    let mut narrowed = principal("key", &[Scope::Inference]);
    narrowed.models = ModelAccess::Only(["other".into()].into());
    auth.state().credentials.insert(KEY.to_owned(), narrowed);
    tell(&auth, &identities, Change::Subject("key".into())).await;
    let error = timeout(Duration::from_secs(1), ended).await.unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_identity_or_its_scope() {
    for (remains, code) in [
        (None, ErrorCode::Unauthenticated),
        (Some(Scope::ModelsRead), ErrorCode::PermissionDenied),
    ] {
        let auth = FakeAuth::new();
        auth.key(KEY, "key", &[Scope::Inference]);
        let identities = watching(&auth).await;
        let session = identities.authenticate(KEY.into()).await.unwrap();
        auth.state().credentials.clear();
        if let Some(scope) = remains {
            auth.key(KEY, "key", &[scope]);
        }
        tell(&auth, &identities, Change::Subject("key".into())).await;
        let ended = session.ended(Scope::Inference, None);
        let error = timeout(Duration::from_secs(1), ended).await.unwrap();
        assert_eq!(error.code, code);
    }
}

/// What the cache lets go of is still found by a change.
#[tokio::test(start_paused = true)]
async fn a_stream_whose_answer_left_the_cache_ends_too() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    let session = identities.authenticate(KEY.into()).await.unwrap();
    identities.0.credentials.invalidate_all();
    identities.0.credentials.run_pending_tasks().await;
    auth.state().credentials.clear();
    auth.tell(Change::Tenant("tenant".into()));
    let ended = session.ended(Scope::Inference, None);
    let error = timeout(Duration::from_secs(1), ended).await.unwrap();
    assert_eq!(error.code, ErrorCode::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_goes_on_where_it_was() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    tell(&auth, &identities, Change::Subject("other".into())).await;
    auth.go_down();
    sleep(Duration::from_secs(10)).await;
    assert!(!identities.in_contact());
    auth.come_back();
    sleep(Duration::from_secs(3)).await;
    assert!(identities.in_contact());
    assert_eq!(auth.state().watched, [Some(0), Some(1)]);
}

/// A caller that stays connected has the rights that it has now.
#[tokio::test(start_paused = true)]
async fn a_caller_that_stays_gains_what_its_identity_gains() {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let identities = watching(&auth).await;
    let session = identities.authenticate(KEY.into()).await.unwrap();
    let (current, _) = tokio::sync::watch::channel(session);
    let over = Session::over(&current, Scope::Inference);
    tokio::pin!(over);
    auth.key(KEY, "key", &[Scope::Inference, Scope::ModelsRead]);
    tell(&auth, &identities, Change::Subject("key".into())).await;
    assert!(timeout(Duration::from_secs(1), &mut over).await.is_err());
    let now = current.borrow().principal().scopes;
    assert_eq!(
        now,
        [Scope::Inference, Scope::ModelsRead].into_iter().collect()
    );
    auth.key(KEY, "key", &[Scope::ModelsRead]);
    tell(&auth, &identities, Change::Subject("key".into())).await;
    let error = timeout(Duration::from_secs(1), over).await.unwrap();
    assert_eq!(error.code, ErrorCode::PermissionDenied);
}
