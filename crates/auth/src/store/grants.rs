//! What tables `clients` and `api_keys` say of rights, with what `tenants` says.

use fathom_proto::identity::ModelAccess;

use super::{model_names, scopes};
use crate::Error;
use crate::grant::Grant;

/// The columns behind a grant.
#[derive(sqlx::FromRow)]
pub(super) struct GrantColumns {
    tenant_id: String,
    scopes: String,
    models: Option<String>,
    expires_at: Option<i64>,
    disabled_at: Option<i64>,
    tenant_expires_at: Option<i64>,
    tenant_disabled_at: Option<i64>,
}

impl GrantColumns {
    /// The grant of the row with this id.
    pub fn grant(self, table: &'static str, id: &str) -> Result<Grant, Error> {
        let ends = [self.expires_at, self.tenant_expires_at];
        Ok(Grant {
            tenant: self.tenant_id.into(),
            scopes: scopes(table, id, &self.scopes)?,
            models: match self.models {
                Some(text) => ModelAccess::Only(model_names(&text).into()),
                None => ModelAccess::All,
            },
            expires_at: ends.into_iter().flatten().min(),
            disabled: self.disabled_at.or(self.tenant_disabled_at).is_some(),
        })
    }
}
