use std::collections::BTreeSet;
use std::time::Duration;

use fathom_kit::database::{DatabaseError, connect, migrate};
use fathom_test_database::TestDatabase;
use sqlx::any::install_default_drivers;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The last migration of release 0.1.
const RELEASE_0_1: i64 = 20_261_122_000_002;

fn migrations() -> Migrator {
    sqlx::migrate!("../../migrations")
}

fn versions() -> Vec<i64> {
    migrations().iter().map(|one| one.version).collect()
}

/// A pool over the database as release 0.1 left it.
async fn of_release_0_1(database: &TestDatabase) -> AnyPool {
    install_default_drivers();
    let file = database.url.strip_prefix("sqlite://");
    if let Some((file, _)) = file.and_then(|rest| rest.split_once('?')) {
        let folder = std::path::Path::new(file).parent().unwrap();
        std::fs::create_dir(folder).unwrap();
    }
    let pool = AnyPool::connect(&database.url).await.unwrap();
    migrations().run_to(RELEASE_0_1, &pool).await.unwrap();
    pool
}

/// DB-3: of several that start at once, one migrates and the others wait for it.
#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    for database in TestDatabase::each().await {
        let mut starting = JoinSet::new();
        for _ in 0..8 {
            let url = database.url.clone();
            starting.spawn(async move { migrate(&url).await.unwrap().applied });
            let url = database.url.clone();
            starting.spawn(async move {
                let pool = connect(&url).await.unwrap();
                pool.execute("SELECT jti_hash FROM used_assertions")
                    .await
                    .unwrap();
                Vec::new()
            });
        }
        let applied: Vec<i64> = starting.join_all().await.concat();
        // Unless one of those that connect was first.
        assert!([Vec::new(), versions()].contains(&applied), "{applied:?}");
        let again = migrate(&database.url).await.unwrap();
        assert!(again.applied.is_empty(), "{again:?}");
    }
}

#[tokio::test]
async fn what_was_applied_is_told() {
    for database in TestDatabase::each().await {
        let pool = of_release_0_1(&database).await;
        let applied = migrate(&database.url).await.unwrap().applied;
        assert_eq!(applied, versions()[2..]);
        pool.close().await;
    }
}

#[tokio::test]
async fn a_database_of_a_newer_build_is_taken_as_it_is() {
    for database in TestDatabase::each().await {
        let pool = connect(&database.url).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 99991231000000, 'of a newer build', success, checksum, 0 \
                     FROM _sqlx_migrations WHERE version = 20261122000001";
        pool.execute(newer).await.unwrap();
        connect(&database.url).await.unwrap();
    }
}

#[tokio::test]
async fn a_migration_that_was_edited_after_it_ran_is_refused() {
    for database in TestDatabase::each().await {
        let pool = connect(&database.url).await.unwrap();
        let edited = "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations \
                      WHERE version = 20261122000001) WHERE version = 20261122000002";
        pool.execute(edited).await.unwrap();
        let error = connect(&database.url).await.unwrap_err();
        let DatabaseError::Migrate { source, .. } = error else {
            panic!("{error:?}");
        };
        assert!(source.to_string().contains("20261122000002"), "{source}");
    }
}

