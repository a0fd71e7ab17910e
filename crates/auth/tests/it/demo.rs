use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use fathom_auth::demo::{DemoCredentials, ensure_demo};
use fathom_proto::identity::{Scope, Scopes};
use secrecy::ExposeSecret as _;

use crate::harness::{
    ClientCredentials, Database, Home, now, on_both_databases, scopes, self_signed,
};

on_both_databases!(
    the_file_is_kept_over_restarts,
    a_deleted_file_is_made_anew_and_the_former_credentials_end,
    credentials_that_are_refused_are_replaced,
);

struct Demo {
    home: Home,
    path: PathBuf,
}

impl Demo {
    async fn on(database: Database) -> Self {
        let home = Home::on(database).await;
        let path = home.folder.path().join("demo.env");
        Self { home, path }
    }

    async fn ensure(&self) -> DemoCredentials {
        ensure_demo(&self.home.auth, &self.path).await.unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    async fn assert_works(&self, demo: &DemoCredentials) {
        let home = &self.home;
        let key = home
            .authenticate(demo.api_key.expose_secret())
            .await
            .unwrap();
        assert_eq!((key.tenant.as_str(), key.scopes), ("demo", scopes()));
        let admin = home
            .authenticate(demo.admin_key.expose_secret())
            .await
            .unwrap();
        assert_eq!(admin.scopes, Scopes::from_iter(Scope::ALL));
        let client = ClientCredentials {
            id: demo.client_id.clone(),
            secret: demo.client_secret.clone(),
        };
        let token = home.token(&client).await.unwrap();
        let client_of_token = home.authenticate(token.expose_secret()).await.unwrap();
        assert_eq!(client_of_token.scopes, scopes());
        home.authenticate(&self_signed(&client, now(), now() + 3600))
            .await
            .unwrap();
    }
}

async fn the_file_is_kept_over_restarts(database: Database) {
    let mut demo = Demo::on(database).await;
    let credentials = demo.ensure().await;
    demo.assert_works(&credentials).await;
    let text = demo.text();
    assert_eq!(
        fs::metadata(&demo.path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    demo.home.restart().await;
    let again = demo.ensure().await;
    demo.assert_works(&again).await;
    assert_eq!(demo.text(), text);

    demo.home.config.public_url = "https://fathom.example/?a=b&c".to_owned();
    demo.home.restart().await;
    demo.ensure().await;
    let url = "FATHOM_BASE_URL='https://fathom.example/?a=b&c'";
    assert_eq!(
        demo.text(),
        text.replace("FATHOM_BASE_URL=http://127.0.0.1:8080", url)
    );
}

#[tokio::test]
async fn a_shell_reads_the_file() {
    let mut demo = Demo::on(Database::Sqlite).await;
    demo.home.config.public_url = "https://fathom.example/?a=b&c='$(d)'".to_owned();
    demo.home.restart().await;
    let credentials = demo.ensure().await;
    let names = [
        "BASE_URL",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "API_KEY",
        "ADMIN_KEY",
    ];
    let print = names.map(|name| format!("\"$FATHOM_{name}\"")).join(" ");
    let script = format!(". \"$0\" && printf '%s\\n' {print}");
    let output = Command::new("sh")
        .arg("-euc")
        .arg(script)
        .arg(&demo.path)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = [
        credentials.base_url.as_str(),
        &credentials.client_id,
        credentials.client_secret.expose_secret(),
        credentials.api_key.expose_secret(),
        credentials.admin_key.expose_secret(),
    ];
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

async fn a_deleted_file_is_made_anew_and_the_former_credentials_end(database: Database) {
    let demo = Demo::on(database).await;
    let former = demo.ensure().await;
    fs::remove_file(&demo.path).unwrap();
    let credentials = demo.ensure().await;
    demo.assert_works(&credentials).await;
    assert_ne!(former.client_id, credentials.client_id);
    let home = &demo.home;
    home.assert_refused(former.api_key.expose_secret(), "the former key")
        .await;
    home.assert_refused(former.admin_key.expose_secret(), "the former admin key")
        .await;
    let client = ClientCredentials {
        id: former.client_id.clone(),
        secret: former.client_secret.clone(),
    };
    assert!(home.token(&client).await.is_err());
}

async fn credentials_that_are_refused_are_replaced(database: Database) {
    let demo = Demo::on(database).await;
    let first = demo.ensure().await;
    for damage in [
        "UPDATE api_keys SET disabled_at = 1 WHERE name = 'demo'",
        "UPDATE api_keys SET disabled_at = 1 WHERE name = 'demo-admin'",
        "UPDATE clients SET expires_at = 1",
    ] {
        let before = demo.text();
        demo.home.sql(damage).await;
        demo.assert_works(&demo.ensure().await).await;
        assert_ne!(demo.text(), before, "{damage}");
    }
    for text in [
        String::new(),
        "FATHOM_API_KEY=sk-1\n".to_owned(),
        demo.text().replace("sk-", "sk_"),
    ] {
        fs::write(&demo.path, text).unwrap();
        demo.assert_works(&demo.ensure().await).await;
    }
    demo.home
        .assert_refused(first.api_key.expose_secret(), "the first key")
        .await;
}
