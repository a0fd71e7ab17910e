//! What the service does with its keys by itself: the first one, rotation by age, retiring.

use fathom_proto::administration::SigningKeyState;
use serde_json::json;
use sqlx::AnyConnection;
use tokio::task::spawn_blocking;

use super::schedule::{Policy, Schedule};
use super::{Life, SigningKey};
use crate::change::{Actor, Change, Entry, action};
use crate::store::{SigningKeyRow, Store};
use crate::{Auth, Error, clock, random};

impl Auth {
    /// Brings the keys up to date: reads what other replicas did, makes a key when one is due, and
    /// retires those whose tokens have ended. To be called about once a second.
    pub(crate) async fn maintain_signing_keys(&self) -> Result<(), Error> {
        let rows = self.inner.store.signing_keys().await?;
        let lives: Vec<_> = rows.iter().map(|row| row.life.clone()).collect();
        self.take_signing_keys(rows).await?;
        let schedule = self.schedule(&lives, clock::now());
        if schedule.next().is_some() {
            self.make_due_signing_key().await?;
        }
        for key in schedule.over() {
            self.end_signing_key(&key.kid).await?;
        }
        Ok(())
    }

    pub(super) fn schedule<'a>(&self, keys: &'a [Life], now: i64) -> Schedule<'a> {
        let config = &self.inner.config;
        let seconds =
            |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let lifetime = seconds(config.signing_key_lifetime);
        let policy = Policy {
            algorithm: config.signing_algorithm,
            lifetime: (lifetime > 0).then_some(lifetime),
            publication: seconds(config.signing_key_publication),
            token_lifetime: seconds(config.token_lifetime),
        };
        Schedule { policy, keys, now }
    }

    /// The lives of the keys, as a change sees them: nobody else changes them meanwhile.
    pub(super) async fn lives_on(connection: &mut AnyConnection) -> Result<Vec<Life>, Error> {
        let rows = Store::signing_keys_on(connection).await?;
        Ok(rows.into_iter().map(|row| row.life).collect())
    }

    /// Makes the key that is due, unless another replica was faster.
    async fn make_due_signing_key(&self) -> Result<(), Error> {
        let made = self.fresh_signing_key().await?;
        let mut change = self.inner.store.change().await?;
        let lives = Self::lives_on(change.connection()).await?;
        if let Some(signs_from) = self.schedule(&lives, clock::now()).next() {
            self.publish(change, &Actor::System, made, signs_from)
                .await?;
        } else {
            drop(change);
        }
        self.reload_signing_keys().await
    }

    /// Retires a key whose tokens have ended, unless another replica was faster.
    async fn end_signing_key(&self, kid: &str) -> Result<(), Error> {
        let mut change = self.inner.store.change().await?;
        let lives = Self::lives_on(change.connection()).await?;
        let now = clock::now();
        if self.schedule(&lives, now).over().any(|key| key.kid == kid) {
            Store::retire_signing_key(change.connection(), kid, now).await?;
            let entry = Entry {
                action: action::SIGNING_KEY_RETIRE,
                tenant: None,
                target: kid.to_owned(),
                details: json!({ "was": SigningKeyState::Verifying }),
            };
            self.commit(change, &Actor::System, entry).await?;
        } else {
            drop(change);
        }
        self.reload_signing_keys().await
    }

    /// A fresh key of the configured algorithm, sealed; when it signs is not set yet.
    pub(super) async fn fresh_signing_key(&self) -> Result<SigningKeyRow, Error> {
        let algorithm = self.inner.config.signing_algorithm;
        let document = spawn_blocking(move || SigningKey::generate(algorithm))
            .await
            .map_err(|_| Error::Cryptography)??;
        let kid = random::id()?;
        let key = SigningKey::from_pkcs8(&kid, algorithm, &document).ok_or(Error::Cryptography)?;
        let place = SigningKeyRow::place(&kid);
        Ok(SigningKeyRow {
            public_key: key.public_key(),
            private_key: self.inner.key_ring.seal(place, &document)?,
            life: Life {
                kid,
                algorithm,
                created_at: clock::now(),
                signs_from: i64::MAX,
                retired_at: None,
            },
        })
    }

    /// Ends the change with one more key.
    pub(super) async fn publish(
        &self,
        mut change: Change,
        actor: &Actor,
        mut key: SigningKeyRow,
        signs_from: i64,
    ) -> Result<Life, Error> {
        key.life.signs_from = signs_from;
        Store::insert_signing_key(change.connection(), &key).await?;
        let entry = Entry {
            action: action::SIGNING_KEY_CREATE,
            tenant: None,
            target: key.life.kid.clone(),
            details: json!({
                "algorithm": key.life.algorithm.as_str(), "signs_from": signs_from,
            }),
        };
        self.commit(change, actor, entry).await?;
        Ok(key.life)
    }
}