/// A service that may read and write rows, and nothing else, does not migrate and need not.
#[tokio::test]
async fn a_role_that_owns_nothing_connects_when_nothing_is_missing() {
    let database = TestDatabase::postgres().await;
    let role = database
        .url
        .rsplit_once('/')
        .unwrap()
        .1
        .replace("test_", "role_");
    let pool = of_release_0_1(&database).await;
    for statement in [
        "CREATE ROLE service LOGIN",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO service",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO service",
    ] {
        // Roles belong to the whole server.
        let statement = statement.replace("service", &role);
        pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
    let url = database.url_as(&role);

    let error = connect(&url).await.unwrap_err();
    let DatabaseError::Migrate { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(source.to_string().contains("permission denied"), "{source}");

    migrate(&database.url).await.unwrap();
    let service = connect(&url).await.unwrap();
    let models: i64 = sqlx::query_scalar("SELECT count(*) FROM models")
        .fetch_one(&service)
        .await
        .unwrap();
    assert_eq!(models, 3);
    assert!(
        service
            .execute("CREATE TABLE mine (id BIGINT)")
            .await
            .is_err()
    );
    service.close().await;

    let dropped = ["DROP OWNED BY service CASCADE", "DROP ROLE service"];
    for statement in dropped.map(|statement| statement.replace("service", &role)) {
        pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
}

/// DB-3: what release 0.1 stored is there after the migration, and its statements still run.
#[tokio::test]
async fn rows_of_the_release_before_are_kept_and_its_statements_still_run() {
    for database in TestDatabase::each().await {
        let old = of_release_0_1(&database).await;
        for statement in statements_of_release_0_1("before") {
            old.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        let tables = [
            "tenants",
            "clients",
            "client_secrets",
            "api_keys",
            "signing_keys",
        ];
        let mut before = Vec::new();
        for table in tables {
            before.push(rows(&old, table).await);
        }

        let new = connect(&database.url).await.unwrap();
        for (table, before) in tables.iter().zip(&before) {
            assert_eq!(rows(&new, table).await, *before, "{table}");
        }
        let secret: (Option<String>, String, String) =
            sqlx::query_as("SELECT hash, sealed, key_id FROM client_secrets")
                .fetch_one(&new)
                .await
                .unwrap();
        assert_eq!(secret, (None, "sealed".to_owned(), "master-1".to_owned()));

        // The process of the old release is still running.
        for statement in statements_of_release_0_1("during") {
            old.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        for table in tables {
            assert_eq!(rows(&new, table).await.len(), 2, "{table}");
        }
        let expanded: Vec<(String, i64, Option<String>)> =
            sqlx::query_as("SELECT method, token_endpoint_audience, models FROM clients")
                .fetch_all(&new)
                .await
                .unwrap();
        assert!(
            expanded
                .iter()
                .all(|row| *row == ("client_secret".to_owned(), 0, None)),
            "{expanded:?}"
        );
        old.close().await;
    }
}

/// What release 0.1 writes for a new tenant.
fn statements_of_release_0_1(name: &str) -> Vec<String> {
    [
        "INSERT INTO tenants (id, name, created_at) VALUES ('t-NAME', 'NAME', 1)",
        "INSERT INTO clients (id, tenant_id, name, scopes, self_signed_bearer, created_at, expires_at) \
         VALUES ('c-NAME', 't-NAME', 'NAME', 'inference', 1, 1, NULL)",
        "INSERT INTO client_secrets (id, client_id, sealed, key_id, created_at, expires_at) \
         VALUES ('s-NAME', 'c-NAME', 'sealed', 'master-1', 1, 2)",
        "INSERT INTO api_keys (id, tenant_id, name, mac, pepper_id, scopes, created_at, expires_at) \
         VALUES ('k-NAME', 't-NAME', 'NAME', 'mac', 'pepper-1', 'inference', 1, NULL)",
        "INSERT INTO signing_keys (kid, algorithm, public_key, sealed, key_id, created_at) \
         VALUES ('j-NAME', 'EdDSA', 'public', 'sealed', 'master-1', 1)",
    ]
    .map(|statement| statement.replace("NAME", name))
    .to_vec()
}

/// Ids of a table with the time they were made.
async fn rows(pool: &AnyPool, table: &str) -> BTreeSet<(String, i64)> {
    let statement = match table {
        "tenants" => "SELECT id, created_at FROM tenants",
        "clients" => "SELECT id, created_at FROM clients",
        "client_secrets" => "SELECT id, created_at FROM client_secrets",
        "api_keys" => "SELECT id, created_at FROM api_keys",
        _ => "SELECT kid, created_at FROM signing_keys",
    };
    let rows: Vec<(String, i64)> = sqlx::query_as(statement).fetch_all(pool).await.unwrap();
    rows.into_iter().collect()
}

/// DB-3: a migration that is killed half way leaves nothing, and the next one does it all.
#[tokio::test]
async fn a_migration_that_is_killed_can_be_repeated() {
    let database = TestDatabase::postgres().await;
    let pool = of_release_0_1(&database).await;
    let mut reader = pool.begin().await.unwrap();
    // The table that the second of the missing migrations changes last.
    reader
        .execute("LOCK TABLE client_secrets IN ACCESS SHARE MODE")
        .await
        .unwrap();

    let url = database.url.clone();
    let mut migrating = JoinSet::new();
    migrating.spawn(async move { migrate(&url).await });
    let mut owner = AnyConnection::connect(&database.url).await.unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let killed = async {
        let mut polls = tokio::time::interval(Duration::from_millis(10));
        loop {
            let killed: i64 = sqlx::query_scalar(kill)
                .fetch_one(&mut owner)
                .await
                .unwrap();
            if killed == 1 {
                return;
            }
            polls.tick().await;
        }
    };
    timeout(Duration::from_secs(20), killed).await.unwrap();
    let error = migrating.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, DatabaseError::Migrate { .. }), "{error:?}");
    reader.rollback().await.unwrap();

    assert_eq!(
        migrate(&database.url).await.unwrap().applied,
        versions()[3..]
    );
    pool.close().await;
}
