//! `fathom models`: changes models in the database itself, as the user of the machine. No server
//! needs to run; routers that do go by a change within two seconds.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fathom_kit::database;
use fathom_proto::administration::AuditPage;
use fathom_proto::id::ModelId;
use fathom_proto::inference::Sampling;
use fathom_proto::models::{Deploy, Guard, ModelPatch, NewModel, RollBack, Step};
use fathom_router::ModelStore;

use crate::Config;
use crate::admin::operator;
use crate::admin::output::Output;

mod tables;

/// `fathom models …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them.
    List,
    /// Show one.
    Show {
        /// The model.
        model: ModelId,
    },
    /// Make one.
    Create {
        /// Name that clients will use.
        model: ModelId,
        /// Who offers it.
        #[arg(long, value_name = "NAME")]
        owned_by: String,
        /// Most tokens of prompt and output together.
        #[arg(long, value_name = "TOKENS")]
        context_length: u32,
        /// The name that workers of its first version announce; by default it has no versions and
        /// is served under its own name.
        #[arg(long, value_name = "NAME")]
        target: Option<ModelId>,
    },
    /// Set what holds whatever version answers; what is not named stays.
    Set(Set),
    /// Try a version out with some of the users, or with more or fewer of them.
    Deploy(Box<DeployVersion>),
    /// Let the version that is tried out answer everybody.
    Promote {
        /// The model.
        model: ModelId,
        #[command(flatten)]
        terms: Terms,
    },
    /// Let one of the last three stable versions answer again, and end a trial.
    Rollback {
        /// The model.
        model: ModelId,
        /// The version; by default the one before.
        #[arg(long, value_name = "VERSION")]
        to: Option<u32>,
        #[command(flatten)]
        terms: Terms,
    },
    /// End a trial: the stable version answers everybody.
    Abort {
        /// The model.
        model: ModelId,
        #[command(flatten)]
        terms: Terms,
    },
    /// List the versions of one, the newest first.
    Versions {
        /// The model.
        model: ModelId,
    },
    /// List the changes of one, the oldest first.
    History {
        /// The model.
        model: ModelId,
        /// Changes after this id.
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: i64,
        /// How many, 1 to 1000.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
}

#[derive(Args, Debug)]
pub struct Set {
    /// The model.
    model: ModelId,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Settings {
    /// The model that answers when no worker of this one can.
    #[arg(long, value_name = "MODEL")]
    fallback: Option<ModelId>,
    /// Let no other model answer.
    #[arg(long, conflicts_with = "fallback")]
    no_fallback: bool,
    /// Whether a second worker is asked when the first is slow to begin.
    #[arg(long, value_name = "BOOL")]
    hedging: Option<bool>,
}

impl Settings {
    fn patch(self) -> ModelPatch {
        ModelPatch {
            fallback: match (self.no_fallback, self.fallback) {
                (true, _) => Some(None),
                (false, fallback) => fallback.map(Some),
            },
            hedging: self.hedging,
        }
    }
}

#[derive(Args, Debug)]
pub struct DeployVersion {
    /// The model.
    model: ModelId,
    #[command(flatten)]
    what: What,
    /// Sampling of a new version where a request does not say, for example '{"temperature": 0.2}'.
    #[arg(long, value_name = "JSON", value_parser = parameters, conflicts_with = "version")]
    parameters: Option<Sampling>,
    /// Users of 100 that it answers, 1 to 99.
    #[arg(long, value_name = "1-99")]
    percent: u32,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// Make a version, of the workers that announce this name.
    #[arg(long, value_name = "NAME")]
    target: Option<ModelId>,
    /// Deploy a version that is there.
    #[arg(long, value_name = "VERSION")]
    version: Option<u32>,
}

impl DeployVersion {
    fn deploy(self) -> Deploy {
        Deploy {
            version: self.what.version,
            target: self.what.target,
            parameters: self.parameters.unwrap_or_default(),
            percent: self.percent,
            guard: self.bounds.guard(),
            why: self.terms.why,
            if_last_change: self.terms.if_last_change,
        }
    }
}

/// What ends a trial by itself.
#[derive(Args, Debug)]
#[group(multiple = true)]
struct Bounds {
    /// How much larger the share of failed requests may be than that of the stable version; by
    /// default 0.02.
    #[arg(long, value_name = "SHARE")]
    max_error_increase: Option<f64>,
    /// How many times as long the first token may take, as the 99th percentile; by default 1.5.
    #[arg(long, value_name = "RATIO")]
    max_first_token_ratio: Option<f64>,
    /// How many requests of either version are compared at least; by default 100.
    #[arg(long, value_name = "N")]
    min_requests: Option<u32>,
}

impl Bounds {
    /// `None`: none was named.
    fn guard(&self) -> Option<Guard> {
        let usual = Guard::default();
        let named = self.max_error_increase.is_some()
            || self.max_first_token_ratio.is_some()
            || self.min_requests.is_some();
        named.then(|| Guard {
            max_error_increase: self.max_error_increase.unwrap_or(usual.max_error_increase),
            max_first_token_ratio: self
                .max_first_token_ratio
                .unwrap_or(usual.max_first_token_ratio),
            min_requests: self.min_requests.unwrap_or(usual.min_requests),
        })
    }
}

/// What goes with every change of versions.
#[derive(Args, Debug)]
pub struct Terms {
    /// The reason, for the record.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// Change nothing unless this is the model's last change, as `show` says.
    #[arg(long, value_name = "ID")]
    if_last_change: Option<u64>,
}

impl Terms {
    fn step(self) -> Step {
        let Self {
            why,
            if_last_change,
        } = self;
        Step {
            why,
            if_last_change,
        }
    }
}

/// Does it, and prints what came of it: for people, or as JSON.
///
/// # Errors
/// What is wrong with the request, or whatever keeps the database from being opened.
pub async fn run(command: Command, config: &Config, json: bool) -> anyhow::Result<()> {
    let url = config.router.database.as_deref();
    let url = url.context("`router.database` is not set")?;
    let store = ModelStore::new(database::connect(url).await?);
    let actor = format!("operator:{}", operator::name()?);
    let output = Output { json };
    let changed = match command {
        Command::List => return output.list(&store.models().await?),
        Command::Versions { model } => return output.list(&store.versions(&model).await?),
        Command::History {
            model,
            after,
            limit,
        } => {
            let limit = Some(limit);
            let page = AuditPage { after, limit };
            return output.list(&store.history(&model, page).await?);
        }
        Command::Show { model } => store.model(&model).await?,
        Command::Create {
            model,
            owned_by,
            context_length,
            target,
        } => {
            let new = NewModel {
                id: model,
                owned_by,
                context_length,
                target,
            };
            store.create(&actor, new).await?
        }
        Command::Set(Set { model, settings }) => {
            store.update(&actor, &model, settings.patch()).await?
        }
        Command::Deploy(deploy) => {
            let model = deploy.model.clone();
            store.deploy(&actor, &model, deploy.deploy()).await?
        }
        Command::Promote { model, terms } => store.promote(&actor, &model, terms.step()).await?,
        Command::Rollback { model, to, terms } => {
            let roll_back = RollBack {
                to,
                why: terms.why,
                if_last_change: terms.if_last_change,
            };
            store.roll_back(&actor, &model, roll_back).await?
        }
        Command::Abort { model, terms } => store.abort(&actor, &model, terms.step()).await?,
    };
    output.one(&changed)
}

fn parameters(text: &str) -> Result<Sampling, serde_json::Error> {
    serde_json::from_str(text)
}
