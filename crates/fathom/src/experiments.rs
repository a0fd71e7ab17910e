//! `fathom experiments`: makes, ends and reports experiments in the router's database itself, as
//! the user of the machine. Routers that run follow within seconds.

mod arm;
mod table;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fathom_kit::database;
use fathom_proto::id::ModelId;
use fathom_router::experiments::{ExperimentStore, GuardRail, NewArm, NewExperiment};

use crate::Config;
use crate::admin::operator;
use crate::admin::output::Output;
use table::{FullReport, Listed};

/// `fathom experiments …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an experiment: from now on a part of the users gets each arm.
    Create(Create),
    /// List them, the newest first.
    List,
    /// Say what an experiment has come to; look as often as you like.
    Report {
        /// Its name.
        name: String,
    },
    /// End an experiment for good: its users get what all others get.
    Stop {
        /// Its name.
        name: String,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
    },
}

/// `fathom experiments create`
#[derive(Args, Debug)]
pub struct Create {
    /// Its name: 1 to 64 of a-z, 0-9, -, _ and `.`.
    name: String,
    /// Whose requests are in it.
    #[arg(long)]
    model: ModelId,
    /// An arm: its name, and after it any of `weight`, `version`, `temperature`, `top_p`, `top_k`,
    /// `min_p`, `seed`, `frequency_penalty`, `presence_penalty` and `logit_bias=TOKEN:BIAS`, for
    /// example `cool,temperature=0.2,weight=3`. Give two or more; the others are compared with the
    /// first.
    #[arg(long = "arm", value_name = "NAME[,KEY=VALUE]…", required = true, value_parser = arm::parse)]
    arms: Vec<NewArm>,
    /// Stop an arm whose error rate is higher than that of the first by more than this.
    #[arg(long, value_name = "PART", default_value_t = 0.05)]
    max_error_increase: f64,
    /// Stop an arm whose mean score is lower than that of the first by more than this.
    #[arg(long, value_name = "SCORE", default_value_t = 0.2)]
    max_score_decrease: f64,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

/// Does it, and prints what came of it: for people, or as JSON.
///
/// # Errors
/// What is wrong with the request, or whatever keeps the database from being opened.
pub async fn run(command: Command, config: &Config, json: bool) -> anyhow::Result<()> {
    let output = Output { json };
    let url = config.router.database.as_deref();
    let url = url.context("`router.database` is not set")?;
    let store = ExperimentStore::new(database::connect(url).await?);
    let who = || operator::name().map(|name| format!("operator:{name}"));
    match command {
        Command::Create(create) => {
            let why = create.why.clone();
            let new = NewExperiment::from(create);
            store.create(&new, &who()?, &why).await?;
            output.one(&Listed(store.experiment(&new.name).await?))
        }
        Command::List => {
            let experiments = store.experiments().await?;
            output.list(&experiments.into_iter().map(Listed).collect::<Vec<_>>())
        }
        Command::Report { name } => {
            let (report, changes) = store.report(&name).await?;
            FullReport { report, changes }.print(output)
        }
        Command::Stop { name, why } => {
            store.stop(&name, &who()?, &why).await?;
            output.done("the experiment has ended")
        }
    }
}

impl From<Create> for NewExperiment {
    fn from(create: Create) -> Self {
        Self {
            name: create.name,
            model: create.model,
            guard_rail: GuardRail {
                max_error_increase: create.max_error_increase,
                max_score_decrease: create.max_score_decrease,
            },
            arms: create.arms,
        }
    }
}
