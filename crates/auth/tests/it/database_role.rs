use std::time::Duration;

use fathom_auth::{Actor, Auth};
use fathom_proto::administration::{ApiKeyPatch, ClientPatch, TenantPatch};
use fathom_proto::identity::{Identity as _, Limit, LimitTarget, Limits};
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;

use crate::harness::{Database, Home, TENANT, new_client, new_key, token};

const ROLES: &str = include_str!("../../../../deploy/postgres/roles.sql");

async fn pool_of_the_role(home: &Home) -> AnyPool {
    sqlx::raw_sql(ROLES).execute(&home.pool).await.unwrap();
    AnyPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(5))
        .connect(&home.database.url_as("fathom_app"))
        .await
        .unwrap()
}

/// SEC-43: the role that the services have serves everything, and cannot touch what is logged.
#[tokio::test]
async fn the_role_of_the_services_adds_to_the_audit_log_and_nothing_else() {
    let home = Home::on(Database::Postgres).await;
    let pool = pool_of_the_role(&home).await;
    let auth = Auth::open(home.config.clone(), pool.clone()).await.unwrap();
    let actor = Actor::Operator("ops".to_owned());

    let key = auth.create_key(&actor, new_key()).await.unwrap();
    auth.authenticate(key.secret.unwrap()).await.unwrap();
    let client = auth.create_client(&actor, new_client()).await.unwrap();
    let id = client.made.id.clone();
    token(&auth, &client.into()).await.unwrap();
    let named = Some("Other".to_owned());
    let patch = ClientPatch {
        name: named.clone(),
        ..ClientPatch::default()
    };
    auth.update_client(&actor, &id, patch).await.unwrap();
    let patch = ApiKeyPatch {
        name: named.clone(),
        ..ApiKeyPatch::default()
    };
    auth.update_key(&actor, &key.made.id, patch).await.unwrap();
    let patch = TenantPatch {
        name: named,
        ..TenantPatch::default()
    };
    auth.update_tenant(&actor, TENANT, patch).await.unwrap();
    let added = auth.add_client_secret(&actor, &id, Default::default());
    let added = added.await.unwrap().made.id;
    auth.remove_client_secret(&actor, &id, &added)
        .await
        .unwrap();
    let target = LimitTarget {
        tenant: TENANT.into(),
        subject: None,
        model: None,
    };
    let limits = Limits {
        requests_per_minute: Some(60),
        ..Limits::default()
    };
    let limit = Limit {
        target: target.clone(),
        limits,
    };
    auth.set_limit(&actor, limit).await.unwrap();
    auth.remove_limit(&actor, target).await.unwrap();
    auth.rewrap(&actor).await.unwrap();
    auth.verify_audit(None).await.unwrap();

    for statement in [
        "UPDATE audit_log SET actor = 'system'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DELETE FROM audit_head",
        "DROP TABLE audit_log",
        "DELETE FROM tenants",
    ] {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
        let code = error.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, "42501", "{statement}: insufficient_privilege");
    }
}
