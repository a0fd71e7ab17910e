//! `/admin/v1/audit`

use axum::Json;
use axum::extract::State;
use fathom_proto::administration::{AuditEntry, AuditPage};

use super::answer::List;
use super::request::{Bearer, Query};
use crate::Gateway;
use crate::error::ApiError;

pub async fn list(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Query(page): Query<AuditPage>,
) -> Result<Json<List<AuditEntry>>, ApiError> {
    let call = gateway.administration.audit(&caller, page);
    Ok(List::part(gateway.call(call).await?, page.limit()))
}
