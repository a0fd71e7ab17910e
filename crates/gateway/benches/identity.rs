//! What it costs to learn who calls, through the call that the routes' guard makes: an access
//! token never seen before, one seen before, an API key seen before.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has failed"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fathom_gateway::{Config, Identities};
use fathom_kit::shutdown::Shutdown;
use fathom_proto::Error;
use fathom_proto::identity::{
    AccessToken, ChangeStream, ClientAuthentication, Identity, Introspection, KeySet, ModelAccess,
    Notice, Principal, Scope, TokenRequest,
};
use fathom_token::{Claims, TYPE};
use futures::StreamExt;
use secrecy::SecretString;
use serde_json::json;
use tokio::time::{interval, sleep};

const ISSUER: &str = "https://llm.example.com";
const API_KEY: &str = "sk-0123456789abcdef-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

fn identities(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let auth = Arc::new(Auth::new());
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let identities = runtime.block_on(async {
        let identities = Identities::new(auth.clone(), &Config::default());
        shutdown.spawn(identities.clone().keep_current(shutdown.clone()));
        while !identities.in_contact() || identities.key_set().is_none() {
            sleep(Duration::from_millis(1)).await;
        }
        identities
    });
    let ask =
        async |bearer: SecretString| black_box(identities.authenticate(bearer).await.unwrap());

    criterion.bench_function("access token, first seen", |bencher| {
        bencher
            .to_async(&runtime)
            .iter_batched(|| auth.token(), ask, BatchSize::SmallInput);
    });
    let token = auth.token();
    criterion.bench_function("access token, seen before", |bencher| {
        bencher
            .to_async(&runtime)
            .iter_batched(|| token.clone(), ask, BatchSize::SmallInput);
    });
    criterion.bench_function("API key, seen before", |bencher| {
        bencher
            .to_async(&runtime)
            .iter_batched(|| API_KEY.into(), ask, BatchSize::SmallInput);
    });
    runtime.block_on(shutdown.drain());
}

criterion_group!(benches, identities);
criterion_main!(benches);

struct Auth {
    key: Ed25519KeyPair,
    tokens: AtomicU64,
}

impl Auth {
    fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let tokens = AtomicU64::new(0);
        Self { key, tokens }
    }

    /// A token that nobody has seen.
    fn token(&self) -> SecretString {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs().cast_signed();
        let header = json!({"typ": TYPE, "alg": "EdDSA", "kid": "key"});
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: "client".to_owned(),
            aud: ISSUER.to_owned(),
            client_id: "client".to_owned(),
            iat: now,
            exp: now + 3600,
            nbf: None,
            jti: format!("{:032x}", self.tokens.fetch_add(1, Ordering::Relaxed)),
            scope: "inference models:read".to_owned(),
            tenant: "tenant".to_owned(),
        };
        let [header, claims] = [header.to_string(), serde_json::to_string(&claims).unwrap()]
            .map(|part| BASE64URL.encode(part));
        let signed = format!("{header}.{claims}");
        let signature = BASE64URL.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}").into()
    }
}

#[tonic::async_trait]
impl Identity for Auth {
    async fn authenticate(&self, _: SecretString) -> Result<Principal, Error> {
        self.client("client").await
    }

    async fn client(&self, id: &str) -> Result<Principal, Error> {
        Ok(Principal {
            tenant: "tenant".into(),
            subject: id.to_owned(),
            scopes: Scope::ALL.into_iter().collect(),
            models: ModelAccess::All,
            limits: Arc::default(),
            expires_at: None,
        })
    }

    async fn key_set(&self) -> Result<KeySet, Error> {
        let key = BASE64URL.encode(self.key.public_key());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "key", "x": key});
        Ok(KeySet {
            issuer: ISSUER.to_owned(),
            audience: ISSUER.to_owned(),
            jwks: json!({"keys": [key]}).to_string(),
        })
    }

    async fn watch_revocations(&self, _: Option<i64>) -> Result<ChangeStream, Error> {
        let beats = futures::stream::unfold(interval(Duration::from_secs(1)), async |mut beat| {
            beat.tick().await;
            let notice = Notice {
                position: 0,
                change: None,
            };
            Some((Ok(notice), beat))
        });
        Ok(beats.boxed())
    }

    async fn issue_token(&self, _: TokenRequest) -> Result<AccessToken, Error> {
        unreachable!("not asked here")
    }

    async fn introspect(
        &self,
        _: ClientAuthentication,
        _: SecretString,
    ) -> Result<Option<Introspection>, Error> {
        unreachable!("not asked here")
    }

    async fn revoke_token(&self, _: ClientAuthentication, _: SecretString) -> Result<(), Error> {
        unreachable!("not asked here")
    }
}
