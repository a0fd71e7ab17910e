//! The clients and API keys that answers are about, so that a change finds them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fathom_proto::id::TenantId;
use fathom_proto::identity::Principal;
use tokio_util::sync::CancellationToken;

/// Changes remembered one by one; an answer that more than these have overtaken is asked again.
const RECENT: usize = 1024;

/// Fewer entries than this are not worth a sweep.
const FIRST_SWEEP: usize = 1024;

/// A client or an API key as it was when auth was asked.
#[derive(Debug)]
pub struct Subject {
    tenant: TenantId,
    stale: CancellationToken,
}

impl Subject {
    fn of(principal: &Principal) -> Self {
        Self {
            tenant: principal.tenant.clone(),
            stale: CancellationToken::new(),
        }
    }

    /// One that must be asked again at once.
    pub fn stale(principal: &Principal) -> Self {
        let subject = Self::of(principal);
        subject.stale.cancel();
        subject
    }

    /// Whether something has changed since.
    pub fn is_stale(&self) -> bool {
        self.stale.is_cancelled()
    }

    /// Completes when something has changed.
    pub async fn changed(&self) {
        self.stale.cancelled().await;
    }
}

/// Every subject that a cached answer or an open stream holds. Those bound it: the entries of the
/// ones that were let go are swept out before the table grows.
#[derive(Default)]
pub struct Subjects(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Counts changes.
    epoch: u64,
    /// What the last ones of them touched.
    recent: VecDeque<Owned>,
    live: HashMap<String, Weak<Subject>>,
    sweep_at: usize,
}

