use std::fs;
use std::time::Duration;

use fathom_auth::{Actor, AuditFault, Auth, Error, VerifiedAudit};
use fathom_kit::shutdown::Shutdown;
use fathom_proto::administration::{AuditPage, NewTenant};
use fathom_proto::identity::Identity as _;
use futures::StreamExt as _;
use futures::future::join_all;

use crate::harness::{Database, Home, new_key, on_both_databases};

on_both_databases!(
    tampering_is_found_at_the_first_bad_row,
    a_tail_that_was_cut_off_is_seen_by_the_signed_end_alone,
    a_restored_database_keeps_the_signed_end_as_evidence,
    fifty_writers_at_once_leave_an_unbroken_chain,
    the_log_is_read_in_pages,
);

/// Five changes: a tenant and four keys.
async fn used(database: Database) -> Home {
    let home = Home::on(database).await;
    for _ in 0..4 {
        home.api_key(None).await;
    }
    home
}

/// The first bad row that is found.
async fn fault(auth: &Auth) -> Option<(i64, AuditFault)> {
    match auth.verify_audit(None).await {
        Ok(_) => None,
        Err(Error::BrokenAudit { position, fault }) => Some((position, fault)),
        Err(error) => panic!("{error}"),
    }
}

async fn length(home: &Home) -> i64 {
    home.auth.verify_audit(None).await.unwrap().rows
}

/// Waits until the end of the log is signed as it is now.
async fn sign(home: &Home) {
    let rows = length(home).await;
    let shutdown = Shutdown::new(Duration::from_secs(1));
    shutdown.spawn(home.auth.clone().keep_current(shutdown.clone()));
    let mut heartbeats = home.auth.watch_revocations(None).await.unwrap();
    loop {
        let signed = home
            .auth
            .signed_head(&home.config.audit_head)
            .await
            .unwrap();
        if signed.is_some_and(|signed| signed.position == rows) {
            break;
        }
        heartbeats.next().await;
    }
    shutdown.drain().await;
}

/// SEC-43: each way to tamper with rows, on a log of its own.
async fn tampering_is_found_at_the_first_bad_row(database: Database) {
    let insert = "INSERT INTO audit_log \
         (position, at, actor, action, tenant_id, target, details, key_id, mac) \
         SELECT ";
    let rest = ", at, actor, action, tenant_id, target, details, key_id, mac FROM audit_log ";
    let inserted = format!("{insert} 4 {rest} WHERE position = 2");
    let appended = format!(
        "{insert} position + 1 {rest} WHERE position = (SELECT MAX(position) FROM audit_log)"
    );
    let move_up = "UPDATE audit_log SET position = 1 - position WHERE position < 0";
    type Row = fn(i64) -> i64;
    let cases: [(&[&str], Row, AuditFault); 12] = [
        (
            &["UPDATE audit_log SET actor = 'system ' WHERE position = 3"],
            |_| 3,
            AuditFault::Altered,
        ),
        (
            &["UPDATE audit_log SET at = at + 1 WHERE position = 1"],
            |_| 1,
            AuditFault::Altered,
        ),
        (
            &["UPDATE audit_log SET tenant_id = 'other' WHERE position = 2"],
            |_| 2,
            AuditFault::Altered,
        ),
        (
            &["UPDATE audit_log SET key_id = 'other' WHERE position = 2"],
            |_| 2,
            AuditFault::UnknownKey,
        ),
        // Who has no key makes a row with a hash of their own.
        (
            &["UPDATE audit_log SET details = '{}', mac = 'AAAA' WHERE position = 3"],
            |_| 3,
            AuditFault::Altered,
        ),
        (
            &["DELETE FROM audit_log WHERE position = 3"],
            |_| 3,
            AuditFault::Missing,
        ),
        (
            &["DELETE FROM audit_log WHERE position = 1"],
            |_| 1,
            AuditFault::Missing,
        ),
        (
            &[
                "UPDATE audit_log SET position = -2 WHERE position = 2",
                "UPDATE audit_log SET position = 2 WHERE position = 3",
                "UPDATE audit_log SET position = 3 WHERE position = -2",
            ],
            |_| 2,
            AuditFault::Altered,
        ),
        (
            &[
                "UPDATE audit_log SET position = -position WHERE position > 3",
                move_up,
                &inserted,
            ],
            |_| 4,
            AuditFault::Altered,
        ),
        (
            &["UPDATE audit_head SET mac = 'AAAA'"],
            |rows| rows,
            AuditFault::OtherEnd,
        ),
        (
            &["UPDATE audit_head SET position = position + 1"],
            |rows| rows + 1,
            AuditFault::CutOff,
        ),
        (&[&appended], |rows| rows + 1, AuditFault::Altered),
    ];
    for (statements, row, expected) in cases {
        let home = used(database).await;
        let position = row(length(&home).await);
        for statement in statements {
            sqlx::query(sqlx::AssertSqlSafe(*statement))
                .execute(&home.pool)
                .await
                .unwrap();
        }
        assert_eq!(
            fault(&home.auth).await,
            Some((position, expected)),
            "{statements:?}"
        );
    }
}

