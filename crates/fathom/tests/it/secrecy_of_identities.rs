use std::fs;
use std::os::unix::fs::PermissionsExt;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::harness::{REAL, Server, home};
use crate::secrecy::{CANARY, LOG};

/// A server whose key ring comes from its environment and whose worker is a child of it.
struct Place {
    server: Server,
    http: Client,
    key_ring: String,
}

/// SEC-40: credentials go where they must and nowhere else: not to the log, the metrics, the
/// arguments and the environment of children, the audit log, nor, in clear, to the database.
#[tokio::test]
async fn no_credential_is_where_it_has_no_business() {
    let place = Place::new().await;
    let mut secrets = place.secrets_of_the_start();
    secrets.extend(place.make_credentials().await);
    place.force_every_refusal().await;

    for (name, text) in place.what_others_can_read().await {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {name}");
        }
        assert!(!text.contains(CANARY), "the canary in {name}");
    }
}

impl Place {
    async fn new() -> Self {
        let first = home();
        // Made by a server with a file, because only Fathom knows what a key ring looks like.
        let made = Server::ready(&first, &["--set", &crate::harness::sim("tokens=1")]).await;
        let key_ring = fs::read_to_string(first.path().join("keyring.json")).unwrap();
        drop(made);
        let home = home();
        let arguments = [
            "--set",
            REAL,
            "--set",
            LOG,
            "--set",
            "auth.key_ring=env:SEALED_BY",
        ];
        let variables = [
            ("SEALED_BY", key_ring.as_str()),
            ("FATHOM__SHUTDOWN_GRACE", "7s"),
        ];
        let server = Server::launch_with(&home, &arguments, &variables);
        Self {
            server: server.when_ready().await,
            http: Client::new(),
            key_ring,
        }
    }

    fn secrets_of_the_start(&self) -> Vec<String> {
        let names = ["FATHOM_API_KEY", "FATHOM_ADMIN_KEY", "FATHOM_CLIENT_SECRET"];
        let mut secrets: Vec<String> = names.map(|name| self.server.demo(name)).to_vec();
        let key_ring: Value = serde_json::from_str(&self.key_ring).unwrap();
        for list in ["master", "pepper", "audit"] {
            secrets.push(key_ring[list][0]["key"].as_str().unwrap().to_owned());
        }
        secrets
    }

    async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self
            .http
            .request(
                method,
                format!("{}/admin/v1/{path}", self.server.base_url()),
            )
            .bearer_auth(self.server.demo("FATHOM_ADMIN_KEY"))
            .json(&body)
            .send()
            .await
            .unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    /// One credential of each kind, used once: their secret texts.
    async fn make_credentials(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        let base = self.server.base_url();
        for (method, self_signed) in [
            ("client_secret", false),
            ("client_secret", true),
            ("client_secret_jwt", false),
        ] {
            let client = json!({
                "tenant": "demo", "name": "app", "scopes": ["models:read"],
                "method": method, "self_signed_bearer": self_signed,
            });
            let client = self.admin(Method::POST, "clients", client).await;
            let secret = client["secret"].as_str().unwrap().to_owned();
            let token = self
                .http
                .post(format!("{base}/oauth/token"))
                .basic_auth(client["id"].as_str().unwrap(), Some(&secret))
                .form(&[("grant_type", "client_credentials")])
                .send()
                .await
                .unwrap();
            let token: Value = token.json().await.unwrap();
            if let Some(token) = token["access_token"].as_str() {
                for path in ["introspect", "revoke"] {
                    self.http
                        .post(format!("{base}/oauth/{path}"))
                        .basic_auth(client["id"].as_str().unwrap(), Some(&secret))
                        .form(&[("token", token)])
                        .send()
                        .await
                        .unwrap();
                }
                secrets.push(token.to_owned());
            }
            secrets.push(secret);
        }
        let key = json!({"tenant": "demo", "name": "app", "scopes": ["inference"]});
        let key = self.admin(Method::POST, "keys", key).await;
        secrets.push(key["secret"].as_str().unwrap().to_owned());
        assert_eq!(secrets.len(), 6, "two tokens, three secrets, one key");
        secrets
    }

    /// The canary as every kind of credential, on every route that takes one.
    async fn force_every_refusal(&self) {
        let base = self.server.base_url();
        let id = self.server.demo("FATHOM_CLIENT_ID");
        let jwt = format!("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.{CANARY}");
        let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let mut forms = vec![vec![("client_id", id.as_str()), ("client_secret", CANARY)]];
        forms.push(vec![("client_id", CANARY), ("client_secret", CANARY)]);
        forms.push(vec![
            ("client_assertion_type", assertion),
            ("client_assertion", &jwt),
        ]);
        forms.push(vec![
            ("client_assertion_type", CANARY),
            ("client_assertion", CANARY),
        ]);
        for path in ["token", "introspect", "revoke"] {
            for form in &forms {
                let mut form = form.clone();
                form.extend([("grant_type", "client_credentials"), ("token", CANARY)]);
                let url = format!("{base}/oauth/{path}");
                let answer = self.http.post(url).form(&form).send().await.unwrap();
                assert!(
                    answer.status().is_client_error(),
                    "{path}: {}",
                    answer.status()
                );
            }
        }
        for bearer in [CANARY, &format!("sk-{CANARY}"), &jwt] {
            for path in ["/v1/models", "/admin/v1/tenants", "/admin/v1/audit"] {
                let request = self.http.get(format!("{base}{path}")).bearer_auth(bearer);
                assert_eq!(request.send().await.unwrap().status(), 401);
            }
        }
        let bad = json!({"tenant": "demo", "name": "x", "scopes": ["inference"], "secret": CANARY});
        let problem = self.admin(Method::POST, "keys", bad).await;
        assert!(
            [400, 422].map(Value::from).contains(&problem["status"]),
            "{problem}"
        );
    }

    /// Everything that is not a caller's own answer.
    async fn what_others_can_read(&self) -> Vec<(String, String)> {
        let mut places = vec![("the log".to_owned(), self.server.log())];
        let (_, metrics) = self.server.admin("admin.sock", "/metrics").await.unwrap();
        places.push(("the metrics".to_owned(), metrics));
        let audit = self
            .admin(Method::GET, "audit?limit=1000", Value::Null)
            .await;
        assert!(!audit["data"].as_array().unwrap().is_empty());
        places.push(("the audit log".to_owned(), audit.to_string()));
        let engine = self.server.engine_pid().unwrap();
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{engine}/{file}")).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.is_empty() && !text.contains("FATHOM__"), "{text}");
            places.push((format!("the engine's {file}"), text));
        }
        for file in ["fathom.db", "fathom.db-wal", "audit-head.json"] {
            let bytes = fs::read(self.server.home.path().join(file)).unwrap_or_default();
            places.push((
                file.to_owned(),
                String::from_utf8_lossy(&bytes).into_owned(),
            ));
        }
        let mode = fs::metadata(self.server.demo_file()).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        places
    }
}
