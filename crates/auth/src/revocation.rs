//! Ending an access token before its time (RFC 7009).

use serde_json::json;

use crate::change::{Actor, Entry, action};
use crate::store::{ClientRow, Store};
use crate::{Auth, Error, clock};

/// Revoked tokens of one client that are remembered at once: every gateway holds all of them.
const MAX_REVOKED: i64 = 1_000;

impl Auth {
    /// Ends an access token of `client`. Any other token is none of its business, and the answer
    /// does not tell which it is (RFC 7009, section 2.2).
    pub(crate) async fn revoke(&self, client: &ClientRow, token: &str) -> Result<(), Error> {
        let claims = match self.verify_access_token(token, clock::now()).await {
            Ok(claims) if claims.client_id == client.id => claims,
            Ok(_) | Err(Error::Refused(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let store = &self.inner.store;
        // Nothing is left to be done, and nobody has to wait for it.
        if store.is_revoked(&claims.jti).await? {
            return Ok(());
        }
        if store.count_revoked_tokens(&client.id, clock::now()).await? >= MAX_REVOKED {
            return Err(Error::TooManyRevocations);
        }
        let mut change = store.change().await?;
        let connection = change.connection();
        if !Store::insert_revoked_token(connection, &claims.jti, &client.id, claims.exp).await? {
            // The change is dropped: a token ends once.
            return Ok(());
        }
        let entry = Entry {
            action: action::TOKEN_REVOKE,
            tenant: Some(client.grant.tenant.clone()),
            target: claims.jti,
            details: json!({ "client": client.id, "expires_at": claims.exp }),
        };
        let actor = Actor::Client(client.id.clone());
        self.commit(change, &actor, entry).await?;
        Ok(())
    }
}
