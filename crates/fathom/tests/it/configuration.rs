use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use crate::harness::{Server, home, sim};
use crate::process::{eventually, fathom, run};

/// How long a refusal may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs a command that is to end by itself, in an empty data folder.
async fn ends(arguments: &[&str]) -> Output {
    run(fathom(home().path(), arguments), LIMIT).await
}

/// Asserts the exit code, and that standard error holds all of `parts`.
fn assert_refused(output: &Output, code: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

/// DRAIN-5: starting again would not help, which exit code 2 tells a supervisor.
#[tokio::test]
async fn a_configuration_error_is_exit_code_2_with_the_key_named() {
    for (setting, parts) in [
        (
            "gateway.lisen=127.0.0.1:0",
            &["gateway.lisen", "did you mean `listen`"][..],
        ),
        (
            "gatewy.listen=127.0.0.1:0",
            &["gatewy", "did you mean `gateway`"],
        ),
        (
            "gateway.max_body_bytes=many",
            &["gateway.max_body_bytes", "many"],
        ),
        ("gateway.listen=here", &["gateway.listen", "127.0.0.1:8080"]),
        ("shutdown_grace=soon", &["shutdown_grace"]),
        (
            "gateway.limits.idle_timeout=0s",
            &["gateway.limits.idle_timeout", "longer"],
        ),
        (
            r#"gateway.trusted_proxies=["10.0.0.0/33"]"#,
            &["gateway.trusted_proxies", "10.0.0.0/33", "10.0.0.0/8"],
        ),
        ("telemetry.log=a=b=c", &["telemetry.log"]),
        ("telemetry.format=xml", &["telemetry.format", "json"]),
        (
            r#"worker.engines=[{kind="magic"}]"#,
            &["worker.engines", "magic"],
        ),
        (
            r#"worker.engines=[{kind="sim", serves=["a"], tokns=3}]"#,
            &["worker.engines", "tokns", "tokens"],
        ),
    ] {
        assert_refused(&ends(&["up", "--set", setting]).await, 2, parts);
    }
    let file = ["up", "--config", "/no/such.toml"];
    assert_refused(&ends(&file).await, 2, &["/no/such.toml", "does not exist"]);
    let model = ["up", "--model", "/no/such.gguf"];
    assert_refused(&ends(&model).await, 2, &["/no/such.gguf", "--model"]);
    assert_refused(&ends(&["up", "--set", "nonsense"]).await, 2, &["KEY=VALUE"]);
}

/// DRAIN-5: what only the service itself can check is a configuration error all the same.
#[tokio::test]
async fn a_value_that_a_service_refuses_is_exit_code_2_too() {
    let listen = [
        "--set",
        "gateway.listen=127.0.0.1:0",
        "--set",
        "gateway.admin_listen=127.0.0.1:0",
    ];
    for (setting, parts) in [
        (
            "auth.token_lifetime=0s",
            &["auth.token_lifetime", "1s to 24h"][..],
        ),
        (
            r#"worker.engines=[{kind="sim"}]"#,
            &["worker.engines", "serves"],
        ),
        (
            r#"worker.engines=[{kind="sim", serves=["deepseek-chat", "deepseek-chat"]}]"#,
            &["worker.engines", "deepseek-chat"],
        ),
        ("worker.engines=[]", &["worker.engines"]),
    ] {
        let arguments = [&["up", "--set", setting][..], &listen].concat();
        assert_refused(&ends(&arguments).await, 2, parts);
    }
}

/// DRAIN-5: a server that cannot become ready says why.
#[tokio::test]
async fn an_engine_for_a_model_that_is_not_registered_is_named() {
    let engine = r#"worker.engines=[{kind="sim", serves=["no-such-model"]}]"#;
    let server = Server::launch(&home(), &["--set", engine]);
    eventually("the log names the model", LIMIT / 4, async || {
        server.log().contains("no-such-model").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unknown_variable_is_refused_by_name() {
    let mut command = fathom(home().path(), &["config", "check"]);
    command.env("FATHOM__GATEWAY__LISEN", "127.0.0.1:0");
    let output = run(command, LIMIT).await;
    assert_refused(&output, 2, &["gateway.lisen", "did you mean `listen`"]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["gateway.listen", "gateway.admin_listen"] {
        let (other, setting) = ("gateway.listen=127.0.0.1:0", format!("{key}={address}"));
        let output = ends(&["up", "--set", other, "--set", &setting]).await;
        assert_refused(&output, 1, &["cannot listen on", &address]);
    }
}

#[tokio::test]
async fn what_config_print_writes_can_be_read_again_and_holds_no_password() {
    let database = "auth.database=postgres://fathom:hunter2@db/fathom";
    let printed = ends(&["config", "print", "--set", database]).await;
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(
        text.contains("postgres://fathom:[redacted]@db/fathom"),
        "{text}"
    );
    assert!(!text.contains("hunter2"));
    let home = home();
    let file = home.path().join("fathom.toml");
    fs::write(&file, &text).unwrap();
    let checked = ends(&["config", "check", "--config", file.to_str().unwrap()]).await;
    assert!(checked.status.success(), "{checked:?}");
    let again = ends(&["config", "print", "--config", file.to_str().unwrap()]).await;
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);
}

#[tokio::test]
async fn a_variable_of_the_environment_sets_a_key() {
    let mut command = fathom(home().path(), &["config", "print"]);
    command.env("FATHOM__GATEWAY__LISTEN", "127.0.0.1:9876");
    let text = String::from_utf8(run(command, LIMIT).await.stdout).unwrap();
    let printed: toml::Table = text.parse().unwrap();
    assert_eq!(
        printed["gateway"]["listen"].as_str(),
        Some("127.0.0.1:9876")
    );
}

#[tokio::test]
async fn the_banner_shows_what_demo_env_holds() {
    let server = Server::ready(&home(), &["--set", &sim("tokens=8")]).await;
    let banner = server.output();
    for name in [
        "FATHOM_BASE_URL",
        "FATHOM_API_KEY",
        "FATHOM_CLIENT_ID",
        "FATHOM_CLIENT_SECRET",
    ] {
        assert!(banner.contains(&server.demo(name)), "{name}");
    }
    assert!(!banner.contains(&server.demo("FATHOM_ADMIN_KEY")));
    assert!(banner.contains(server.demo_file().to_str().unwrap()));
}
