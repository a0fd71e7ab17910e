//! Clients that prove themselves in every way, and assertions made by hand.

use std::net::IpAddr;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use fathom_auth::Auth;
use fathom_proto::Error;
use fathom_proto::identity::{
    ClientAuthentication, ClientProof, Identity as _, Introspection, TokenRequest,
};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::harness::{ClientCredentials, Home, hs256, message, now};

/// PKCS #8 says this much before an RSA key of 2048 bits (RFC 5958).
const RSA_PREFIX_BYTES: usize = 26;

/// A client's claim by its secret.
pub fn by_secret(client: &ClientCredentials, address: Option<IpAddr>) -> ClientAuthentication {
    ClientAuthentication {
        client_id: Some(client.id.clone()),
        proof: ClientProof::Secret(client.secret.clone()),
        address,
    }
}

/// A client's claim by an assertion.
pub fn by_assertion(assertion: &str) -> ClientAuthentication {
    ClientAuthentication {
        client_id: None,
        proof: ClientProof::Assertion(assertion.into()),
        address: None,
    }
}

pub async fn issue(auth: &Auth, client: ClientAuthentication) -> Result<SecretString, Error> {
    let scopes = None;
    let token = auth.issue_token(TokenRequest { client, scopes }).await?;
    Ok(token.token)
}

/// A client that signs its assertions.
pub struct Signer {
    pub id: String,
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Signer {
    /// A client with a key pair of its own.
    pub async fn with_key(home: &Home, algorithm: Algorithm) -> Self {
        let signer = Self {
            id: home.client(false).await.id,
            key: key(algorithm),
            algorithm,
        };
        let jwks = json!({ "keys": [signer.jwk()] }).to_string();
        sqlx::query("UPDATE clients SET method = 'private_key_jwt', jwks = $1 WHERE id = $2")
            .bind(jwks)
            .bind(&signer.id)
            .execute(&home.pool)
            .await
            .unwrap();
        signer
    }

    /// A client that signs with its secret.
    pub async fn with_secret(home: &Home) -> Self {
        let client = home.client(true).await;
        sqlx::query(
            "UPDATE clients SET method = 'client_secret_jwt', self_signed_bearer = 0 WHERE id = $1",
        )
        .bind(&client.id)
        .execute(&home.pool)
        .await
        .unwrap();
        Self {
            key: EncodingKey::from_secret(client.secret.expose_secret().as_bytes()),
            id: client.id,
            algorithm: Algorithm::HS256,
        }
    }

    pub fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = "mine".into();
        jwk
    }

    /// Good claims.
    pub fn claims(&self, home: &Home, jti: &str) -> Value {
        json!({
            "iss": self.id, "sub": self.id, "aud": home.config.issuer, "jti": jti,
            "iat": now(), "exp": now() + 60,
        })
    }

    pub fn assertion(&self, home: &Home, jti: &str) -> String {
        self.sign(&self.claims(home, jti))
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm, "typ": "JWT" });
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        if self.algorithm == Algorithm::HS256 {
            return hs256(header, claims, self.key.as_bytes());
        }
        let message = message(header, claims);
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

fn key(algorithm: Algorithm) -> EncodingKey {
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::EdDSA => {
            EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random).unwrap().as_ref())
        }
        Algorithm::ES256 => {
            let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
            EncodingKey::from_ec_der(document.as_ref())
        }
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            EncodingKey::from_rsa_der(&document.as_ref()[RSA_PREFIX_BYTES..])
        }
    }
}

impl Home {
    /// One more process over the same database.
    pub async fn second(&self) -> Auth {
        let pool = fathom_kit::database::connect(&self.config.database)
            .await
            .unwrap();
        Auth::open(self.config.clone(), pool).await.unwrap()
    }

    pub async fn introspect(
        &self,
        client: &ClientCredentials,
        token: &str,
    ) -> Option<Introspection> {
        self.auth
            .introspect(by_secret(client, None), token.into())
            .await
            .unwrap()
    }

    pub async fn count(&self, query: &'static str) -> i64 {
        let (count,): (i64,) = sqlx::query_as(query).fetch_one(&self.pool).await.unwrap();
        count
    }
}

/// Asserts that the client is refused, with the one text that every refusal has.
pub fn assert_refused<T>(result: Result<T, Error>, why: &str) {
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(
        error.code,
        fathom_proto::ErrorCode::Unauthenticated,
        "{why}: {error}"
    );
    assert_eq!(error.message, "the credential is not valid", "{why}");
}
