use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fathom_auth::{Actor, Auth, Error};
use fathom_proto::administration::{ClientMethod, NewClient, NewClientSecret};
use fathom_proto::identity::{Limit, LimitTarget, Limits};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _};

use crate::harness::{
    Database, Home, TENANT, new_client, new_key, now, on_both_databases, self_signed,
};

on_both_databases!(
    a_dump_of_a_used_system_holds_no_secret,
    a_sealed_secret_cannot_be_moved,
);

/// Every column of every row, as text.
pub async fn dump(home: &Home) -> String {
    let is_sqlite = home.config.database.starts_with("sqlite");
    let tables: Vec<String> = sqlx::query_scalar(if is_sqlite {
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    } else {
        "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
         WHERE table_schema = 'public'"
    })
    .fetch_all(&home.pool)
    .await
    .unwrap();
    assert!(tables.len() >= 10, "{tables:?}");
    let mut dump = String::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar(if is_sqlite {
            "SELECT name FROM pragma_table_info($1)"
        } else {
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = $1"
        })
        .bind(&table)
        .fetch_all(&home.pool)
        .await
        .unwrap();
        let as_text: Vec<_> = columns
            .iter()
            .map(|column| match is_sqlite {
                true => format!("CASE typeof({column}) WHEN 'blob' THEN hex({column}) ELSE CAST({column} AS TEXT) END"),
                false => format!("CAST({column} AS TEXT)"),
            })
            .collect();
        let select = format!("SELECT {} FROM {table}", as_text.join(", "));
        let rows = sqlx::query(AssertSqlSafe(select))
            .fetch_all(&home.pool)
            .await
            .unwrap();
        for row in rows {
            for i in 0..columns.len() {
                dump += row.get::<Option<&str>, _>(i).unwrap_or_default();
                dump.push('\n');
            }
        }
    }
    dump
}

/// A secret as it would look wherever it was kept: as its text, or as the bytes behind it.
fn spellings(secret: &str) -> Vec<String> {
    let of_bytes = |bytes: &[u8]| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        [
            hex.to_uppercase(),
            hex,
            URL_SAFE_NO_PAD.encode(bytes),
            STANDARD.encode(bytes).trim_end_matches('=').to_owned(),
        ]
    };
    let mut spellings = vec![secret.to_owned()];
    spellings.extend(of_bytes(secret.as_bytes()));
    let random = secret.get(secret.len().saturating_sub(43)..);
    if let Some(Ok(bytes)) = random.map(|random| URL_SAFE_NO_PAD.decode(random)) {
        spellings.extend(of_bytes(&bytes));
        spellings.extend(random.map(str::to_owned));
    }
    spellings
}

