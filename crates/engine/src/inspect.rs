//! What a GGUF file is, without loading its tensors.

use std::fs;
use std::path::Path;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;

use crate::template::TemplateFacts;
use crate::weights::{chat_template, open};
use crate::{LoadError, Weights, WeightsInfo};

/// What a GGUF file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What is known about the weights.
    pub info: WeightsInfo,
    /// Size of the file, in bytes.
    pub file_bytes: u64,
    /// Layers; absent if the file does not say.
    pub layers: Option<u32>,
    /// What the chat template shows of the model; absent if there is none that
    /// compiles.
    pub template: Option<TemplateFacts>,
    /// Whether the vocabulary has tokens around a gap to fill.
    pub fills_gaps: bool,
    /// Memory for one token of context, in bytes; absent if the file does not
    /// say enough.
    pub token_bytes: Option<u64>,
    /// Whether `token_bytes` is only near to what llama.cpp takes: the model
    /// stores context in a compressed form, or not in every layer.
    pub approximate: bool,
}

impl Weights {
    /// Reads what the GGUF at `path` is, without its tensors.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] that names the file.
    pub fn inspect(path: &Path) -> Result<Inspection, LoadError> {
        let params = LlamaModelParams::default().with_vocab_only(true);
        let model = open(path, &params)?;
        let template = chat_template(&model).map(|template| template.facts());
        let info = WeightsInfo::read(&model, path, template.is_some());
        let metadata = fs::metadata(path).map_err(|source| LoadError::Unreadable {
            path: path.into(),
            source,
        })?;
        let vocab = model.vocab();
        let around = [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()];
        let facts = Facts {
            model: &model,
            architecture: &info.architecture,
        };
        Ok(Inspection {
            file_bytes: metadata.len(),
            layers: facts.number("block_count"),
            template,
            fills_gaps: around.iter().all(|token| token.0 >= 0),
            token_bytes: facts.token_bytes(),
            approximate: facts.is_special(),
            info,
        })
    }
}

impl Inspection {
    /// Memory to serve `tokens` of context at once, in bytes, without what
    /// llama.cpp computes in.
    pub fn memory(&self, tokens: u64) -> Option<u64> {
        let context = self.token_bytes?.checked_mul(tokens)?;
        self.info.size_bytes.checked_add(context)
    }
}

/// The numbers of one architecture in a file.
struct Facts<'a> {
    model: &'a LlamaModel,
    architecture: &'a str,
}

/// Bytes of a number of stored context.
const F16: u64 = 2;

impl Facts<'_> {
    fn text(&self, key: &str) -> Option<String> {
        let key = format!("{}.{key}", self.architecture);
        self.model.meta_val_str(&key).ok()
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.text(key)?.parse().ok()
    }

    /// Layers × heads × (length of a key + length of a value) × 2 bytes.
    fn token_bytes(&self) -> Option<u64> {
        let layers = u64::from(self.number("block_count")?);
        let heads = u64::from(self.number("attention.head_count")?).max(1);
        let head = u64::from(self.number("embedding_length")?) / heads;
        let length = |key| self.number(key).map_or(head, u64::from);
        let key = length("attention.key_length");
        let value = length("attention.value_length");
        // One number for all layers, or a list with one for each.
        let stored = match self.text("attention.head_count_kv") {
            None => layers * heads,
            Some(text) => match text.parse::<u64>() {
                Ok(heads) => layers * heads,
                Err(_) => sum(&text)?,
            },
        };
        Some(stored * (key + value) * F16)
    }

    /// Whether context is stored in another way than every layer's keys and
    /// values.
    fn is_special(&self) -> bool {
        let keys = [
            "attention.kv_lora_rank",
            "attention.sliding_window",
            "ssm.state_size",
        ];
        keys.iter().any(|key| self.text(key).is_some())
            || self
                .text("attention.head_count_kv")
                .is_some_and(|text| text.starts_with('['))
    }
}

/// The sum of a list such as `[8, 8, 0]`.
fn sum(list: &str) -> Option<u64> {
    list.trim_matches(['[', ']'])
        .split(',')
        .map(|number| number.trim().parse::<u64>().ok())
        .sum()
}
