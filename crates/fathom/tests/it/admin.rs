//! `fathom admin`, `fathom audit` and `fathom migrate`, beside a server and without one.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Server, home, sim};
use crate::process::{eventually, fathom, run};

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(20);

async fn ends(home: &Path, command: &str) -> Output {
    let arguments: Vec<_> = command.split_whitespace().collect();
    run(fathom(home, &arguments), LIMIT).await
}

/// What a command that succeeds writes to standard output.
pub async fn prints(home: &Path, command: &str) -> String {
    let output = ends(home, command).await;
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that succeeds prints for scripts.
pub async fn json(home: &Path, command: &str) -> Value {
    let text = prints(home, &format!("{command} --json")).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error} in {text}"))
}

/// What a command that fails with `code` writes to standard error.
pub async fn fails(home: &Path, command: &str, code: i32) -> String {
    let output = ends(home, command).await;
    assert_eq!(output.status.code(), Some(code), "{command}: {output:?}");
    assert!(output.stdout.is_empty(), "{command}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Where the first row stands that a change of the tenant `tenant` left.
async fn row_of(home: &Path, tenant: &str) -> i64 {
    let rows = json(home, "admin audit list").await;
    let rows = rows.as_array().unwrap();
    let row = rows.iter().find(|row| row["tenant"] == tenant).unwrap();
    assert!(
        row["actor"].as_str().unwrap().starts_with("operator:"),
        "{row}"
    );
    row["position"].as_i64().unwrap()
}

async fn execute(home: &Path, statement: &'static str, position: i64) {
    let url = format!("sqlite://{}", home.join("fathom.db").display());
    let pool = fathom_kit::database::connect(&url).await.unwrap();
    let changed = sqlx::query(statement).bind(position).execute(&pool).await;
    assert_eq!(changed.unwrap().rows_affected(), 1);
    pool.close().await;
}

/// A key that the command line makes works in a server that runs, and one that it disables is
/// refused within a second.
#[tokio::test]
async fn a_running_server_follows_the_command_line() {
    let home = home();
    let server = Server::ready(&home, &["--set", &sim("tokens = 3")]).await;
    prints(home.path(), "admin tenants create acme --name Acme").await;
    let new = "admin keys create --tenant acme --name app --scope models:read --expires-in 1d";
    let key = json(home.path(), new).await;
    let text = key["secret"].as_str().unwrap();
    let url = format!("{}/v1/models", server.base_url());
    let status = async || {
        let ask = reqwest::Client::new().get(&url).bearer_auth(text);
        ask.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);

    let id = key["id"].as_str().unwrap();
    let disabled = json(home.path(), &format!("admin keys update {id} --disable")).await;
    assert!(disabled["disabled_at"].is_i64(), "{disabled}");
    let second = Duration::from_secs(1);
    eventually("the key is refused", second, async || {
        (status().await == 401).then_some(())
    })
    .await;

    prints(home.path(), &format!("admin keys update {id} --enable")).await;
    eventually("the key works again", second, async || {
        (status().await == 200).then_some(())
    })
    .await;
    prints(home.path(), "admin tenants update acme --disable").await;
    eventually("the tenant's key is refused", second, async || {
        (status().await == 401).then_some(())
    })
    .await;
}

/// Every list and every thing is JSON for scripts and a table for people, and a secret is shown
/// when it is made and never again.
#[tokio::test]
async fn what_is_printed_can_be_read_by_scripts_and_people() {
    let home = home();
    let home = home.path();
    json(
        home,
        "admin tenants create acme --name Acme --expires-at 2999-01-01T00:00:00Z",
    )
    .await;
    let new = "admin clients create --tenant acme --name app --scope inference --scope batch";
    let client = json(home, new).await;
    let id = client["id"].as_str().unwrap();
    assert_eq!(client["scopes"], serde_json::json!(["inference", "batch"]));
    let first = client["secret"].as_str().unwrap();
    let second = json(
        home,
        &format!("admin clients add-secret {id} --expires-in 30d"),
    )
    .await;
    let second = second["secret"].as_str().unwrap();
    let shown = json(home, &format!("admin clients show {id}")).await;
    assert_eq!(shown["secrets"].as_array().unwrap().len(), 2, "{shown}");
    let oldest = shown["secrets"][0]["id"].as_str().unwrap();
    prints(home, &format!("admin clients remove-secret {id} {oldest}")).await;

    let new = "admin keys create --tenant acme --name app --scope inference --model deepseek-chat";
    let output = ends(home, new).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let key = text
        .lines()
        .find_map(|line| line.strip_prefix("secret"))
        .unwrap()
        .trim();
    assert!(key.starts_with("sk-"), "{text}");
    let hint = String::from_utf8(output.stderr).unwrap();
    assert!(
        hint.contains("not shown again") && !hint.contains(key),
        "{hint}"
    );

    prints(
        home,
        "admin limits set --tenant acme --tokens-per-minute 1000",
    )
    .await;
    prints(home, "admin signing-keys rotate").await;
    for list in [
        "tenants",
        "clients",
        "keys",
        "limits",
        "signing-keys",
        "audit",
    ] {
        let command = format!("admin {list} list");
        let table = prints(home, &command).await;
        let items = json(home, &command).await;
        let items = items.as_array().unwrap();
        assert!(!items.is_empty(), "{list}");
        assert_eq!(table.lines().count(), items.len() + 1, "{table}");
        let heading = table.lines().next().unwrap();
        assert_eq!(heading, heading.to_uppercase());
        for secret in [first, second, key] {
            let all = format!("{table}{items:?}");
            assert!(!all.contains(secret), "a secret is listed by {command}");
        }
    }
    let table = prints(home, "admin tenants list").await;
    assert!(table.contains("2999-01-01T00:00:00Z"), "{table}");
    let models = json(home, "admin keys list --tenant acme").await;
    assert_eq!(models[0]["models"], serde_json::json!(["deepseek-chat"]));
}

/// A request that is refused is exit code 1 and says why; one that cannot be read is 2.
#[tokio::test]
async fn mistakes_are_named() {
    let home = home();
    let home = home.path();
    prints(home, "admin tenants create acme --name Acme").await;
    for (command, code, part) in [
        ("admin tenants create acme --name Acme", 1, "acme"),
        ("admin tenants create ACME --name Acme", 1, "a-z"),
        ("admin tenants show nobody", 1, "tenant"),
        (
            "admin keys create --tenant nobody --name app --scope inference",
            1,
            "nobody",
        ),
        (
            "admin keys create --tenant acme --name app --scope all",
            2,
            "models:read",
        ),
        ("admin keys create --tenant acme --name app", 2, "--scope"),
        ("admin keys update k --disable --enable", 2, "--enable"),
        (
            "admin keys update k --expires-in 1d --expires-never",
            2,
            "--expires-never",
        ),
        (
            "admin tenants update acme --expires-in soon",
            2,
            "--expires-in",
        ),
        ("admin limits set --tenant acme", 2, "--requests-per-minute"),
        (
            "admin clients create --tenant acme --name a --scope batch --jwks /no/keys",
            1,
            "/no/keys",
        ),
        ("admin key-ring remove nothing", 1, "key ring"),
        (
            "admin tenants list --set auth.databse=x",
            2,
            "did you mean `database`",
        ),
        ("audit verify --head /no/head", 1, "/no/head"),
    ] {
        let error = fails(home, command, code).await;
        assert!(error.contains(part), "no `{part}` after {command}: {error}");
    }
}

/// SEC-43: the command line names the first row that is not as it was written.
#[tokio::test]
async fn audit_verify_names_a_row_that_was_changed() {
    let home = home();
    let home = home.path();
    for tenant in ["one", "two", "three"] {
        prints(
            home,
            &format!("admin tenants create {tenant} --name {tenant}"),
        )
        .await;
    }
    let whole = prints(home, "audit verify").await;
    assert!(whole.contains("is whole"), "{whole}");

    let row = row_of(home, "two").await;
    execute(
        home,
        "UPDATE audit_log SET actor = 'operator:mallory' WHERE position = $1",
        row,
    )
    .await;
    let error = fails(home, "audit verify", 1).await;
    assert!(error.contains(&format!("row {row} ")), "{error}");
}

/// SEC-43: a log whose end was cut off is missed.
#[tokio::test]
async fn audit_verify_misses_rows_that_were_cut_off() {
    let home = home();
    let home = home.path();
    prints(home, "admin tenants create one --name one").await;
    let row = row_of(home, "one").await;
    execute(home, "DELETE FROM audit_log WHERE position = $1", row).await;
    let error = fails(home, "audit verify", 1).await;
    assert!(error.contains(&format!("row {row} ")), "{error}");
}

/// SEC-42: a key of the key ring is replaced while a server runs: prepend, rewrap, remove.
#[tokio::test]
async fn a_master_key_is_replaced_while_a_server_runs() {
    let home = home();
    let server = Server::ready(&home, &["--set", &sim("tokens = 3")]).await;
    let ring = || -> Value {
        let text = std::fs::read_to_string(home.path().join("keyring.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let old = ring()["master"][0]["id"].as_str().unwrap().to_owned();
    let remove = format!("admin key-ring remove {old}");
    fails(home.path(), &remove, 1).await;
    let added = json(home.path(), "admin key-ring add master").await;
    assert_eq!(ring()["master"][0]["id"], added["id"]);
    // A server learns of the key within a second, and seals under the former one until then.
    eventually(
        "nothing needs the old key",
        Duration::from_secs(5),
        async || {
            prints(home.path(), "admin rewrap").await;
            ends(home.path(), &remove)
                .await
                .status
                .success()
                .then_some(())
        },
    )
    .await;
    assert_eq!(ring()["master"].as_array().unwrap().len(), 1);
    let models = server.client().models().await.unwrap();
    assert!(!models.data.is_empty());
}

#[tokio::test]
async fn migrate_says_what_it_did() {
    let home = home();
    let first = prints(home.path(), "migrate").await;
    assert!(
        first
            .lines()
            .all(|line| line.starts_with("applied migration ")),
        "{first}"
    );
    assert!(first.contains("20261122000001"), "{first}");
    let second = prints(home.path(), "migrate").await;
    assert!(second.contains("nothing to do"), "{second}");
}
