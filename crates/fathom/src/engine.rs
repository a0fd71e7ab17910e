//! `fathom engine`: sees and changes what a running worker serves.

use clap::{Args, Subcommand};
use fathom_kit::net::Endpoint;
use fathom_proto::engines::{EngineLoad, EngineStatus, Engines, LoadEngine};
use fathom_proto::grpc::EnginesClient;
use fathom_proto::id::ModelId;
use serde::Serialize;

use crate::admin::output::{Output, Tabular};

/// `fathom engine …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the engines, in the order they were loaded.
    List(Format),
    /// Load weights; names that other engines serve go over to them.
    Load {
        /// A GGUF file in the worker's model folder.
        #[arg(value_name = "NAME.gguf")]
        file: String,
        /// A model name that it answers to; repeat it for more.
        #[arg(long, required = true, value_name = "MODEL")]
        serves: Vec<String>,
        /// Most tokens of prompt and answer together.
        #[arg(long, value_name = "N")]
        context_length: Option<u32>,
        /// Generations that can run at a time.
        #[arg(long, value_name = "N")]
        slots: Option<u32>,
        #[command(flatten)]
        format: Format,
    },
    /// Take a model name out; running generations go on.
    Unload {
        /// The name.
        model: String,
    },
}

/// How results are printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct Format {
    /// Print JSON: an object, or an array of them.
    #[arg(long)]
    json: bool,
}

/// Does it on the worker at `endpoint`.
///
/// # Errors
/// What the worker says, or that it cannot be reached.
pub async fn run(command: Command, endpoint: &Endpoint) -> anyhow::Result<()> {
    let channel = endpoint.channel().map_err(anyhow::Error::msg)?;
    let engines = EnginesClient::new(channel);
    match command {
        Command::List(Format { json }) => {
            let engines = engines.list().await?.into_iter().map(Row::from);
            Output { json }.list(&engines.collect::<Vec<_>>())
        }
        Command::Load {
            file,
            serves,
            context_length,
            slots,
            format: Format { json },
        } => {
            let request = LoadEngine {
                file,
                serves: serves.into_iter().map(ModelId::from).collect(),
                context_length,
                slots,
            };
            Output { json }.one(&Row::from(engines.load(request).await?))
        }
        Command::Unload { model } => Ok(engines.unload(&model.into()).await?),
    }
}

/// One engine, as it is printed.
#[derive(Serialize)]
struct Row {
    serves: Vec<ModelId>,
    backend: String,
    weights: String,
    context_length: u32,
    slots: u32,
    running: u32,
    queued: u32,
    kv_used: u32,
    kv_capacity: u32,
}

impl From<EngineStatus> for Row {
    fn from(engine: EngineStatus) -> Self {
        let EngineLoad {
            slots,
            running,
            queued,
            kv_used,
            kv_capacity,
        } = engine.load;
        Self {
            serves: engine.serves,
            backend: engine.deployment.backend,
            weights: engine.deployment.weights,
            context_length: engine.deployment.context_length,
            slots,
            running,
            queued,
            kv_used,
            kv_capacity,
        }
    }
}

impl Tabular for Row {
    const HEADINGS: &[&str] = &[
        "serves", "backend", "weights", "context", "slots", "running", "queued", "kv",
    ];

    fn cells(&self) -> Vec<String> {
        let serves: Vec<_> = self.serves.iter().map(ModelId::as_str).collect();
        vec![
            serves.join(","),
            self.backend.clone(),
            self.weights.clone(),
            self.context_length.to_string(),
            self.slots.to_string(),
            self.running.to_string(),
            self.queued.to_string(),
            format!("{}/{}", self.kv_used, self.kv_capacity),
        ]
    }
}