/// SEC-42: after everything was used, the whole database tells no secret. An Ed25519 key in clear
/// would be found by trying everything as its seed.
async fn a_dump_of_a_used_system_holds_no_secret(database: Database) {
    let home = Home::on(database).await;
    let actor = Actor::Operator("ops".to_owned());
    let mut secrets: Vec<SecretString> = Vec::new();
    for (method, self_signed_bearer) in [
        (ClientMethod::ClientSecret, false),
        (ClientMethod::ClientSecret, true),
        (ClientMethod::ClientSecretJwt, false),
    ] {
        let client = NewClient {
            method,
            self_signed_bearer,
            ..new_client()
        };
        let made = home.auth.create_client(&actor, client).await.unwrap();
        let second = home
            .auth
            .add_client_secret(&actor, &made.made.id, NewClientSecret::default())
            .await
            .unwrap();
        secrets.extend([made.secret.clone().unwrap(), second.secret.unwrap()]);
        if method == ClientMethod::ClientSecret {
            secrets.push(home.token(&made.clone().into()).await.unwrap());
        }
        if self_signed_bearer {
            let own = self_signed(&made.into(), now(), now() + 60);
            home.authenticate(&own).await.unwrap();
            secrets.push(own.into());
        }
    }
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let client = NewClient {
        method: ClientMethod::PrivateKeyJwt,
        jwks: Some(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "1" }] })),
        ..new_client()
    };
    let client = home.auth.create_client(&actor, client).await.unwrap();
    assert!(client.secret.is_none());
    let key = home.auth.create_key(&actor, new_key()).await.unwrap();
    let text = key.secret.unwrap();
    home.authenticate(text.expose_secret()).await.unwrap();
    secrets.push(text);
    let limit = Limit {
        target: LimitTarget {
            tenant: TENANT.into(),
            subject: Some(key.made.id.clone()),
            model: None,
        },
        limits: Limits {
            tokens_per_minute: Some(1),
            ..Limits::default()
        },
    };
    home.auth.set_limit(&actor, limit).await.unwrap();
    sqlx::query("INSERT INTO revoked_tokens (id, client_id, expires_at) VALUES ('j', $1, $2)")
        .bind(&client.made.id)
        .bind(now() + 60)
        .execute(&home.pool)
        .await
        .unwrap();
    let ring = fs::read_to_string(home.config.key_ring.to_string()).unwrap();
    let keys = ring
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"key\": "));
    secrets.extend(keys.map(|key| key.trim_matches('"').into()));
    assert_eq!(secrets.len(), 6 + 3 + 1 + 3);

    let dump = dump(&home).await;
    for known in [&client.made.id, &key.made.id, x, "key.create", "limit.set"] {
        assert!(dump.contains(known), "the dump holds {known}");
    }
    for secret in &secrets {
        for spelling in spellings(secret.expose_secret()) {
            assert!(!dump.contains(&spelling), "a secret is in the dump");
        }
    }
    let public_keys: Vec<String> = sqlx::query_scalar("SELECT public_key FROM signing_keys")
        .fetch_all(&home.pool)
        .await
        .unwrap();
    assert!(!public_keys.is_empty());
    for word in dump.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
        let clear = URL_SAFE_NO_PAD.decode(word).unwrap_or_default();
        assert!(Ed25519KeyPair::from_pkcs8(&clear).is_err());
        if let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&clear) {
            let public_key = URL_SAFE_NO_PAD.encode(pair.public_key());
            assert!(!public_keys.contains(&public_key));
        }
    }
}

/// Part of SEC-42: the files of SQLite keep no secret that the tables do not show either, such as
/// one that was overwritten.
#[tokio::test]
async fn the_files_of_the_database_hold_no_secret() {
    let home = Home::new().await;
    let client = home.client(true).await;
    let key = home.api_key(None).await;
    home.token(&client).await.unwrap();
    home.authenticate(key.expose_secret()).await.unwrap();
    let path = home.config.database.strip_prefix("sqlite://").unwrap();
    let path = path.strip_suffix("?mode=rwc").unwrap();
    // The pool stays open: the files come and go while it closes.
    let mut bytes = fs::read(path).unwrap();
    bytes.extend(fs::read(format!("{path}-wal")).unwrap());
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(holds(client.id.as_bytes()), "the scan finds what is there");
    for secret in [&client.secret, &key] {
        for spelling in spellings(secret.expose_secret()) {
            assert!(!holds(spelling.as_bytes()));
        }
    }
}

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let home = Home::new().await;
    let client = home.client(true).await;
    let ring = fs::read_to_string(home.config.key_ring.to_string()).unwrap();
    let printed = format!("{:?} {client:?}", home.auth);
    assert!(!printed.contains(client.secret.expose_secret()));
    for key in ring
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"key\": "))
    {
        assert!(!printed.contains(key.trim_matches('"')));
    }
}

#[tokio::test]
async fn the_key_ring_is_private_and_the_databases_own() {
    let home = Home::new().await;
    let path = home.config.key_ring.to_string();
    let path = path.as_str();
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let open = || Auth::open(home.config.clone(), home.pool.clone());
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = open().await.unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");

    fs::remove_file(path).unwrap();
    let error = open().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::DoesNotOpen {
                table: "signing_keys",
                ..
            }
        ),
        "{error}"
    );
}

/// Part of SEC-42: a sealed secret that is put into another client's row opens nothing.
async fn a_sealed_secret_cannot_be_moved(database: Database) {
    let home = Home::on(database).await;
    let (one, other) = (home.client(true).await, home.client(true).await);
    sqlx::query(
        "UPDATE client_secrets SET sealed = (SELECT sealed FROM client_secrets WHERE client_id = $1)",
    )
    .bind(&one.id)
    .execute(&home.pool)
    .await
    .unwrap();
    home.token(&one).await.unwrap();
    let error = home.token(&other).await.unwrap_err();
    assert_eq!(error.message, "internal error");
}
