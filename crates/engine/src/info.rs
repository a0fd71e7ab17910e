//! What is known about loaded weights.

use std::path::Path;

use llama_cpp_2::model::LlamaModel;

use crate::quantization;

/// Facts about loaded weights, read from the GGUF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsInfo {
    /// Name of the model and its quantisation, such as
    /// `SmolLM2-135M-Instruct-Q4_1`.
    ///
    /// It is the file's name: converters often leave the name of a training run
    /// in `general.name`, while people know a GGUF by its file.
    pub name: String,
    /// Architecture, such as `llama` (`general.architecture`).
    pub architecture: String,
    /// Quantisation of most tensors, such as `Q4_1` (`general.file_type`);
    /// `unknown` when the file does not say.
    pub quantization: String,
    /// Tokens of context the model was trained for.
    pub context_length: u32,
    /// Number of parameters.
    pub parameters: u64,
    /// Size of all tensors, in bytes.
    pub size_bytes: u64,
    /// Whether chats can be rendered: there is a chat template that compiles.
    pub has_chat_template: bool,
    /// How the weights make one vector of a text (`<architecture>.pooling_type`);
    /// absent for weights that generate text instead.
    pub pooling: Option<Pooling>,
    /// Length of such vectors.
    pub embedding_length: u32,
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    First,
    /// The last one.
    Last,
}

impl WeightsInfo {
    /// Reads the facts of `model`, loaded from `path`.
    pub(crate) fn read(model: &LlamaModel, path: &Path, has_chat_template: bool) -> Self {
        let text = |key: &str| model.meta_val_str(key).ok();
        let quantization = text("general.file_type")
            .and_then(|number| number.parse().ok())
            .and_then(quantization::name);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let architecture = text("general.architecture").unwrap_or_else(|| "unknown".into());
        let number = |key| text(&format!("{architecture}.{key}"))?.parse::<u32>().ok();
        Self {
            name: model_name(&stem, quantization),
            quantization: quantization.unwrap_or("unknown").into(),
            context_length: number("context_length").unwrap_or_else(|| model.n_ctx_train()),
            parameters: model.n_params(),
            size_bytes: model.size(),
            has_chat_template,
            pooling: number("pooling_type").and_then(Pooling::of),
            embedding_length: number("embedding_length").unwrap_or_default(),
            architecture,
        }
    }
}

impl Pooling {
    /// By `llama_pooling_type` of llama.cpp's `llama.h`, where others make no
    /// vectors.
    fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Mean),
            2 => Some(Self::First),
            3 => Some(Self::Last),
            _ => None,
        }
    }
}

/// The file stem, ending in a hyphen and the quantisation.
fn model_name(stem: &str, quantization: Option<&str>) -> String {
    let Some(quantization) = quantization else {
        return stem.into();
    };
    let base = stem
        .len()
        .checked_sub(quantization.len())
        .and_then(|at| stem.split_at_checked(at))
        .filter(|(_, end)| end.eq_ignore_ascii_case(quantization))
        .map_or(stem, |(base, _)| base.trim_end_matches(['-', '.', '_']));
    if base.is_empty() {
        return stem.into();
    }
    format!("{base}-{quantization}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_ends_in_the_quantization_once() {
        for (stem, name) in [
            ("SmolLM2-135M-Instruct-Q4_1", "SmolLM2-135M-Instruct-Q4_1"),
            ("SmolLM2-135M-Instruct.Q4_1", "SmolLM2-135M-Instruct-Q4_1"),
            ("smollm2-135m-instruct-q4_1", "smollm2-135m-instruct-Q4_1"),
            ("model", "model-Q4_1"),
            ("Q4_1", "Q4_1"),
            ("é4_1", "é4_1-Q4_1"),
            ("", ""),
        ] {
            assert_eq!(model_name(stem, Some("Q4_1")), name);
        }
        assert_eq!(model_name("model", None), "model");
    }
}
