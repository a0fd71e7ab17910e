//! What a client or an API key may do, and whether it still may.

use fathom_proto::id::TenantId;
use fathom_proto::identity::{ModelAccess, Principal, Scopes};

use crate::{Auth, Error, Refusal};

/// The rights of a client or an API key: its own, within those of its tenant.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub tenant: TenantId,
    pub scopes: Scopes,
    pub models: ModelAccess,
    /// When it or its tenant ends, in seconds since the epoch.
    pub expires_at: Option<i64>,
    /// It or its tenant is switched off.
    pub disabled: bool,
}

impl Grant {
    /// When a token made to end at `exp` ends: never after the rights behind it.
    pub(crate) fn end_by(&self, exp: i64) -> i64 {
        self.expires_at.map_or(exp, |end| end.min(exp))
    }

    /// Refuses rights that are switched off, over, or empty.
    pub(crate) fn check(&self, now: i64) -> Result<(), Refusal> {
        if self.disabled {
            Err(Refusal::Disabled)
        } else if self.expires_at.is_some_and(|end| now >= end) {
            Err(Refusal::Expired)
        } else if self.scopes.is_empty() {
            Err(Refusal::NoScope)
        } else {
            Ok(())
        }
    }
}

impl Auth {
    /// The caller behind a grant that holds, with the limits of its tenant and its own.
    pub(crate) async fn principal(
        &self,
        subject: String,
        grant: Grant,
    ) -> Result<Principal, Error> {
        let limits = self.inner.store.limits_of(&grant.tenant, &subject).await?;
        Ok(Principal {
            tenant: grant.tenant,
            subject,
            scopes: grant.scopes,
            models: grant.models,
            limits: limits.into(),
            expires_at: grant.expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::identity::Scope;

    use super::*;

    #[test]
    fn rights_end_when_disabled_expired_or_empty() {
        let grant = Grant {
            tenant: "t".into(),
            scopes: Scopes::from_iter([Scope::Inference]),
            models: ModelAccess::All,
            expires_at: Some(100),
            disabled: false,
        };
        assert_eq!((grant.end_by(99), grant.end_by(101)), (99, 100));
        assert_eq!(grant.check(99), Ok(()));
        assert_eq!(grant.check(100), Err(Refusal::Expired));
        let disabled = Grant {
            disabled: true,
            ..grant.clone()
        };
        assert_eq!(disabled.check(99), Err(Refusal::Disabled));
        let empty = Grant {
            scopes: Scopes::default(),
            ..grant
        };
        assert_eq!(empty.check(99), Err(Refusal::NoScope));
    }
}
