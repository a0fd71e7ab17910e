//! The official clients of other dialects than OpenAI's chat, where their examples do not reach:
//! functions, thoughts, and streams that are given up.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::{home, real};
use crate::process::{run, test_path};

/// Two models with the real weights, one that calls functions and one that thinks, and a slow one
/// that has room for one answer.
fn engines() -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/it/fixtures");
    let local = |serves: &str, template: &str| {
        let template = fixtures.join(template).canonicalize().unwrap();
        let template = template.display();
        format!(
            r#"{{kind="local", serves=["{serves}"], threads=1, chat_template="{template}", context_length=1024}}"#
        )
    };
    let calls = local("deepseek-code", "hermes.jinja");
    let thinks = local("deepseek-math", "thinking.jinja");
    let slow = r#"{kind="sim", serves=["deepseek-chat"], capacity=1, max_queue=0, tokens=100000, context_length=1000000, inter_token="20ms"}"#;
    format!("worker.engines=[{calls}, {thinks}, {slow}]")
}

#[tokio::test]
async fn the_sdks_of_other_dialects_call_functions_think_and_go_away() {
    let python = test_path("FATHOM_TEST_PYTHON");
    let impatient = "router.queue.max_age=100ms";
    let server = real(&home(), &["--set", &engines(), "--set", impatient]).await;
    for program in ["anthropic_tools.py", "responses_tools.py"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/dialects");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"set -a; . "$0"; exec "$@""#]);
        shell.arg(server.demo_file()).arg(&python);
        shell.arg(folder.join(program));
        shell.env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
        let output = run(shell, Duration::from_secs(120)).await;
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {text}");
        assert!(!output.stdout.trim_ascii().is_empty(), "{output:?}");
    }
}
