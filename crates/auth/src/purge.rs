//! Forgetting what has ended by itself.

use crate::{Auth, Error, clock};

/// How long what has ended is kept, in seconds: a replica whose clock is hours ahead must not
/// forget what others still need.
const MARGIN: i64 = 6 * 60 * 60;

impl Auth {
    /// Forgets revoked tokens and used assertions that no clock would take any more.
    pub(crate) async fn purge(&self) -> Result<(), Error> {
        let end = clock::now().saturating_sub(MARGIN);
        self.inner.store.purge_revoked_tokens(end).await?;
        self.inner.store.purge_used_assertions(end).await
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::administration::NewTenant;

    use super::*;
    use crate::{Actor, Config};

    /// SEC-8: what has ended is forgotten, and nothing before.
    #[tokio::test]
    async fn what_has_ended_whatever_the_clocks_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!(
            "sqlite://{}?mode=rwc",
            folder.path().join("fathom.db").display()
        );
        let pool = fathom_kit::database::connect(&url).await.unwrap();
        let key_ring = folder.path().join("keyring.json").into();
        let config = Config {
            key_ring,
            ..Config::default()
        };
        let auth = Auth::open(config, pool.clone()).await.unwrap();
        let tenant = NewTenant {
            id: "t".into(),
            name: "T".to_owned(),
            expires_at: None,
        };
        auth.create_tenant(&Actor::System, tenant).await.unwrap();
        sqlx::query(
            "INSERT INTO clients (id, tenant_id, name, scopes, self_signed_bearer, created_at) \
             VALUES ('c', 't', 'C', 'inference', 0, 0)",
        )
        .execute(&pool)
        .await
        .unwrap();
        let now = clock::now();
        for (name, end) in [
            ("over", now - MARGIN - 10),
            ("other clock", now - MARGIN + 10),
            ("live", now + 10),
        ] {
            let mut connection = pool.acquire().await.unwrap();
            crate::store::Store::insert_revoked_token(&mut connection, name, "c", end)
                .await
                .unwrap();
            drop(connection);
            assert!(
                auth.inner
                    .store
                    .use_assertion("c", name, end)
                    .await
                    .unwrap()
            );
        }
        auth.purge().await.unwrap();
        for (name, kept) in [("over", false), ("other clock", true), ("live", true)] {
            assert_eq!(
                auth.inner.store.is_revoked(name).await.unwrap(),
                kept,
                "{name}"
            );
            let taken = auth
                .inner
                .store
                .use_assertion("c", name, now)
                .await
                .unwrap();
            assert_eq!(taken, !kept, "{name}");
        }
    }
}