/// What a change touches.
#[derive(Clone, Copy, Debug)]
pub enum Touched<'a> {
    /// Every subject.
    All,
    /// Those of a tenant.
    Tenant(&'a TenantId),
    /// The one with this id.
    One(&'a str),
}

impl Subjects {
    /// A number that grows with every change; read it before asking auth.
    pub fn epoch(&self) -> u64 {
        self.table().epoch
    }

    /// The subject of an answer to a question asked in `epoch`; `None` if a change has touched it
    /// since, because the answer may be older than the change.
    pub fn admit(&self, epoch: u64, principal: &Principal) -> Option<Arc<Subject>> {
        let mut table = self.table();
        if table.has_touched(principal, epoch) {
            return None;
        }
        let known = table.live.get(&principal.subject).and_then(Weak::upgrade);
        // One id in two tenants cannot be; if it is, neither must miss the other's changes.
        if let Some(subject) = known.filter(|subject| subject.tenant == principal.tenant) {
            return Some(subject);
        }
        table.sweep();
        let subject = Arc::new(Subject::of(principal));
        let entry = Arc::downgrade(&subject);
        let replaced = table.live.insert(principal.subject.clone(), entry);
        if let Some(replaced) = replaced.and_then(|subject| subject.upgrade()) {
            replaced.stale.cancel();
        }
        Some(subject)
    }

    /// Makes subjects stale, and answers that are on their way too old to be kept.
    pub fn change(&self, touched: Touched<'_>) {
        let mut table = self.table();
        table.epoch += 1;
        if table.recent.len() == RECENT {
            table.recent.pop_front();
        }
        table.recent.push_back(touched.into());
        let tenant = match touched {
            Touched::One(id) => {
                if let Some(subject) = table.live.remove(id).and_then(|it| it.upgrade()) {
                    subject.stale.cancel();
                }
                return;
            }
            Touched::Tenant(tenant) => Some(tenant),
            Touched::All => None,
        };
        table.live.retain(|_, subject| {
            let Some(subject) = subject.upgrade() else {
                return false;
            };
            let touched = tenant.is_none_or(|tenant| subject.tenant == *tenant);
            if touched {
                subject.stale.cancel();
            }
            !touched
        });
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing is half done between two statements that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a change touched, remembered.
enum Owned {
    All,
    Tenant(TenantId),
    One(String),
}

impl From<Touched<'_>> for Owned {
    fn from(touched: Touched<'_>) -> Self {
        match touched {
            Touched::All => Self::All,
            Touched::Tenant(tenant) => Self::Tenant(tenant.clone()),
            Touched::One(id) => Self::One(id.to_owned()),
        }
    }
}

impl Table {
    /// Whether a change after `epoch` touched the principal, as far as is known.
    fn has_touched(&self, principal: &Principal, epoch: u64) -> bool {
        let Ok(since) = usize::try_from(self.epoch - epoch) else {
            return true;
        };
        since > self.recent.len()
            || self
                .recent
                .iter()
                .rev()
                .take(since)
                .any(|change| match change {
                    Owned::All => true,
                    Owned::Tenant(tenant) => *tenant == principal.tenant,
                    Owned::One(id) => *id == principal.subject,
                })
    }

    fn sweep(&mut self) {
        if self.live.len() < self.sweep_at.max(FIRST_SWEEP) {
            return;
        }
        self.live.retain(|_, subject| subject.strong_count() > 0);
        self.sweep_at = 2 * self.live.len();
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::identity::{ModelAccess, Scopes};

    use super::*;

    fn principal(tenant: &str, subject: &str) -> Principal {
        Principal {
            tenant: tenant.into(),
            subject: subject.into(),
            scopes: Scopes::default(),
            models: ModelAccess::All,
            limits: Arc::default(),
            expires_at: None,
        }
    }

    fn admit(subjects: &Subjects, tenant: &str, subject: &str) -> Arc<Subject> {
        let epoch = subjects.epoch();
        subjects.admit(epoch, &principal(tenant, subject)).unwrap()
    }

    #[test]
    fn a_change_makes_stale_what_it_touches_and_nothing_else() {
        let subjects = Subjects::default();
        let [a, b, c] = [("t", "a"), ("t", "b"), ("u", "c")]
            .map(|(tenant, subject)| admit(&subjects, tenant, subject));
        let stale = || [&a, &b, &c].map(|subject| subject.is_stale());
        subjects.change(Touched::One("a"));
        assert_eq!(stale(), [true, false, false]);
        subjects.change(Touched::Tenant(&"t".into()));
        assert_eq!(stale(), [true, true, false]);
        subjects.change(Touched::All);
        assert_eq!(stale(), [true, true, true]);
        assert!(!admit(&subjects, "t", "a").is_stale());
    }

    #[test]
    fn two_credentials_of_one_client_share_its_subject() {
        let subjects = Subjects::default();
        let one = admit(&subjects, "t", "a");
        assert!(Arc::ptr_eq(&one, &admit(&subjects, "t", "a")));
    }

    #[test]
    fn an_answer_that_a_change_overtook_is_not_admitted() {
        let subjects = Subjects::default();
        let asker = principal("t", "a");
        let tenant = TenantId::from("t");
        for touched in [Touched::One("a"), Touched::Tenant(&tenant), Touched::All] {
            let epoch = subjects.epoch();
            subjects.change(touched);
            subjects.change(Touched::One("somebody else"));
            assert!(subjects.admit(epoch, &asker).is_none(), "{touched:?}");
        }
        let epoch = subjects.epoch();
        subjects.change(Touched::One("somebody else"));
        assert!(subjects.admit(epoch, &asker).is_some());
        for _ in 0..RECENT {
            subjects.change(Touched::One("somebody else"));
        }
        assert!(
            subjects.admit(epoch, &asker).is_none(),
            "too long ago to tell"
        );
    }

    #[test]
    fn subjects_that_nobody_holds_do_not_pile_up() {
        let subjects = Subjects::default();
        for i in 0..10 * FIRST_SWEEP {
            drop(admit(&subjects, "t", &i.to_string()));
        }
        assert!(subjects.table().live.len() <= FIRST_SWEEP);
    }
}
