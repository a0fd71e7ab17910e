//! Secrets of clients. A client may have several at once, so that it can be moved over.

use fathom_proto::administration::{ClientMethod, ClientSecret, NewClientSecret, NewlyMade};
use serde_json::json;

use super::check;
use super::clients::{entry, signs};
use crate::change::action;
use crate::store::Store;
use crate::{Actor, Auth, Error, clock};

/// Live secrets of one client; replacing one needs two.
const MAX_LIVE: usize = 4;

impl Auth {
    /// Gives a client one more secret.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::InvalidField`], also when the client has four or can have
    /// none.
    pub async fn add_client_secret(
        &self,
        actor: &Actor,
        client: &str,
        new: NewClientSecret,
    ) -> Result<NewlyMade<ClientSecret>, Error> {
        let now = clock::now();
        check::new_end(new.expires_at, now)?;
        let found = self.client(client).await?;
        if found.method == ClientMethod::PrivateKeyJwt {
            return Err(Error::InvalidField {
                field: "client",
                problem: "has the method private_key_jwt, and so no secret; change its jwks",
            });
        }
        let (row, text) = self.new_secret(client, signs(&found)).await?;
        let made = ClientSecret {
            id: row.id.clone(),
            created_at: now,
            expires_at: new.expires_at,
        };
        let mut change = self.inner.store.change().await?;
        let found = Store::client_resource(change.connection(), client, now).await?;
        let found = found.ok_or(Error::NotFound("client"))?;
        if found.secrets.len() >= MAX_LIVE {
            return Err(Error::InvalidField {
                field: "client",
                problem: "has 4 secrets, which is the most; remove one first",
            });
        }
        Store::insert_secret(change.connection(), client, &row, new.expires_at, now).await?;
        let details = json!({ "secret": made });
        let entry = entry(action::CLIENT_SECRET_ADD, &found, details);
        self.commit(change, actor, entry).await?;
        Ok(NewlyMade {
            made,
            secret: Some(text),
        })
    }

    /// Ends a secret of a client at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the client does not exist or the secret is not its own.
    pub async fn remove_client_secret(
        &self,
        actor: &Actor,
        client: &str,
        secret: &str,
    ) -> Result<(), Error> {
        let client = check::id(client, "client")?;
        let secret = check::id(secret, "secret of this client")?;
        let mut change = self.inner.store.change().await?;
        let found = Store::client_resource(change.connection(), client, clock::now()).await?;
        let found = found.ok_or(Error::NotFound("client"))?;
        if !Store::delete_secret(change.connection(), client, secret).await? {
            return Err(Error::NotFound("secret of this client"));
        }
        let details = json!({ "secret": { "id": secret } });
        let entry = entry(action::CLIENT_SECRET_REMOVE, &found, details);
        self.commit(change, actor, entry).await?;
        Ok(())
    }
}
