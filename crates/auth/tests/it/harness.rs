//! A service over a database of its own, and JWTs made by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fathom_auth::{Actor, Auth, Config};
use fathom_proto::administration::{
    Caller, Client, ClientMethod, NewApiKey, NewClient, NewTenant, NewlyMade,
};
use fathom_proto::identity::{
    ClientAuthentication, ClientProof, Identity as _, Principal, Scope, Scopes, TokenRequest,
};
use fathom_proto::{Error, ErrorCode};
use fathom_test_database::TestDatabase;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::AnyPool;
use tempfile::TempDir;

pub const TENANT: &str = "acme";

/// What a promise must hold on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Makes two tests of each function that takes a [`Database`]: `name::sqlite`, `name::postgres`.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name($crate::harness::Database::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name($crate::harness::Database::Postgres).await;
            }
        }
    )+};
}
pub(crate) use on_both_databases;

pub struct Home {
    pub auth: Auth,
    pub pool: AnyPool,
    pub config: Config,
    pub folder: TempDir,
    pub database: TestDatabase,
}

/// A client's credentials.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    pub id: String,
    pub secret: SecretString,
}

impl From<NewlyMade<Client>> for ClientCredentials {
    fn from(client: NewlyMade<Client>) -> Self {
        Self {
            id: client.made.id,
            secret: client.secret.unwrap(),
        }
    }
}

impl Home {
    /// A fresh database with one tenant.
    pub async fn on(database: Database) -> Self {
        let database = match database {
            Database::Sqlite => TestDatabase::sqlite(),
            Database::Postgres => TestDatabase::postgres().await,
        };
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            database: database.url.clone(),
            key_ring: folder.path().join("keyring.json").into(),
            audit_head: folder.path().join("audit-head.json"),
            ..Config::default()
        };
        let pool = fathom_kit::database::connect(&config.database)
            .await
            .unwrap();
        let auth = Auth::open(config.clone(), pool.clone()).await.unwrap();
        let home = Self {
            auth,
            pool,
            config,
            folder,
            database,
        };
        home.tenant(TENANT).await;
        home
    }

    /// The same on SQLite, for promises that do not depend on the database.
    pub async fn new() -> Self {
        Self::on(Database::Sqlite).await
    }

    /// Another process over the same folder.
    pub async fn restart(&mut self) {
        self.pool.close().await;
        self.pool = fathom_kit::database::connect(&self.config.database)
            .await
            .unwrap();
        self.auth = self.another().await;
    }

    /// One more service over the same database and key ring.
    pub async fn another(&self) -> Auth {
        Auth::open(self.config.clone(), self.pool.clone())
            .await
            .unwrap()
    }

    /// Runs one statement.
    pub async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }

    pub async fn tenant(&self, id: &str) {
        let tenant = NewTenant {
            id: id.into(),
            name: "Acme".to_owned(),
            expires_at: None,
        };
        let made = self.auth.create_tenant(&Actor::System, tenant).await;
        made.unwrap();
    }

    pub async fn client(&self, self_signed_bearer: bool) -> ClientCredentials {
        let client = NewClient {
            self_signed_bearer,
            ..new_client()
        };
        let made = self.auth.create_client(&Actor::System, client).await;
        made.unwrap().into()
    }

    pub async fn api_key(&self, expires_at: Option<i64>) -> SecretString {
        let key = NewApiKey {
            expires_at,
            ..new_key()
        };
        let made = self.auth.create_key(&Actor::System, key).await.unwrap();
        made.secret.unwrap()
    }

    /// Somebody who may administer.
    pub async fn admin(&self) -> Caller {
        let key = NewApiKey {
            scopes: Scopes::from_iter([Scope::Admin]),
            ..new_key()
        };
        let made = self.auth.create_key(&Actor::System, key).await.unwrap();
        Caller(made.secret.unwrap())
    }

    pub async fn token(&self, client: &ClientCredentials) -> Result<SecretString, Error> {
        token(&self.auth, client).await
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

/// Exchanges a client's secret for an access token.
pub async fn token(auth: &Auth, client: &ClientCredentials) -> Result<SecretString, Error> {
    let request = TokenRequest {
        client: ClientAuthentication {
            client_id: Some(client.id.clone()),
            proof: ClientProof::Secret(client.secret.clone()),
            address: None,
        },
        scopes: None,
    };
    auth.issue_token(request).await.map(|token| token.token)
}

/// A client of [`TENANT`] to be made.
pub fn new_client() -> NewClient {
    NewClient {
        tenant: TENANT.into(),
        name: "app".to_owned(),
        scopes: scopes(),
        models: None,
        method: ClientMethod::ClientSecret,
        self_signed_bearer: false,
        token_endpoint_audience: false,
        jwks: None,
        expires_at: None,
    }
}

/// An API key of [`TENANT`] to be made.
pub fn new_key() -> NewApiKey {
    NewApiKey {
        tenant: TENANT.into(),
        name: "app".to_owned(),
        scopes: scopes(),
        models: None,
        expires_at: None,
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
