//! `fathom models` and `/admin/v1/models`, beside a server and without one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::{fails, json as ask, prints};
use crate::harness::{Server, home, sim};
use crate::process::eventually;

/// One command tries a version out, one lets it answer, one takes it back; a server that runs
/// follows by itself, and tells the same over HTTP.
#[tokio::test]
async fn a_running_server_follows_the_command_line() {
    let home = home();
    let server = Server::ready(&home, &["--set", &sim("tokens = 3")]).await;
    let home = home.path();
    let model = ask(home, "models show deepseek-chat").await;
    assert_eq!(
        (&model["stable"], &model["last_change"]),
        (&Value::Null, &json!(0))
    );

    let deploy = "models deploy deepseek-chat --target chat-2 --percent 5 --why smaller \
                  --min-requests 50";
    let model = ask(home, deploy).await;
    assert_eq!(model["stable"], 1);
    let canary = &model["canary"];
    assert_eq!(
        (&canary["version"], &canary["percent"]),
        (&json!(2), &json!(5))
    );
    assert_eq!(canary["guard"]["min_requests"], 50);
    assert_eq!(canary["guard"]["max_first_token_ratio"], 1.5);
    prints(home, "models promote deepseek-chat").await;
    let backend = async || {
        let model = server.client().model("deepseek-chat").await.unwrap();
        model.fathom.backend
    };
    let soon = Duration::from_secs(10);
    eventually(
        "the new version answers, which has no workers",
        soon,
        async || backend().await.is_none().then_some(()),
    )
    .await;
    let back = "models rollback deepseek-chat --why worse --if-last-change 2";
    assert_eq!(ask(home, back).await["stable"], 1);
    eventually("the version before answers again", soon, async || {
        backend().await.is_some().then_some(())
    })
    .await;

    let key = async |scope| {
        let tenant = "admin tenants list";
        let tenant = ask(home, tenant).await[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let new = format!("admin keys create --tenant {tenant} --name app --scope {scope}");
        ask(home, &new).await["secret"].as_str().unwrap().to_owned()
    };
    let (admin, user) = (key("admin").await, key("inference").await);
    let url = |path| format!("{}/admin/v1/models/deepseek-chat/{path}", server.base_url());
    let http = reqwest::Client::new();
    let history = http.get(url("history")).bearer_auth(&admin).send().await;
    let history: Value = history.unwrap().json().await.unwrap();
    let told = ask(home, "models history deepseek-chat").await;
    assert_eq!(history["data"], told);
    let told = told.as_array().unwrap();
    let actions: Vec<_> = told.iter().map(|change| &change["action"]).collect();
    assert_eq!(actions, ["deploy", "promote", "rollback"]);
    assert_eq!(
        (&told[0]["why"], &told[2]["why"]),
        (&json!("smaller"), &json!("worse"))
    );
    assert!(told[0]["actor"].as_str().unwrap().starts_with("operator:"));

    for (bearer, path, body, status) in [
        (&user, "rollback", json!({}), 403),
        (&admin, "promote", json!({}), 409),
        (
            &admin,
            "deploy",
            json!({"version": 2, "percent": 5, "if_last_change": 2}),
            409,
        ),
        (
            &admin,
            "deploy",
            json!({"version": 2, "percent": 5, "if_last_change": 3}),
            200,
        ),
        (&admin, "abort", json!({}), 200),
    ] {
        let ask = http.post(url(path)).bearer_auth(bearer).json(&body);
        assert_eq!(ask.send().await.unwrap().status(), status, "{path}");
    }
    let told = ask(home, "models history deepseek-chat --after 3").await;
    let actors: Vec<_> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["actor"])
        .collect();
    assert_eq!(actors.len(), 2);
    assert!(
        actors
            .iter()
            .all(|actor| actor.as_str().unwrap().contains('/')),
        "{actors:?}"
    );
}

#[tokio::test]
async fn every_list_is_json_for_scripts_and_a_table_for_people() {
    let home = home();
    let home = home.path();
    let create = "models create chat --owned-by me --context-length 4096 --target chat-1";
    assert_eq!(ask(home, create).await["stable"], 1);
    prints(
        home,
        "models set chat --fallback deepseek-chat --hedging true",
    )
    .await;
    let deploy =
        r#"models deploy chat --target chat-2 --parameters {"temperature":0.2} --percent 9"#;
    let table = prints(home, deploy).await;
    assert!(table.contains("1, 2 at 9 %"), "{table}");
    let model = ask(home, "models set chat --no-fallback").await;
    assert_eq!(
        (&model["fallback"], &model["hedging"]),
        (&Value::Null, &json!(true))
    );
    for list in ["list", "versions chat", "history chat"] {
        let command = format!("models {list}");
        let table = prints(home, &command).await;
        let items = ask(home, &command).await;
        assert_eq!(
            table.lines().count(),
            items.as_array().unwrap().len() + 1,
            "{table}"
        );
    }
    let versions = ask(home, "models versions chat").await;
    assert_eq!(versions[0]["parameters"], json!({"temperature": 0.2}));
    assert_eq!(versions[1]["target"], "chat-1");
}

/// A request that is refused is exit code 1 and says why; one that cannot be read is 2.
#[tokio::test]
async fn mistakes_are_named() {
    let home = home();
    let home = home.path();
    for (command, code, part) in [
        ("models show nothing", 1, "nothing"),
        (
            "models promote deepseek-chat",
            1,
            "no version is being tried out",
        ),
        (
            "models rollback deepseek-chat",
            1,
            "no version answered before",
        ),
        (
            "models deploy deepseek-chat --target b --percent 100",
            1,
            "promote",
        ),
        (
            "models deploy deepseek-chat --version 3 --percent 5",
            1,
            "3",
        ),
        ("models deploy deepseek-chat --percent 5", 2, "--target"),
        ("models deploy deepseek-chat --target b", 2, "--percent"),
        (
            r#"models deploy deepseek-chat --target b --percent 5 --parameters {"heat":1}"#,
            2,
            "heat",
        ),
        ("models set deepseek-chat", 2, "--fallback"),
        ("models set deepseek-chat --fallback nothing", 1, "nothing"),
        (
            "models create deepseek-chat --owned-by me --context-length 9",
            1,
            "exists",
        ),
    ] {
        let error = fails(home, command, code).await;
        assert!(error.contains(part), "{command}: {error}");
    }
}
