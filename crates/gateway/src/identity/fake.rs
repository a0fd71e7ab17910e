//! An auth service that tests turn every way: it signs tokens, changes its mind, and goes away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use fathom_proto::identity::{
    AccessToken, Change, ChangeStream, ClientAuthentication, ClientProof, Identity, Introspection,
    KeySet, ModelAccess, Notice, Principal, Scope, TokenRequest,
};
use fathom_proto::{Error, ErrorCode};
use fathom_token::{Claims, TYPE};
use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{Instant, sleep_until};

use super::now;

/// Credentials that are known from the start, and such that auth does not survive well.
pub const ALL_SCOPES: &str = "all-scopes";
pub const NO_SCOPES: &str = "no-scopes";
pub const AUTH_IS_DOWN: &str = "auth-is-down";
pub const AUTH_HANGS: &str = "auth-hangs";
pub const AUTH_PANICS: &str = "auth-panics";
pub const AUTH_FAILS: &str = "auth-fails";

pub const ISSUER: &str = "https://llm.example.com";

pub struct FakeAuth {
    state: Mutex<State>,
    notices: broadcast::Sender<Notice>,
    silent: watch::Sender<bool>,
    /// Answers of `authenticate` wait for it while [`State::held`].
    pub release: Notify,
}

#[derive(Default)]
pub struct State {
    /// Whose each credential is, access tokens apart.
    pub credentials: HashMap<String, Principal>,
    pub clients: HashMap<String, Principal>,
    /// Ids of the keys of the key set; each id makes a key.
    pub keys: Vec<&'static str>,
    /// Whether questions are answered.
    pub down: bool,
    /// Whether answers of `authenticate` wait to be released.
    pub held: bool,
    /// How often each question was asked.
    pub authenticated: usize,
    pub described: usize,
    pub key_sets: usize,
    /// Where each watcher wanted to go on.
    pub watched: Vec<Option<i64>>,
    /// The last clients that said who they are.
    pub seen: Vec<ClientAuthentication>,
    position: i64,
}

pub fn principal(subject: &str, scopes: &[Scope]) -> Principal {
    Principal {
        tenant: "tenant".into(),
        subject: subject.to_owned(),
        scopes: scopes.iter().copied().collect(),
        models: ModelAccess::All,
        limits: Arc::default(),
        expires_at: None,
    }
}

fn key_pair(kid: &str) -> Ed25519KeyPair {
    let mut seed = [0; 32];
    seed[..kid.len()].copy_from_slice(kid.as_bytes());
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
}

/// Claims of a good token of the client `client`.
pub fn claims(jti: &str) -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        sub: "client".to_owned(),
        aud: ISSUER.to_owned(),
        client_id: "client".to_owned(),
        iat: now(),
        exp: now() + 3600,
        nbf: None,
        jti: jti.to_owned(),
        scope: "inference".to_owned(),
        tenant: "tenant".to_owned(),
    }
}

/// A token with these claims, signed by the key `kid`.
pub fn token(kid: &str, claims: &Claims) -> SecretString {
    let header = json!({"typ": TYPE, "alg": "EdDSA", "kid": kid});
    let [header, claims] = [header.to_string(), serde_json::to_string(claims).unwrap()]
        .map(|part| BASE64URL.encode(part));
    let signed = format!("{header}.{claims}");
    let signature = BASE64URL.encode(key_pair(kid).sign(signed.as_bytes()));
    format!("{signed}.{signature}").into()
}

