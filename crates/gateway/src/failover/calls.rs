//! The other ports of routers: what only reads, or comes to the same if it is done twice, is asked
//! again; a change of models only if it has reached no router.

use fathom_proto::Error;
use fathom_proto::administration::AuditPage;
use fathom_proto::catalog::{Catalog, Model};
use fathom_proto::feedback::{Feedback, Score};
use fathom_proto::id::{ModelId, RequestId, TenantId};
use fathom_proto::models::{
    Deploy, ManagedModel, ModelChange, ModelPatch, ModelVersion, Models, NewModel, RollBack, Step,
};

use crate::failover::Failover;

#[tonic::async_trait]
impl Catalog for Failover {
    async fn list_models(&self) -> Result<Vec<Model>, Error> {
        let retry = self.retry(None, None);
        self.call(retry, |router| {
            Box::pin(async move { router.ports.catalog.list_models().await })
        })
        .await
    }
}

#[tonic::async_trait]
impl Feedback for Failover {
    /// A score takes the place of the one before, so the same one twice is one.
    async fn score(
        &self,
        tenant: &TenantId,
        request: &RequestId,
        score: Score,
    ) -> Result<(), Error> {
        let retry = self.retry(None, Some(request.clone()));
        self.call(retry, |router| {
            Box::pin(async move { router.ports.feedback.score(tenant, request, score).await })
        })
        .await
    }
}

/// A call of the port `Models`.
macro_rules! call {
    ($self:ident, $retry:expr, $call:ident($($argument:expr),*)) => {
        $self
            .call($retry, |router| {
                Box::pin(async move { router.ports.models.$call($($argument),*).await })
            })
            .await
    };
}

/// One that only reads.
macro_rules! read {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        call!($self, $self.retry(None, None), $call($($argument),*))
    };
}

/// One that changes something, which nobody wants twice.
macro_rules! change {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        call!($self, $self.retry(None, None).once(), $call($($argument),*))
    };
}

#[tonic::async_trait]
impl Models for Failover {
    async fn models(&self) -> Result<Vec<ManagedModel>, Error> {
        read!(self.models())
    }

    async fn model(&self, id: &ModelId) -> Result<ManagedModel, Error> {
        read!(self.model(id))
    }

    async fn create(&self, actor: &str, model: NewModel) -> Result<ManagedModel, Error> {
        let model = &model;
        change!(self.create(actor, model.clone()))
    }

    async fn update(
        &self,
        actor: &str,
        id: &ModelId,
        patch: ModelPatch,
    ) -> Result<ManagedModel, Error> {
        let patch = &patch;
        change!(self.update(actor, id, patch.clone()))
    }

    async fn deploy(
        &self,
        actor: &str,
        id: &ModelId,
        deploy: Deploy,
    ) -> Result<ManagedModel, Error> {
        let deploy = &deploy;
        change!(self.deploy(actor, id, deploy.clone()))
    }

    async fn promote(&self, actor: &str, id: &ModelId, step: Step) -> Result<ManagedModel, Error> {
        let step = &step;
        change!(self.promote(actor, id, step.clone()))
    }

    async fn roll_back(
        &self,
        actor: &str,
        id: &ModelId,
        to: RollBack,
    ) -> Result<ManagedModel, Error> {
        let to = &to;
        change!(self.roll_back(actor, id, to.clone()))
    }

    async fn abort(&self, actor: &str, id: &ModelId, step: Step) -> Result<ManagedModel, Error> {
        let step = &step;
        change!(self.abort(actor, id, step.clone()))
    }

    async fn versions(&self, id: &ModelId) -> Result<Vec<ModelVersion>, Error> {
        read!(self.versions(id))
    }

    async fn history(&self, id: &ModelId, page: AuditPage) -> Result<Vec<ModelChange>, Error> {
        read!(self.history(id, page))
    }
}
