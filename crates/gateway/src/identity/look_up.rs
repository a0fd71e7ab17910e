//! Who is behind a credential that is not remembered.

use std::sync::Arc;

use fathom_proto::identity::{Principal, Scopes};
use fathom_token::{Claims, signed};
use secrecy::{ExposeSecret, SecretString};

use super::credential::Credential;
use super::revoked::Standing;
use super::subjects::Subject;
use super::{Client, Error, Inner, Refusal, now};

/// How often a question that a change overtakes is asked.
pub const TRIES: usize = 3;

impl Inner {
    /// Who is behind a credential that is not remembered.
    pub(super) async fn look_up(&self, bearer: &SecretString) -> Result<Arc<Credential>, Error> {
        let issuer = signed::unverified_issuer(bearer.expose_secret()).ok();
        let held = self.keys.held();
        let ours = held.is_some_and(|held| issuer.as_deref() == Some(held.verifier.issuer()));
        // Without trust, what was revoked lately is not known here.
        let credential = if ours && self.contact.is_trusted() {
            self.verify(bearer).await?
        } else {
            self.ask(bearer).await?
        };
        Ok(Arc::new(credential))
    }

    /// Who is behind a credential whose lifetime is over, for what was begun with it in time: what
    /// else there is to be said against it is looked for as ever. That can be learned of an access
    /// token of ours alone. Of any other credential auth says only that it does not hold, and
    /// whether it was its time or somebody that ended it cannot be told; so it does not.
    pub(super) async fn look_again(
        &self,
        bearer: &SecretString,
        begun: &Credential,
    ) -> Result<Arc<Credential>, Error> {
        let issuer = signed::unverified_issuer(bearer.expose_secret()).ok();
        let held = self.keys.held();
        let ours = held.is_some_and(|held| issuer.as_deref() == Some(held.verifier.issuer()));
        let credential = if !ours {
            self.ask(bearer).await?
        } else if self.contact.is_trusted() {
            self.verify_at(bearer, begun.last_second()).await?
        } else {
            return Err(Error::Unavailable { retry_after: None });
        };
        Ok(Arc::new(credential))
    }

    async fn ask(&self, bearer: &SecretString) -> Result<Credential, Error> {
        let (principal, subject) = self
            .settle(|| self.auth.authenticate(bearer.clone()))
            .await?;
        Ok(Credential::asked(principal, subject))
    }

    /// The identity of an access token of ours, verified here.
    async fn verify(&self, bearer: &SecretString) -> Result<Credential, Error> {
        self.verify_at(bearer, now()).await
    }

    /// The same, of one that is, or was, used at this second since the epoch.
    async fn verify_at(&self, bearer: &SecretString, at: i64) -> Result<Credential, Error> {
        let (kid, claims) = self.signed_claims(bearer.expose_secret(), at).await?;
        let scopes = claims.scopes().map_err(Refusal::Token)?;
        // What is known to be over does not wait for auth to say more.
        if self.revoked.contains(&claims.jti) {
            return Err(Refusal::Revoked.into());
        }
        let client = self.client(&claims.client_id).await?;
        match self.revoked.standing(&claims.jti, now()) {
            Standing::Good => {}
            Standing::Revoked => return Err(Refusal::Revoked.into()),
            // The set of revoked tokens has gaps, so this one may be in it. Of one that is over auth
            // would say so, and no more; the set will soon be whole again.
            Standing::Unknown if at < now() => {
                return Err(Error::Unavailable { retry_after: None });
            }
            Standing::Unknown => return self.ask(bearer).await,
        }
        if client.principal.tenant.as_str() != claims.tenant {
            return Err(Refusal::Tenant.into());
        }
        let scopes = scopes
            .iter()
            .filter(|scope| client.principal.scopes.contains(*scope))
            .collect::<Scopes>();
        let subject = client.subject.clone();
        let credential = Credential::verified(&client.principal, subject, scopes, kid, claims);
        // A key that went while the client was asked for takes its tokens along.
        if !scopes.is_empty() && credential.is_in_force(&self.keys, &self.revoked, at) {
            Ok(credential)
        } else {
            Err(Refusal::Ended.into())
        }
    }

    async fn signed_claims(&self, token: &str, at: i64) -> Result<(String, Claims), Error> {
        let verified = self.keys.verify(token, at);
        if verified != Err(fathom_token::Refusal::UnknownKey) {
            return Ok(verified.map_err(Refusal::Token)?);
        }
        if let Some(kid) = signed::header(token).ok().and_then(|header| header.kid) {
            self.look_for_key(&kid).await?;
        }
        Ok(self.keys.verify(token, at).map_err(Refusal::Token)?)
    }

    /// What a client may do now.
    async fn client(&self, id: &str) -> Result<Arc<Client>, Error> {
        if self.contact.is_trusted()
            && let Some(client) = self.clients.get(id).await
            && !client.subject.is_stale()
        {
            return Ok(client);
        }
        self.clients.invalidate(id).await;
        let ask = async {
            let (principal, subject) = self.settle(|| self.auth.client(id)).await?;
            Ok(Arc::new(Client { principal, subject }))
        };
        let client = self.clients.try_get_with_by_ref(id, ask).await;
        client.map_err(|error: Arc<Error>| *error)
    }

    /// Asks until no change comes between question and answer. If one always does, the answer is
    /// good for this once: its subject is stale from the start.
    async fn settle<F>(&self, ask: impl Fn() -> F) -> Result<(Principal, Arc<Subject>), Error>
    where
        F: Future<Output = Result<Principal, Error>>,
    {
        let mut tries = 0;
        loop {
            let epoch = self.subjects.epoch();
            let principal = ask().await?;
            tries += 1;
            match self.subjects.admit(epoch, &principal) {
                Some(subject) => return Ok((principal, subject)),
                None if tries == TRIES => {
                    let subject = Arc::new(Subject::stale(&principal));
                    return Ok((principal, subject));
                }
                None => {}
            }
        }
    }
}