impl FakeAuth {
    /// One client with every scope, one signing key `a`, and two keys.
    pub fn new() -> Arc<Self> {
        let state = State {
            clients: [("client".to_owned(), principal("client", &Scope::ALL))].into(),
            credentials: [
                (ALL_SCOPES.to_owned(), principal("caller", &Scope::ALL)),
                (NO_SCOPES.to_owned(), principal("nothing", &[])),
            ]
            .into(),
            keys: vec!["a"],
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            notices: broadcast::Sender::new(1000),
            silent: watch::Sender::new(false),
            release: Notify::new(),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Makes an API key.
    pub fn key(&self, bearer: &str, subject: &str, scopes: &[Scope]) {
        let principal = principal(subject, scopes);
        self.state()
            .credentials
            .insert(bearer.to_owned(), principal);
    }

    /// Tells all watchers.
    pub fn tell(&self, change: Change) {
        let mut state = self.state();
        state.position += 1;
        let notice = Notice {
            position: state.position,
            change: Some(change),
        };
        // Nobody may be watching.
        let _ = self.notices.send(notice);
    }

    /// Neither answers nor speaks any more.
    pub fn go_down(&self) {
        self.state().down = true;
        self.silent.send_replace(true);
    }

    /// Answers again, and takes watchers again.
    pub fn come_back(&self) {
        self.state().down = false;
        self.silent.send_replace(false);
    }

    fn up(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        if state.down {
            return Err(Error::new(ErrorCode::Unavailable, "down"));
        }
        Ok(state)
    }

    fn client_of(&self, client: ClientAuthentication) -> Result<(), Error> {
        let mut state = self.up()?;
        let secret = match &client.proof {
            ClientProof::Secret(secret) => secret.expose_secret() == "a:b% c",
            ClientProof::Assertion(assertion) => assertion.expose_secret() == "assertion",
        };
        let named = client.client_id.as_deref();
        let good = secret && named.is_none_or(|id| id == "c");
        let slowed = named == Some("slowed");
        state.seen.push(client);
        if slowed {
            let error = Error::new(ErrorCode::RateLimited, "too many");
            return Err(error.retry_after(Duration::from_secs(7)));
        }
        good.then_some(())
            .ok_or_else(|| Error::new(ErrorCode::Unauthenticated, "unknown"))
    }
}

#[tonic::async_trait]
impl Identity for FakeAuth {
    async fn authenticate(&self, bearer: SecretString) -> Result<Principal, Error> {
        match bearer.expose_secret() {
            AUTH_HANGS => std::future::pending().await,
            AUTH_PANICS => panic!("a bug with a secret in it"),
            AUTH_IS_DOWN => return Err(Error::new(ErrorCode::Unavailable, "down")),
            AUTH_FAILS => return Err(Error::internal("password=hunter2")),
            _ => {}
        }
        let (answer, held) = {
            let mut state = self.up()?;
            state.authenticated += 1;
            (
                state.credentials.get(bearer.expose_secret()).cloned(),
                state.held,
            )
        };
        if held {
            self.release.notified().await;
        }
        answer.ok_or_else(|| Error::new(ErrorCode::Unauthenticated, "unknown"))
    }

    async fn client(&self, id: &str) -> Result<Principal, Error> {
        let mut state = self.up()?;
        state.described += 1;
        let client = state.clients.get(id).cloned();
        client.ok_or_else(|| Error::new(ErrorCode::Unauthenticated, "unknown"))
    }

    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, Error> {
        self.client_of(request.client)?;
        Ok(AccessToken {
            token: "t".into(),
            expires_in: 3600,
            scopes: [Scope::Inference].into_iter().collect(),
        })
    }

    async fn introspect(
        &self,
        client: ClientAuthentication,
        token: SecretString,
    ) -> Result<Option<Introspection>, Error> {
        self.client_of(client)?;
        Ok((token.expose_secret() == "good").then(|| Introspection {
            subject: "c".to_owned(),
            scopes: [Scope::Inference].into_iter().collect(),
            issued_at: Some(1),
            expires_at: Some(2),
            token_id: Some("jti".to_owned()),
        }))
    }

    async fn revoke_token(
        &self,
        client: ClientAuthentication,
        _: SecretString,
    ) -> Result<(), Error> {
        self.client_of(client)
    }

    async fn key_set(&self) -> Result<KeySet, Error> {
        let mut state = self.up()?;
        state.key_sets += 1;
        let keys: Vec<_> = state
            .keys
            .iter()
            .map(|kid| {
                let key = BASE64URL.encode(key_pair(kid).public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": key})
            })
            .collect();
        Ok(KeySet {
            issuer: ISSUER.to_owned(),
            audience: ISSUER.to_owned(),
            jwks: json!({ "keys": keys }).to_string(),
        })
    }

    /// Beats each second, and breaks at the next beat after auth has gone down.
    async fn watch_revocations(&self, after: Option<i64>) -> Result<ChangeStream, Error> {
        let position = {
            let mut state = self.up()?;
            state.watched.push(after);
            state.position
        };
        let begun = (self.notices.subscribe(), Instant::now(), position);
        let mut silent = self.silent.subscribe();
        let notices = futures::stream::unfold(begun, async |(mut notices, beat, position)| {
            tokio::select! {
                biased;
                notice = notices.recv() => {
                    let notice = notice.ok()?;
                    let position = notice.position;
                    Some((Ok(notice), (notices, beat, position)))
                }
                () = sleep_until(beat) => {
                    let notice = Notice { position, change: None };
                    Some((Ok(notice), (notices, beat + Duration::from_secs(1), position)))
                }
            }
        });
        let broken = async move {
            // It fails when the fake is gone.
            let _ = silent.wait_for(|silent| *silent).await;
        };
        Ok(notices.take_until(Box::pin(broken)).boxed())
    }
}
