use std::time::Duration;

use fathom_auth::Actor;
use fathom_proto::administration::{ApiKeyPatch, TenantPatch};
use fathom_proto::identity::{
    Change, ChangeStream, Identity as _, Limit, LimitTarget, Limits, Notice,
};
use futures::StreamExt as _;
use tokio::time::timeout;

use crate::harness::{Database, Home, TENANT, new_client, new_key, now, on_both_databases};

on_both_databases!(
    every_change_is_told_in_order_and_a_break_loses_none,
    a_change_of_another_process_is_told_within_a_second,
    who_starts_anew_is_told_of_revoked_tokens_first,
    who_cannot_go_on_is_told_to_ask_everything_again,
    there_is_silence_while_the_database_cannot_be_read,
    who_watches_hears_a_heartbeat_while_others_write,
);

async fn next(changes: &mut ChangeStream) -> Notice {
    let notice = timeout(Duration::from_secs(10), changes.next()).await;
    notice.unwrap().unwrap().unwrap()
}

/// The next notice that is no heartbeat.
async fn next_change(changes: &mut ChangeStream) -> Change {
    loop {
        if let Some(change) = next(changes).await.change {
            return change;
        }
    }
}

async fn revoke(home: &Home, id: &'static str, client: &str, expires_at: i64) {
    sqlx::query("INSERT INTO revoked_tokens (id, client_id, expires_at) VALUES ($1, $2, $3)")
        .bind(id)
        .bind(client)
        .bind(expires_at)
        .execute(&home.pool)
        .await
        .unwrap();
}

async fn every_change_is_told_in_order_and_a_break_loses_none(database: Database) {
    let home = Home::on(database).await;
    let auth = &home.auth;
    let mut changes = auth.watch_revocations(None).await.unwrap();
    let begun = next(&mut changes).await;
    assert!(begun.change.is_none() && begun.position > 0);

    let actor = Actor::Operator("ops".to_owned());
    let key = auth.create_key(&actor, new_key()).await.unwrap().made.id;
    let client = auth.create_client(&actor, new_client()).await.unwrap();
    let client = client.made.id;
    let off = ApiKeyPatch {
        disabled: Some(true),
        ..ApiKeyPatch::default()
    };
    auth.update_key(&actor, &key, off).await.unwrap();
    let secret = auth.add_client_secret(&actor, &client, Default::default());
    let secret = secret.await.unwrap().made.id;
    auth.remove_client_secret(&actor, &client, &secret)
        .await
        .unwrap();
    let target = LimitTarget {
        tenant: TENANT.into(),
        subject: Some(key.clone()),
        model: None,
    };
    let of_tenant = LimitTarget {
        subject: None,
        ..target.clone()
    };
    let limits = Limits {
        concurrent_requests: Some(1),
        ..Limits::default()
    };
    for target in [target, of_tenant.clone()] {
        let limit = Limit { target, limits };
        auth.set_limit(&actor, limit).await.unwrap();
    }
    auth.remove_limit(&actor, of_tenant).await.unwrap();
    let renamed = TenantPatch {
        name: Some("Other".to_owned()),
        ..TenantPatch::default()
    };
    auth.update_tenant(&actor, TENANT, renamed).await.unwrap();

    let tenant = || Change::Tenant(TENANT.into());
    let expected = [
        Change::Subject(key.clone()),
        Change::Subject(client.clone()),
        Change::Subject(client),
        Change::Subject(key),
        tenant(),
        tenant(),
        tenant(),
    ];
    for change in &expected {
        assert_eq!(next_change(&mut changes).await, *change);
    }
    let mut again = auth.watch_revocations(Some(begun.position)).await.unwrap();
    // The first two rows made a key and a client, which nobody can know yet; a notice for them
    // would say that there is nothing more to come.
    for (position, change) in (begun.position + 3..).zip(&expected) {
        let notice = next(&mut again).await;
        assert_eq!(
            (notice.position, notice.change.as_ref()),
            (position, Some(change))
        );
    }
    let caught_up = next(&mut again).await;
    assert_eq!(
        (caught_up.position, caught_up.change),
        (begun.position + 9, None)
    );
}

