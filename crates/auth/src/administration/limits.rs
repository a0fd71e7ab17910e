//! Limits: kept here and handed out with each identity, kept to by others. An amount of 0 blocks.

use fathom_proto::id::TenantId;
use fathom_proto::identity::{Limit, LimitTarget, Limits};
use serde_json::json;
use sqlx::AnyConnection;

use super::check;
use crate::change::{Entry, action};
use crate::store::Store;
use crate::{Actor, Auth, Error};

/// Targets with limits in one tenant. All of a subject go with each of its requests.
const MAX_PER_TENANT: i64 = 1_000;

impl Auth {
    /// Limits, by tenant, subject and model; of one tenant or of all.
    ///
    /// # Errors
    /// [`Error::NotFound`] of the tenant; [`Error::InvalidField`] when all are too many to list.
    pub async fn limits(&self, tenant: Option<TenantId>) -> Result<Vec<Limit>, Error> {
        if let Some(tenant) = &tenant {
            self.tenant(tenant.as_str()).await?;
        }
        let tenant = tenant.as_ref().map_or("", TenantId::as_str);
        self.inner.store.limits(tenant).await
    }

    /// Sets the limits of a target, in place of those it had.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], [`Error::NotFound`] of the subject in this tenant, and
    /// [`Error::InvalidField`].
    pub async fn set_limit(&self, actor: &Actor, limit: Limit) -> Result<Limit, Error> {
        check_amounts(&limit.limits)?;
        check_target(&limit.target)?;
        let target = &limit.target;
        let mut change = self.inner.store.change().await?;
        Store::require_tenant(change.connection(), &target.tenant).await?;
        check_subject(change.connection(), target).await?;
        let before = Store::limit(change.connection(), target).await?;
        if before.as_ref() == Some(&limit) {
            return Ok(limit);
        }
        if before.is_none()
            && Store::count_limits(change.connection(), &target.tenant).await? >= MAX_PER_TENANT
        {
            return Err(Error::InvalidField {
                field: "target",
                problem: "is one too many: a tenant can have 1000 limits; remove one first",
            });
        }
        Store::set_limit(change.connection(), &limit).await?;
        let entry = entry(action::LIMIT_SET, target, json!(limit));
        self.commit(change, actor, entry).await?;
        Ok(limit)
    }

    /// Lifts the limits of a target.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the target has none, [`Error::InvalidField`].
    pub async fn remove_limit(&self, actor: &Actor, target: LimitTarget) -> Result<(), Error> {
        check_target(&target)?;
        let mut change = self.inner.store.change().await?;
        if !Store::delete_limit(change.connection(), &target).await? {
            return Err(Error::NotFound("limit"));
        }
        let entry = entry(action::LIMIT_REMOVE, &target, json!({ "target": target }));
        self.commit(change, actor, entry).await?;
        Ok(())
    }
}

fn entry(action: &'static str, target: &LimitTarget, details: serde_json::Value) -> Entry {
    let whose = target.subject.as_deref();
    Entry {
        action,
        tenant: Some(target.tenant.clone()),
        target: whose.unwrap_or(target.tenant.as_str()).to_owned(),
        details,
    }
}

/// Checks that the target could be one; the empty text stands for none in the table.
fn check_target(target: &LimitTarget) -> Result<(), Error> {
    check::id(target.tenant.as_str(), "tenant")?;
    if let Some(subject) = &target.subject {
        check::id(subject, "client or key of this tenant")?;
    }
    check::model(target.model.as_ref())
}

fn check_amounts(limits: &Limits) -> Result<(), Error> {
    if *limits == Limits::default() {
        return Err(Error::InvalidField {
            field: "limits",
            problem: "must name at least one amount; to lift limits, remove them",
        });
    }
    check::amount(limits.tokens_per_minute)?;
    check::amount(limits.budget_micro_usd_per_day)?;
    check::amount(limits.budget_micro_usd_per_month)?;
    Ok(())
}

async fn check_subject(connection: &mut AnyConnection, target: &LimitTarget) -> Result<(), Error> {
    match &target.subject {
        Some(subject) if !Store::is_subject_of(connection, subject, &target.tenant).await? => {
            Err(Error::NotFound("client or key of this tenant"))
        }
        _ => Ok(()),
    }
}
