//! What operators do with the keys.

use std::cmp::Reverse;

use fathom_proto::administration::{SigningKey, SigningKeyState};
use serde_json::json;

use super::Life;
use crate::change::{Actor, Entry, action};
use crate::store::Store;
use crate::{Auth, Error, clock};

/// Keys that are not retired, at most: each is in the set that verifiers fetch.
const MAX_KEYS: usize = 200;

impl Auth {
    /// The signing keys, the newest first, retired ones included.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let rows = self.inner.store.signing_keys().await?;
        let mut lives: Vec<_> = rows.into_iter().map(|row| row.life).collect();
        lives.sort_by_key(|key| Reverse(key.created_at));
        Ok(self.shown(&lives, |_| true))
    }

    /// Makes a key that signs once every verifier has had the time to learn of it.
    ///
    /// # Errors
    /// [`Error::TooManySigningKeys`].
    pub async fn rotate_signing_key(&self, actor: &Actor) -> Result<SigningKey, Error> {
        let made = self.fresh_signing_key().await?;
        let mut change = self.inner.store.change().await?;
        let mut lives = Self::lives_on(change.connection()).await?;
        if lives.iter().filter(|key| key.retired_at.is_none()).count() >= MAX_KEYS {
            return Err(Error::TooManySigningKeys);
        }
        let publication = self.inner.config.signing_key_publication.as_secs();
        let signs_from = clock::now().saturating_add_unsigned(publication);
        let life = self.publish(change, actor, made, signs_from).await?;
        self.reload_signing_keys().await?;
        let kid = life.kid.clone();
        lives.push(life);
        self.shown_one(&lives, &kid)
    }

    /// Ends a key at once, and with it every token that it signed. If it is the one that signs,
    /// the published one signs at once, or a fresh one does.
    ///
    /// # Errors
    /// [`Error::UnknownSigningKey`].
    pub async fn retire_signing_key(&self, actor: &Actor, kid: &str) -> Result<SigningKey, Error> {
        // It may be needed, and making it may take longer than others should wait for the change.
        let made = self.fresh_signing_key().await?;
        let mut change = self.inner.store.change().await?;
        let lives = Self::lives_on(change.connection()).await?;
        let now = clock::now();
        let schedule = self.schedule(&lives, now);
        let key = lives.iter().find(|key| key.kid == kid);
        let key = key.ok_or_else(|| Error::UnknownSigningKey(kid.to_owned()))?;
        let state = schedule.state(key);
        if state == SigningKeyState::Retired {
            return self.shown_one(&lives, kid);
        }
        Store::retire_signing_key(change.connection(), kid, now).await?;
        let mut successor = None;
        if state == SigningKeyState::Signing {
            successor = Some(match schedule.published() {
                Some(next) => {
                    Store::advance_signing_key(change.connection(), &next.kid, now).await?;
                    next.kid.clone()
                }
                None => {
                    let mut made = made;
                    made.life.signs_from = now;
                    Store::insert_signing_key(change.connection(), &made).await?;
                    made.life.kid
                }
            });
        }
        let entry = Entry {
            action: action::SIGNING_KEY_RETIRE,
            tenant: None,
            target: kid.to_owned(),
            details: json!({ "was": state, "successor": successor }),
        };
        self.commit(change, actor, entry).await?;
        self.reload_signing_keys().await?;
        let rows = self.inner.signing_keys.open();
        self.shown_one(&rows.lives, kid)
    }

    fn shown_one(&self, lives: &[Life], kid: &str) -> Result<SigningKey, Error> {
        let mut shown = self.shown(lives, |key| key.kid == kid);
        shown
            .pop()
            .ok_or_else(|| Error::UnknownSigningKey(kid.to_owned()))
    }

    fn shown(&self, lives: &[Life], wanted: impl Fn(&Life) -> bool) -> Vec<SigningKey> {
        let schedule = self.schedule(lives, clock::now());
        let wanted = lives.iter().filter(|key| wanted(key));
        wanted
            .map(|key| SigningKey {
                kid: key.kid.clone(),
                algorithm: key.algorithm.as_str().to_owned(),
                state: schedule.state(key),
                created_at: key.created_at,
                signs_from: key.signs_from,
                retired_at: key.retired_at,
            })
            .collect()
    }
}
