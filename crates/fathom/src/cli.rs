//! The command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use fathom_kit::config::{self as kit_config, ConfigError, Setting};
use fathom_kit::net::Endpoint;
use fathom_kit::telemetry;
use fathom_worker::EngineConfig;

use crate::process::Process;
use crate::{Config, admin, drill, engine, experiments, migrate, model, models, ports, roles, up};

/// A self-hosted LLM serving platform that speaks DeepSeek's and OpenAI's API.
#[derive(Debug, Parser)]
#[command(name = "fathom", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all services in one process, with a demo tenant.
    Up {
        #[command(flatten)]
        options: Options,
        /// Serve this GGUF file instead of the default weights.
        #[arg(long, value_name = "PATH.gguf")]
        model: Option<PathBuf>,
    },
    /// Run the public edge.
    Gateway(Role),
    /// Run the auth service.
    Auth(Role),
    /// Run the router.
    Router(Role),
    /// Run a worker.
    Worker(Role),
    /// See and change what a running worker serves.
    Engine {
        /// Where the worker listens: `http://HOST:PORT`, or `unix:PATH` for a worker of `fathom
        /// up`, whose sockets are in `run` in its data folder.
        #[arg(
            long,
            global = true,
            value_name = "ENDPOINT",
            default_value = "http://127.0.0.1:8381"
        )]
        worker: Endpoint,
        #[command(subcommand)]
        command: engine::Command,
    },
    /// Change tenants, clients, keys and limits, beside the servers that run or without any.
    Admin {
        #[command(flatten)]
        options: Options,
        /// Print JSON: an object, or an array of them.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        resource: admin::Resource,
    },
    /// Change models: which version of each answers whom, beside the servers that run or without
    /// any.
    Models {
        #[command(flatten)]
        options: Options,
        /// Print JSON: an object, or an array of them.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: models::Command,
    },
    /// Try out parameters or versions of a model on a part of its users.
    Experiments {
        #[command(flatten)]
        options: Options,
        /// Print JSON: an object, or an array of them.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: experiments::Command,
    },
    /// Check the log of changes.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Bring the database up to date, and say what that took.
    Migrate(Options),
    /// Look at the configuration without running anything.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the description of the public port (OpenAPI 3.1).
    Openapi,
    /// Look after model files.
    #[command(subcommand)]
    Model(model::Command),
    /// Break a Fathom that it starts for this, and say what the clients noticed.
    #[command(subcommand)]
    Drill(drill::Command),
}

/// A role in a process of its own.
#[derive(Args, Debug)]
struct Role {
    #[command(flatten)]
    options: Options,
    /// Drain when standard input closes, as it does when the parent process ends.
    #[arg(long, hide = true)]
    supervised: bool,
}

impl Role {
    fn serve<S>(self, start: S) -> anyhow::Result<()>
    where
        S: AsyncFnOnce(&Config, &Process) -> anyhow::Result<ports::Role>,
    {
        serve(self.options.load()?, async move |config, process| {
            if self.supervised {
                process.stop_with_parent()?;
            }
            roles::run(start(&config, &process), &process).await
        })
    }
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check every row, and name the first that is not as it was written.
    Verify {
        #[command(flatten)]
        options: Options,
        /// The signed end of the log; by default the file that the auth service keeps.
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration is valid.
    Check(Options),
    /// Print the effective configuration, without secrets.
    Print(Options),
}

/// Where the configuration comes from, besides the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// The configuration file.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Set one key, for example `gateway.listen=127.0.0.1:9000`; wins over all else.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    settings: Vec<Setting>,
}

impl Options {
    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&kit_config::home(), self.config.as_deref(), &self.settings)
    }
}

/// Does what the command line says; returns when it is done.
///
/// # Errors
/// [`ConfigError`] for a bad configuration, and whatever keeps a service from running.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Up { options, model } => {
            let mut config = options.load()?;
            if let Some(model) = model {
                serve_file(&mut config, &model)?;
            }
            serve(config, async |config, process| {
                up::run(config, process).await
            })
        }
        Command::Gateway(role) => role.serve(roles::gateway),
        Command::Auth(role) => role.serve(roles::auth),
        Command::Router(role) => role.serve(roles::router),
        Command::Worker(role) => {
            role.serve(async |config, process| Ok(roles::worker(config, process).await?.0))
        }
        Command::Engine { worker, command } => once(Options::default().load()?, async |_| {
            engine::run(command, &worker).await
        }),
        Command::Admin {
            options,
            json,
            resource,
        } => once(options.load()?, async |config| {
            admin::run(resource, &config, json).await
        }),
        Command::Models {
            options,
            json,
            command,
        } => once(options.load()?, async |config| {
            models::run(command, &config, json).await
        }),
        Command::Experiments {
            options,
            json,
            command,
        } => once(options.load()?, async |config| {
            experiments::run(command, &config, json).await
        }),
        Command::Audit(AuditCommand::Verify { options, head }) => {
            once(options.load()?, async |config| {
                admin::verify_audit(&config, head.as_deref()).await
            })
        }
        Command::Migrate(options) => once(options.load()?, async |config| {
            print(&migrate::run(&config).await?)
        }),
        Command::Config(ConfigCommand::Check(options)) => {
            options.load()?;
            print("the configuration is valid\n")
        }
        Command::Config(ConfigCommand::Print(options)) => print(&options.load()?.redacted()?),
        Command::Openapi => print(fathom_gateway::openapi()),
        Command::Model(command) => {
            let config = Options::default().load()?;
            telemetry::init_logs(&config.telemetry)?;
            model::run(command, &config)
        }
        Command::Drill(command) => once(Config::defaults_in(&kit_config::home()), async |_| {
            drill::run(command).await
        }),
    }
}

/// Runs a command that ends by itself.
fn once<C>(config: Config, command: C) -> anyhow::Result<()>
where
    C: AsyncFnOnce(Config) -> anyhow::Result<()>,
{
    telemetry::init_logs(&config.telemetry)
        .map_err(|error| ConfigError::Invalid(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command(config))
}

/// Starts the runtime and the telemetry, then the role.
fn serve<R>(config: Config, role: R) -> anyhow::Result<()>
where
    R: AsyncFnOnce(Config, Process) -> anyhow::Result<()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        telemetry::init_logs(&config.telemetry)
            .map_err(|error| ConfigError::Invalid(error.to_string()))?;
        let metrics = telemetry::init_metrics()?;
        let process =
            Process::start(config.shutdown_grace, metrics)?.delayed_by(config.shutdown_delay);
        role(config, process).await
    });
    // A blocking call that hangs must not hold a process that has drained.
    runtime.shutdown_background();
    result
}

fn serve_file(config: &mut Config, model: &Path) -> Result<(), ConfigError> {
    if !model.is_file() {
        let problem = format!("--model: there is no file {}", model.display());
        return Err(ConfigError::Invalid(problem));
    }
    for engine in &mut config.worker.engines {
        if let EngineConfig::Local(local) = engine {
            local.path = Some(model.to_owned());
        }
    }
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
