use std::error::Error;
use std::time::Duration;

use fathom_kit::database::{DatabaseError, connect};
use fathom_test_database::TestDatabase;
use sqlx::{AnyConnection, Connection, Executor};
use tokio::net::TcpListener;

/// The error and its causes.
fn text(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", text(source)),
        None => error.to_string(),
    }
}

/// Asserts what is said of a database that nobody can connect to.
async fn assert_named(url: &str, parts: &[&str]) {
    let error = connect(url).await.unwrap_err();
    let text = text(&error);
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    assert!(
        !format!("{text} {error:?}").contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_database_that_is_down_is_named_without_its_password() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = taken.local_addr().unwrap();
    let silent = format!("postgres://fathom:hunter2@{silent}/identity");
    assert_named(
        &silent,
        &["postgres://fathom@127.0.0.1:", "/identity", "timed out"],
    )
    .await;
    drop(taken);
    let refused = format!("{silent}?password=hunter2&sslmode=require");
    assert_named(
        &refused,
        &["postgres://fathom@127.0.0.1:", "/identity ", "refused"],
    )
    .await;
}

#[tokio::test]
async fn an_address_that_is_none_is_told_what_would_be_right() {
    assert_named("fathom.db", &["no URL", "sqlite://PATH?mode=rwc"]).await;
    assert_named("mysql://fathom:hunter2@db/fathom", &["mysql"]).await;
    let missing = TestDatabase::sqlite();
    let (file, _) = missing.url.split_once('?').unwrap();
    assert_named(file, &[file, "unable to open"]).await;
}

#[tokio::test]
async fn a_password_that_is_wrong_is_a_refusal_of_the_server() {
    let database = TestDatabase::postgres().await;
    let error = connect(&database.url_as("nobody_here:hunter2")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, DatabaseError::Open { .. }), "{error:?}");
    assert!(text(&error).contains("nobody_here"), "{}", text(&error));
    assert!(!text(&error).contains("hunter2"));
}

/// Part of DB-1: PostgreSQL ends every connection, as it does when it restarts.
#[tokio::test]
async fn the_pool_recovers_by_itself_when_its_connections_are_cut() {
    let database = TestDatabase::postgres().await;
    let pool = connect(&database.url).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(pool.acquire().await.unwrap());
    }
    let mut owner = AnyConnection::connect(&database.url).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let cut: i64 = sqlx::query_scalar(cut).fetch_one(&mut owner).await.unwrap();
    assert!(cut >= 3, "{cut} connections");
    // A statement that runs meanwhile fails, and takes nobody else's connection with it.
    assert!(held[0].execute("SELECT 1").await.is_err());
    drop(held);
    for _ in 0..8 {
        let models: i64 = sqlx::query_scalar("SELECT count(*) FROM models")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(models, 3);
    }
}

/// Part of DB-2: who waits for a connection gets an error while it still matters.
#[tokio::test]
async fn a_pool_that_is_exhausted_says_so_in_time() {
    for database in TestDatabase::each().await {
        let pool = connect(&database.url).await.unwrap();
        let mut held = Vec::new();
        for _ in 0..pool.options().get_max_connections() {
            held.push(pool.acquire().await.unwrap());
        }
        let patience = pool.options().get_acquire_timeout();
        assert!(patience <= Duration::from_secs(2), "{patience:?}");
        tokio::time::pause();
        let refused = pool.acquire().await.unwrap_err();
        tokio::time::resume();
        assert!(matches!(refused, sqlx::Error::PoolTimedOut), "{refused}");
    }
}

/// Part of DB-2: a row that somebody holds for ever holds nobody else for ever.
#[tokio::test]
async fn nothing_on_postgresql_waits_without_a_limit() {
    let database = TestDatabase::postgres().await;
    let pool = connect(&database.url).await.unwrap();
    for setting in [
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_ne!(value, "0", "{setting}");
    }
    let mut holder = pool.begin().await.unwrap();
    holder.execute("LOCK TABLE models").await.unwrap();
    let mut waiting = pool.begin().await.unwrap();
    let sooner = "SET LOCAL lock_timeout = '10ms'";
    waiting.execute(sooner).await.unwrap();
    let read = waiting.execute("SELECT id FROM models").await;
    assert!(read.unwrap_err().to_string().contains("lock timeout"));
}

#[tokio::test]
async fn a_row_cannot_refer_to_one_that_is_not_there() {
    for database in TestDatabase::each().await {
        let pool = connect(&database.url).await.unwrap();
        let orphan =
            "INSERT INTO revoked_tokens (id, client_id, expires_at) VALUES ('t', 'none', 0)";
        let error = pool.execute(orphan).await.unwrap_err();
        let error = error.into_database_error().unwrap();
        assert!(error.is_foreign_key_violation(), "{error}");
    }
}
