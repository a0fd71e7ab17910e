//! Parts of lists.

use crate::administration::{AuditPage, Page};
use crate::pb::auth as pb;

impl From<Page> for pb::Page {
    fn from(Page { after, limit }: Page) -> Self {
        Self { after, limit }
    }
}

impl From<Option<pb::Page>> for Page {
    fn from(message: Option<pb::Page>) -> Self {
        let pb::Page { after, limit } = message.unwrap_or_default();
        Self { after, limit }
    }
}

impl From<AuditPage> for pb::ReadAuditLogRequest {
    fn from(AuditPage { after, limit }: AuditPage) -> Self {
        Self { after, limit }
    }
}

impl From<pb::ReadAuditLogRequest> for AuditPage {
    fn from(pb::ReadAuditLogRequest { after, limit }: pb::ReadAuditLogRequest) -> Self {
        Self { after, limit }
    }
}
