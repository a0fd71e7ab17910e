//! What a token is good for (RFC 7662).

use fathom_proto::identity::Introspection;

use crate::identity::Identified;
use crate::store::ClientRow;
use crate::{Auth, Error};

impl Auth {
    /// What `token` is good for, if it holds and is of the asking client's tenant. Whether it does
    /// not hold or is another tenant's, the answer is the same.
    pub(crate) async fn inspect_for(
        &self,
        client: &ClientRow,
        token: &str,
    ) -> Result<Option<Introspection>, Error> {
        match self.identify_fully(token).await.1 {
            Ok(found) if found.principal.tenant == client.grant.tenant => Ok(Some(found.into())),
            Ok(_) | Err(Error::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl From<Identified> for Introspection {
    fn from(found: Identified) -> Self {
        Self {
            subject: found.principal.subject,
            scopes: found.principal.scopes,
            issued_at: found.issued_at,
            expires_at: found.principal.expires_at,
            token_id: found.token_id,
        }
    }
}