/// SEC-43: with the head row reset too, the log is whole in itself.
async fn a_tail_that_was_cut_off_is_seen_by_the_signed_end_alone(database: Database) {
    let home = used(database).await;
    sign(&home).await;
    let path = &home.config.audit_head;
    let signed = home.auth.signed_head(path).await.unwrap().unwrap();
    let whole = home.auth.verify_audit(Some(&signed)).await.unwrap();
    assert_eq!(whole.signed, Some(whole.rows));

    home.sql("DELETE FROM audit_log WHERE position > 3").await;
    home.sql(
        "UPDATE audit_head SET position = 3, \
         mac = (SELECT mac FROM audit_log WHERE position = 3)",
    )
    .await;
    let unseen = home.auth.verify_audit(None).await.unwrap();
    assert_eq!(
        unseen,
        VerifiedAudit {
            rows: 3,
            signed: None
        }
    );
    let seen = home.auth.verify_audit(Some(&signed)).await.unwrap_err();
    assert_eq!(
        seen.to_string(),
        "row 4 of the audit log is missing: the log was cut off, or is older than its signed end"
    );

    // Whoever goes on from there makes another log.
    while length(&home).await < whole.rows {
        home.auth
            .create_key(&Actor::System, new_key())
            .await
            .unwrap();
    }
    let error = home.auth.verify_audit(Some(&signed)).await.unwrap_err();
    let Error::BrokenAudit { position, fault } = error else {
        panic!("{error}")
    };
    assert_eq!((position, fault), (whole.rows, AuditFault::OtherThanSigned));

    let altered = fs::read_to_string(path)
        .unwrap()
        .replace("position\": ", "position\": 1");
    fs::write(path, altered).unwrap();
    let error = home.auth.signed_head(path).await.unwrap_err();
    assert!(matches!(error, Error::InvalidAuditHead { .. }), "{error}");
}

/// SEC-43: a database restored from an older state does not take the place of what was signed.
async fn a_restored_database_keeps_the_signed_end_as_evidence(database: Database) {
    let mut home = used(database).await;
    sign(&home).await;
    let signed = fs::read(&home.config.audit_head).unwrap();
    home.sql("DELETE FROM audit_log WHERE position > 2").await;
    home.sql(
        "UPDATE audit_head SET position = 2, \
         mac = (SELECT mac FROM audit_log WHERE position = 2)",
    )
    .await;
    home.restart().await;
    let shutdown = Shutdown::new(Duration::from_secs(1));
    shutdown.spawn(home.auth.clone().keep_current(shutdown.clone()));
    let mut heartbeats = home.auth.watch_revocations(None).await.unwrap();
    for i in 0..6 {
        home.tenant(&format!("t{i}")).await;
        heartbeats.next().await;
    }
    for _ in 0..3 {
        heartbeats.next().await;
    }
    shutdown.drain().await;
    assert_eq!(fs::read(&home.config.audit_head).unwrap(), signed);
}

/// SEC-43: from two services over one database.
async fn fifty_writers_at_once_leave_an_unbroken_chain(database: Database) {
    let home = Home::on(database).await;
    let before = length(&home).await;
    let other = home.another().await;
    let made = join_all((0..50).map(|i| {
        let auth = if i % 2 == 0 { &home.auth } else { &other };
        let tenant = NewTenant {
            id: format!("t{i}").into(),
            name: "T".to_owned(),
            expires_at: None,
        };
        async move { auth.create_tenant(&Actor::System, tenant).await }
    }))
    .await;
    for made in made {
        made.unwrap();
    }
    assert_eq!(length(&home).await, before + 50);
}

async fn the_log_is_read_in_pages(database: Database) {
    let home = used(database).await;
    let rows = length(&home).await;
    let page = |after, limit| home.auth.audit(AuditPage { after, limit });
    let all = page(0, None).await.unwrap();
    assert_eq!(all.len() as i64, rows);
    assert!(all.iter().map(|entry| entry.position).eq(1..=rows));
    let two = page(1, Some(2)).await.unwrap();
    assert_eq!(two, all[1..3]);
    assert!(page(rows, None).await.unwrap().is_empty());
    for limit in [0, 1_001] {
        let error = page(0, Some(limit)).await.unwrap_err();
        assert_eq!(error.to_string(), "limit must be 1 to 1000");
    }
}
