//! A service in a folder of its own, and JWTs made by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fathom_auth::{Auth, ClientCredentials, Config, NewApiKey, NewClient};
use fathom_proto::identity::{
    ClientAuthentication, ClientProof, Identity as _, Principal, Scope, Scopes, TokenRequest,
};
use fathom_proto::{Error, ErrorCode};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::AnyPool;
use tempfile::TempDir;

pub const TENANT: &str = "acme";

pub struct Home {
    pub auth: Auth,
    pub pool: AnyPool,
    pub config: Config,
    pub folder: TempDir,
}

impl Home {
    /// A fresh database with one tenant.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            database: format!(
                "sqlite://{}?mode=rwc",
                folder.path().join("fathom.db").display()
            ),
            key_ring: folder.path().join("keyring.json"),
            ..Config::default()
        };
        let pool = fathom_kit::database::connect(&config.database)
            .await
            .unwrap();
        let auth = Auth::open(config.clone(), pool.clone()).await.unwrap();
        auth.create_tenant(&TENANT.into(), "Acme").await.unwrap();
        Self {
            auth,
            pool,
            config,
            folder,
        }
    }

    /// Another process over the same folder.
    pub async fn restart(&mut self) {
        self.pool.close().await;
        self.pool = fathom_kit::database::connect(&self.config.database)
            .await
            .unwrap();
        self.auth = Auth::open(self.config.clone(), self.pool.clone())
            .await
            .unwrap();
    }

    /// Runs one statement.
    pub async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }

    pub async fn client(&self, self_signed_bearer: bool) -> ClientCredentials {
        self.auth
            .create_client(NewClient {
                tenant: TENANT.into(),
                name: "app".to_owned(),
                scopes: scopes(),
                self_signed_bearer,
                expires_at: None,
            })
            .await
            .unwrap()
    }

    pub async fn api_key(&self, expires_at: Option<i64>) -> SecretString {
        let (tenant, name) = (TENANT.into(), "app".to_owned());
        let key = NewApiKey {
            tenant,
            name,
            scopes: scopes(),
            expires_at,
        };
        self.auth.create_api_key(key).await.unwrap()
    }

    pub async fn token(&self, client: &ClientCredentials) -> Result<SecretString, Error> {
        let request = TokenRequest {
            client: ClientAuthentication {
                client_id: Some(client.id.clone()),
                proof: ClientProof::Secret(client.secret.clone()),
                address: None,
            },
            scopes: None,
        };
        self.auth
            .issue_token(request)
            .await
            .map(|token| token.token)
    }

    pub async fn authenticate(&self, bearer: &str) -> Result<Principal, Error> {
        self.auth.authenticate(bearer.into()).await
    }

    /// Asserts that the credential is refused, with the one text that every refusal has.
    pub async fn assert_refused(&self, bearer: &str, why: &str) {
        let error = match self.authenticate(bearer).await {
            Ok(principal) => return assert_eq!(Some(principal), None, "{why} was accepted"),
            Err(error) => error,
        };
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{why}");
        assert_eq!(error.message, "the credential is not valid", "{why}");
        assert!(error.param.is_none() && error.source.is_none(), "{why}");
    }
}

pub fn scopes() -> Scopes {
    Scopes::from_iter([Scope::Inference, Scope::ModelsRead])
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// `header.claims` in base64url.
pub fn message(header: &str, claims: &str) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

/// A JWT with an HMAC-SHA-256 signature, whatever its header says.
pub fn hs256(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = message(header, claims);
    let signature = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        message.as_bytes(),
    );
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The token that the document's own snippet makes.
pub fn self_signed(client: &ClientCredentials, iat: i64, exp: i64) -> String {
    let claims = format!(r#"{{"iss":"{}","iat":{iat},"exp":{exp}}}"#, client.id);
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    hs256(header, &claims, client.secret.expose_secret().as_bytes())
}
