use std::num::NonZeroUsize;
use std::time::Duration;

use fathom_kit::config::load;

use super::*;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    worker: Config,
}

fn read(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fathom.toml");
    std::fs::write(&path, text).unwrap();
    let file = load(File::default(), Some(&path), &[]);
    file.map(|file| file.worker)
        .map_err(|error| error.to_string())
}

#[test]
fn the_defaults_serve_three_models_with_the_default_weights() {
    let config = read("").unwrap();
    assert_eq!(config.routers, ["http://127.0.0.1:8281".parse().unwrap()]);
    assert_eq!(
        config.engines[0].serves(),
        ["deepseek-chat", "deepseek-code", "deepseek-math"]
    );
    assert!(matches!(
        &config.engines[..],
        [EngineConfig::Local(LocalConfig { path: None, .. })]
    ));
}

#[test]
fn engines_in_the_file_replace_the_default_one() {
    let config = read(
        "[[worker.engines]]\nkind = 'sim'\nserves = ['a']\nttft = '20ms'\n\
         [[worker.engines]]\nkind = 'local'\nserves = ['b']\npath = 'b.gguf'\nthreads = 2\n\
         max_queue_age = '5s'",
    );
    let config = config.unwrap();
    let [EngineConfig::Sim(sim), EngineConfig::Local(local)] = &config.engines[..] else {
        panic!("{config:?}");
    };
    assert_eq!((sim.ttft, sim.tokens), (Duration::from_millis(20), 32));
    assert_eq!((local.threads, local.max_queue), (NonZeroUsize::new(2), 64));
    assert_eq!(local.max_queue_age, Duration::from_secs(5));
}

#[test]
fn a_typo_in_an_engine_is_refused_by_name() {
    for (engine, typo) in [
        ("kind = 'sim'\nserves = ['a']\ntfft = '1s'", "tfft"),
        ("kind = 'local'\nserves = ['a']\nthread = 2", "thread"),
        ("kind = 'simm'\nserves = ['a']", "simm"),
        ("serves = ['a']", "kind"),
        ("kind = 'sim'\nserves = ['a']\npath = 'x.gguf'", "path"),
        (
            "kind = 'sim'\nserves = ['a']\nfaults = [{kind = 'stall', aftre = 1}]",
            "aftre",
        ),
        (
            "kind = 'sim'\nserves = ['a']\nfaults = [{kind = 'fail', code = 'x'}]",
            "`x` is no error code",
        ),
    ] {
        let error = read(&format!("[[worker.engines]]\n{engine}")).unwrap_err();
        assert!(
            error.contains("worker.engines") && error.contains(typo),
            "{typo}: {error}"
        );
    }
}