/// SEC-20: rows that nobody has to be told of do not make a gateway think that auth is gone.
async fn who_watches_hears_a_heartbeat_while_others_write(database: Database) {
    let home = Home::on(database).await;
    let mut changes = home.auth.watch_revocations(None).await.unwrap();
    next(&mut changes).await;
    let mut heard = 0;
    let write = async {
        for _ in 0..50 {
            home.api_key(None).await;
        }
    };
    tokio::pin!(write);
    loop {
        tokio::select! {
            () = &mut write => break,
            notice = next(&mut changes) => {
                assert_eq!(notice.change, None);
                heard += 1;
            }
        }
    }
    assert!(heard > 0, "not one heartbeat");
}

async fn a_change_of_another_process_is_told_within_a_second(database: Database) {
    let home = Home::on(database).await;
    let mut changes = home.auth.watch_revocations(None).await.unwrap();
    next(&mut changes).await;
    let other = home.another().await;
    let off = TenantPatch {
        disabled: Some(true),
        ..TenantPatch::default()
    };
    other
        .update_tenant(&Actor::System, TENANT, off)
        .await
        .unwrap();
    let told = timeout(Duration::from_secs(1), next_change(&mut changes)).await;
    assert_eq!(told.unwrap(), Change::Tenant(TENANT.into()));
}

async fn who_starts_anew_is_told_of_revoked_tokens_first(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let end = now() + 600;
    revoke(&home, "a", &client.id, end).await;
    revoke(&home, "b", &client.id, end).await;
    // A clock that is behind may take one that is just over.
    revoke(&home, "c", &client.id, now() - 60).await;
    revoke(&home, "over", &client.id, now() - 130).await;
    let mut changes = home.auth.watch_revocations(None).await.unwrap();
    for expected in ["a", "b", "c"] {
        let notice = next(&mut changes).await;
        // Who breaks off within the list must hear it again.
        assert_eq!(notice.position, 0);
        let Some(Change::Token { id, subject, .. }) = notice.change else {
            panic!("{notice:?}")
        };
        assert_eq!((id.as_str(), &subject), (expected, &client.id));
    }
    let notice = next(&mut changes).await;
    assert!(notice.change.is_none() && notice.position > 0);
}

async fn who_cannot_go_on_is_told_to_ask_everything_again(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    revoke(&home, "a", &client.id, now() + 600).await;
    let mut running = home.auth.watch_revocations(None).await.unwrap();
    assert!(matches!(
        next_change(&mut running).await,
        Change::Token { .. }
    ));
    let position = next(&mut running).await.position;

    let assert_everything = async |changes: &mut ChangeStream, position| {
        assert_eq!(next_change(changes).await, Change::Everything);
        let token = next(changes).await.change;
        assert!(matches!(token, Some(Change::Token { .. })), "{token:?}");
        let heartbeat = next(changes).await;
        assert_eq!((heartbeat.position, heartbeat.change), (position, None));
    };
    // The database is younger than what the watcher has seen: it was restored.
    let mut changes = home.auth.watch_revocations(Some(99)).await.unwrap();
    assert_everything(&mut changes, position).await;

    home.sql("UPDATE audit_head SET position = 20000").await;
    let mut changes = home.auth.watch_revocations(Some(position)).await.unwrap();
    assert_everything(&mut changes, 20_000).await;
    assert_everything(&mut running, 20_000).await;
    home.sql("UPDATE audit_head SET position = 1, mac = 'other'")
        .await;
    assert_everything(&mut running, 1).await;
}

async fn there_is_silence_while_the_database_cannot_be_read(database: Database) {
    let home = Home::on(database).await;
    let mut changes = home.auth.watch_revocations(None).await.unwrap();
    let position = next(&mut changes).await.position;
    let heartbeat = next(&mut changes).await;
    assert_eq!((heartbeat.position, heartbeat.change), (position, None));

    home.sql("ALTER TABLE audit_head RENAME TO audit_tail")
        .await;
    let silent = timeout(Duration::from_millis(1_500), changes.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    home.sql("ALTER TABLE audit_tail RENAME TO audit_head")
        .await;
    let heartbeat = next(&mut changes).await;
    assert_eq!((heartbeat.position, heartbeat.change), (position, None));
}
