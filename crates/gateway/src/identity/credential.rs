//! A credential that is remembered.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use fathom_proto::identity::{ModelAccess, Principal, Scopes};
use fathom_token::{Claims, times};

use super::key_set::Keys;
use super::revoked::Revoked;
use super::subjects::Subject;

/// SHA-256 of a whole credential: what credentials share does not make them one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `credential`.
    pub fn of(credential: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, credential.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// Who is behind a credential, and what that leans on.
pub struct Credential {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// What a change makes stale.
    pub subject: Arc<Subject>,
    /// The first second since the epoch at which it is over.
    over_at: i64,
    token: Option<Token>,
}

/// How many entries' room a caller takes: one with many limits and models takes that of several.
pub fn weight(principal: &Principal) -> u32 {
    let models = match &principal.models {
        ModelAccess::All => 0,
        ModelAccess::Only(models) => models.len(),
    };
    let parts = principal.limits.len() + models;
    u32::try_from(1 + parts / 4).unwrap_or(u32::MAX)
}

/// An access token that was verified here.
struct Token {
    key: String,
    id: String,
}

impl Credential {
    /// What auth said of a credential.
    pub fn asked(principal: Principal, subject: Arc<Subject>) -> Self {
        Self {
            over_at: principal.expires_at.unwrap_or(i64::MAX),
            principal: Arc::new(principal),
            subject,
            token: None,
        }
    }

    /// An access token that the key `kid` signed: its client, narrowed to `scopes`. A token ends
    /// with leeway for clocks, its client at its second.
    pub fn verified(
        client: &Principal,
        subject: Arc<Subject>,
        scopes: Scopes,
        kid: String,
        claims: Claims,
    ) -> Self {
        let client_ends = client.expires_at.unwrap_or(i64::MAX);
        let principal = Principal {
            scopes,
            expires_at: Some(claims.exp.min(client_ends)),
            ..client.clone()
        };
        Self {
            principal: Arc::new(principal),
            subject,
            over_at: claims.exp.saturating_add(times::SKEW).min(client_ends),
            token: Some(Token {
                key: kid,
                id: claims.jti,
            }),
        }
    }

    /// How many entries' room it takes.
    pub fn weight(&self) -> u32 {
        weight(&self.principal)
    }

    /// Whether no question to auth about this very credential was needed.
    pub fn is_verified_here(&self) -> bool {
        self.token.is_some()
    }

    /// When what it was presented for at `now` ends with it. The leeway is for tokens that arrive.
    pub fn ends_at(&self, now: i64) -> i64 {
        let ends = self.principal.expires_at.unwrap_or(i64::MAX);
        if now < ends { ends } else { self.over_at }
    }

    /// Whether its lifetime is over at `now`.
    pub fn is_over(&self, now: i64) -> bool {
        now >= self.over_at
    }

    /// The last second of its lifetime.
    pub fn last_second(&self) -> i64 {
        self.over_at.saturating_sub(1)
    }

    /// Whether it may be used without asking, at `now` in seconds since the epoch.
    pub fn holds(&self, keys: &Keys, revoked: &Revoked, now: i64) -> bool {
        !self.subject.is_stale() && self.is_in_force(keys, revoked, now)
    }

    /// Whether it is not over, and the key and the `jti` of a token are good.
    pub fn is_in_force(&self, keys: &Keys, revoked: &Revoked, now: i64) -> bool {
        !self.is_over(now)
            && self
                .token
                .as_ref()
                .is_none_or(|token| keys.has(&token.key) && !revoked.contains(&token.id))
    }
}
