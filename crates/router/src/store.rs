//! Models in the database, and every change to them: the router and the command line change them
//! here, beside one another.

use fathom_proto::administration::AuditPage;
use fathom_proto::id::ModelId;
use fathom_proto::inference::Sampling;
use fathom_proto::models::{
    Canary, Deploy, ManagedModel, ModelChange, ModelPatch, ModelState, ModelVersion, NewModel,
    RollBack, Step,
};
use sqlx::AnyPool;

use crate::{Error, rollout};

mod change;
mod check;
pub(crate) mod rows;

use change::{Change, Record};

/// The first version of a model that is served under its own name.
const AS_BEFORE: &str = "the model as it was without versions";

/// Models in the database, and every change to them. A change is a transaction with a row in the
/// record of changes, and one change is made at a time.
#[derive(Clone, Debug)]
pub struct ModelStore {
    pub(crate) pool: AnyPool,
}

impl ModelStore {
    /// Over a migrated database.
    #[must_use]
    pub const fn new(pool: AnyPool) -> Self {
        Self { pool }
    }

    /// Every model, by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn models(&self) -> Result<Vec<ManagedModel>, Error> {
        rows::models(&self.pool).await
    }

    /// One model.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`].
    pub async fn model(&self, id: &ModelId) -> Result<ManagedModel, Error> {
        check::known(id)?;
        rows::model(&mut *self.pool.acquire().await?, id).await
    }

    /// The versions of a model, the newest first.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`].
    pub async fn versions(&self, id: &ModelId) -> Result<Vec<ModelVersion>, Error> {
        self.model(id).await?;
        rows::versions_of(&self.pool, id).await
    }

    /// The changes of a model after one of them, the oldest first.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], and [`Error::InvalidField`] of the page.
    pub async fn history(&self, id: &ModelId, page: AuditPage) -> Result<Vec<ModelChange>, Error> {
        let limit = check::limit(page.limit())?;
        self.model(id).await?;
        rows::changes(&self.pool, id, page.after, limit).await
    }

    /// Makes a model.
    ///
    /// # Errors
    /// [`Error::InvalidField`], and [`Error::Conflict`] when the name is taken.
    pub async fn create(&self, actor: &str, new: NewModel) -> Result<ManagedModel, Error> {
        check::new_model(&new)?;
        let mut change = Change::begin(&self.pool).await?;
        change.insert(&new).await?;
        let model = change.model(&new.id).await?;
        let mut state = model.state.clone();
        if let Some(target) = new.target {
            let number = change
                .add_version(actor, &new.id, &target, &Sampling::default(), "")
                .await?;
            state.stable = Some(number);
        }
        let record = Record::new(actor, "create", "");
        change.commit(model, state, record).await
    }

    /// Changes what holds of a model whatever version answers.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], and [`Error::InvalidField`].
    pub async fn update(
        &self,
        actor: &str,
        id: &ModelId,
        patch: ModelPatch,
    ) -> Result<ManagedModel, Error> {
        let (mut change, model) = self.change(id, None).await?;
        let mut state = model.state.clone();
        if let Some(fallback) = patch.fallback {
            if let Some(fallback) = &fallback {
                check::fallback(id, fallback)?;
                if change.model(fallback).await.is_err() {
                    let problem = format!("names the model `{fallback}`, which does not exist");
                    return check::invalid("fallback", problem);
                }
            }
            state.fallback = fallback;
        }
        if let Some(hedging) = patch.hedging {
            state.hedging = hedging;
        }
        if state == model.state {
            return Ok(model);
        }
        let record = Record::new(actor, "update", "");
        change.commit(model, state, record).await
    }

    /// Tries a version out with some of the users, or with more or fewer of them.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::InvalidField`], and [`Error::Conflict`] when another
    /// version is tried out, or this one answers everybody.
    pub async fn deploy(
        &self,
        actor: &str,
        id: &ModelId,
        deploy: Deploy,
    ) -> Result<ManagedModel, Error> {
        check::deploy(&deploy)?;
        let (mut change, model) = self.change(id, deploy.if_last_change).await?;
        let mut state = model.state.clone();
        if state.stable.is_none() {
            let as_before = Sampling::default();
            let number = change
                .add_version(actor, id, id, &as_before, AS_BEFORE)
                .await?;
            state.stable = Some(number);
        }
        let version = match (deploy.version, &deploy.target) {
            (Some(number), _) => change.version(id, number).await?,
            (None, Some(target)) => {
                let parameters = &deploy.parameters;
                change
                    .add_version(actor, id, target, parameters, &deploy.why)
                    .await?
            }
            (None, None) => return check::invalid("target", "is missing".to_owned()),
        };
        let running = state.canary.filter(|canary| canary.version == version);
        let guard = deploy.guard.or(running.map(|canary| canary.guard));
        let canary = Canary {
            version,
            percent: deploy.percent,
            guard: guard.unwrap_or_default(),
            since: change.at,
        };
        rollout::deploy(&mut state, canary)?;
        let record = Record::new(actor, "deploy", &deploy.why);
        change.commit(model, state, record).await
    }

    /// Lets the version that is tried out answer everybody.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], and [`Error::Conflict`] when none is tried out.
    pub async fn promote(
        &self,
        actor: &str,
        id: &ModelId,
        promote: Step,
    ) -> Result<ManagedModel, Error> {
        self.step(id, promote.if_last_change, rollout::promote)
            .await?
            .commit(Record::new(actor, "promote", &promote.why))
            .await
    }

    /// Lets a version answer that did so before, and ends a trial.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], and [`Error::Conflict`] when it is not one of the last three.
    pub async fn roll_back(
        &self,
        actor: &str,
        id: &ModelId,
        roll_back: RollBack,
    ) -> Result<ManagedModel, Error> {
        self.step(id, roll_back.if_last_change, |state| {
            rollout::roll_back(state, roll_back.to)
        })
        .await?
        .commit(Record::new(actor, "rollback", &roll_back.why))
        .await
    }

    /// Ends a trial.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], and [`Error::Conflict`] when there is none.
    pub async fn abort(
        &self,
        actor: &str,
        id: &ModelId,
        abort: Step,
    ) -> Result<ManagedModel, Error> {
        self.step(id, abort.if_last_change, rollout::abort)
            .await?
            .commit(Record::new(actor, "abort", &abort.why))
            .await
    }

    /// Ends this very trial, because it goes badly. [`Error::Conflict`]: it is over already.
    pub(crate) async fn end_trial(
        &self,
        actor: &str,
        id: &ModelId,
        canary: Canary,
        why: &str,
    ) -> Result<ManagedModel, Error> {
        self.step(id, None, |state| match state.canary {
            Some(running) if (running.version, running.since) == (canary.version, canary.since) => {
                rollout::abort(state)
            }
            _ => Err(Error::Conflict("the trial is over".to_owned())),
        })
        .await?
        .commit(Record::new(actor, "guard", why))
        .await
    }

    /// The change of a state that takes nothing else.
    async fn step(
        &self,
        id: &ModelId,
        if_last_change: Option<u64>,
        step: impl FnOnce(&mut ModelState) -> Result<(), Error>,
    ) -> Result<Stepped, Error> {
        let (change, model) = self.change(id, if_last_change).await?;
        let mut state = model.state.clone();
        step(&mut state)?;
        Ok(Stepped {
            change,
            model,
            state,
        })
    }

    /// Begins a change of a model that is as the caller takes it to be.
    async fn change(
        &self,
        id: &ModelId,
        if_last_change: Option<u64>,
    ) -> Result<(Change, ManagedModel), Error> {
        check::known(id)?;
        let mut change = Change::begin(&self.pool).await?;
        let model = change.model(id).await?;
        if if_last_change.is_some_and(|expected| expected != model.last_change) {
            return Err(Error::Conflict(format!(
                "the last change of `{id}` is {}; look at the model and decide anew",
                model.last_change
            )));
        }
        Ok((change, model))
    }
}

/// A step that is made and not yet on record.
struct Stepped {
    change: Change,
    model: ManagedModel,
    state: ModelState,
}

impl Stepped {
    async fn commit(self, record: Record<'_>) -> Result<ManagedModel, Error> {
        self.change.commit(self.model, self.state, record).await
    }
}
