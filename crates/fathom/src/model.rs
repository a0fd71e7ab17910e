//! `fathom model`: model files, without a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use fathom_engine::{CallSyntax, Inspection, Pooling, Weights};
use fathom_kit::shutdown::Shutdown;
use fathom_worker::{LocalConfig, store};
use serde::Serialize;

use crate::Config;
use crate::admin::output::{Output, Tabular};

/// `fathom model …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch the default weights unless they are there and whole, and print their path.
    Fetch {
        /// Where to keep them; by default where `fathom up` looks.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Say what a GGUF file is, and the memory that it needs.
    Inspect {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print JSON: an object.
        #[arg(long)]
        json: bool,
    },
}

/// Does it; blocks for as long as that takes.
///
/// # Errors
/// Weights that cannot be fetched, or a file that is no model.
pub fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Fetch { dir } => {
            let dir = dir.unwrap_or_else(|| config.home.join("models"));
            let never = Shutdown::new(Duration::ZERO);
            let path = store::ensure_default(&dir, &config.worker.python, &never)?;
            Output { json: false }.done(&path.display().to_string())
        }
        Command::Inspect { file, json } => Output { json }.one(&Row::of(&file)?),
    }
}

/// Tokens that [`Row::memory_per_1000_tokens_bytes`] is for.
const THOUSAND: u64 = 1000;

/// A file, as it is printed.
#[derive(Serialize)]
struct Row {
    name: String,
    architecture: String,
    parameters: u64,
    quantization: String,
    /// Context that the weights were trained for, in tokens.
    trained_context_length: u32,
    layers: Option<u32>,
    chat_template: bool,
    /// The form of the calls; absent: none, or none that is known.
    tools: Option<&'static str>,
    thinks: bool,
    fills_gaps: bool,
    /// How vectors are made; absent: the weights generate text.
    embeddings: Option<&'static str>,
    file_bytes: u64,
    /// Context of an engine without settings, in tokens.
    default_context_length: u32,
    /// Context that such an engine sets memory aside for, in tokens.
    default_kv_tokens: u64,
    /// Memory of such an engine, without what llama.cpp computes in; absent: the file does not
    /// say enough.
    memory_bytes: Option<u64>,
    memory_per_1000_tokens_bytes: Option<u64>,
    /// Whether the model keeps its context in another way than the two numbers count.
    memory_is_estimate: bool,
}

impl Row {
    fn of(file: &Path) -> anyhow::Result<Self> {
        let inspection = Weights::inspect(file)?;
        let defaults = LocalConfig::default();
        let default_context_length = defaults.context_of(&inspection.info);
        let default_kv_tokens = defaults.kv_tokens_of(&inspection.info);
        let memory_bytes = inspection.memory(default_kv_tokens);
        let Inspection {
            info,
            file_bytes,
            layers,
            template,
            fills_gaps,
            token_bytes,
            approximate,
        } = inspection;
        Ok(Self {
            chat_template: template.is_some(),
            tools: template.and_then(|facts| facts.calls).map(form),
            thinks: template.is_some_and(|facts| facts.thinks),
            embeddings: info.pooling.map(pooling),
            // Their context is computed and not kept.
            memory_is_estimate: approximate || info.pooling.is_some(),
            name: info.name,
            architecture: info.architecture,
            parameters: info.parameters,
            quantization: info.quantization,
            trained_context_length: info.context_length,
            layers,
            fills_gaps,
            file_bytes,
            default_context_length,
            default_kv_tokens,
            memory_bytes,
            memory_per_1000_tokens_bytes: token_bytes.and_then(|bytes| bytes.checked_mul(THOUSAND)),
        })
    }

    fn memory(&self, bytes: Option<u64>) -> String {
        let Some(bytes) = bytes else {
            return "unknown".to_owned();
        };
        let estimate = if self.memory_is_estimate {
            ", an estimate"
        } else {
            ""
        };
        format!("{}{estimate}", mebibytes(bytes))
    }
}

impl Tabular for Row {
    const HEADINGS: &[&str] = &[
        "name",
        "architecture",
        "parameters",
        "quantization",
        "trained context",
        "layers",
        "chat template",
        "tools",
        "thoughts",
        "fills gaps",
        "embeddings",
        "file",
        "default context",
        "memory",
        "per 1,000 tokens",
    ];

    fn cells(&self) -> Vec<String> {
        let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
        let or_no = |text: Option<&str>| text.unwrap_or("no").to_owned();
        let layers = self.layers.map(|layers| layers.to_string());
        let memory = self.memory(self.memory_bytes);
        vec![
            self.name.clone(),
            self.architecture.clone(),
            self.parameters.to_string(),
            self.quantization.clone(),
            format!("{} tokens", self.trained_context_length),
            layers.unwrap_or_else(|| "unknown".to_owned()),
            yes(self.chat_template),
            or_no(self.tools),
            yes(self.thinks),
            yes(self.fills_gaps),
            or_no(self.embeddings),
            mebibytes(self.file_bytes),
            format!("{} tokens", self.default_context_length),
            format!("{memory}, for {} tokens of context", self.default_kv_tokens),
            self.memory(self.memory_per_1000_tokens_bytes),
        ]
    }
}

const fn form(calls: CallSyntax) -> &'static str {
    match calls {
        CallSyntax::Hermes => "hermes",
        CallSyntax::Mistral => "mistral",
        CallSyntax::Llama => "llama",
        CallSyntax::DeepSeek | CallSyntax::DeepSeekPlain => "deepseek",
    }
}

const fn pooling(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Mean => "mean",
        Pooling::First => "first",
        Pooling::Last => "last",
    }
}

fn mebibytes(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
