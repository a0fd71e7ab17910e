//! Token counts of answers whose server gives none.

use std::path::Path;

use ::metrics::{Counter, counter};
use fathom_engine::{ChatMessage, PromptError, Tool, ToolCall, Weights};
use fathom_proto::inference::{ChatMessage as Turn, Function, Json, Prompt, Tools, Usage};
use tokio::task::spawn_blocking;

use crate::{Error, metrics};

/// Bytes that a token stands for where nothing better is known.
pub(super) const BYTES_PER_TOKEN: usize = 4;

/// How tokens are counted.
pub(super) struct Count {
    tokenizer: Option<Weights>,
    estimated: Counter,
}

/// What is needed to count the tokens of one request.
#[derive(Clone)]
pub(super) struct Counting {
    tokenizer: Option<(Weights, Prompt, Vec<Function>)>,
    /// About what the prompt has, with the functions that may be called.
    prompt_tokens: u32,
    estimated: Counter,
}

impl Count {
    /// Loads the tokenizer, if there is one, and blocks for it.
    pub fn new(engine: &str, serves: &[String], tokenizer: Option<&Path>) -> Result<Self, Error> {
        let tokenizer = tokenizer.map(Weights::load).transpose();
        Ok(Self {
            tokenizer: tokenizer.map_err(|source| Error::Load {
                serves: serves.join(", "),
                source,
            })?,
            estimated: counter!(metrics::USAGE_ESTIMATED_TOTAL, "engine" => engine.to_owned()),
        })
    }

    /// Keeps of the prompt and of what may be called what counting needs.
    pub fn of(&self, prompt: Prompt, tools: Option<Tools>) -> Counting {
        let functions = tools.map_or_else(Vec::new, |tools| tools.functions);
        let bytes = bytes(&prompt) + functions.iter().map(described).sum::<usize>();
        let tokenizer = self.tokenizer.clone();
        Counting {
            prompt_tokens: saturated(bytes.div_ceil(BYTES_PER_TOKEN)),
            tokenizer: tokenizer.map(|weights| (weights, prompt, functions)),
            estimated: self.estimated.clone(),
        }
    }
}

impl Counting {
    /// About how many tokens the prompt has.
    pub const fn estimate(&self) -> u32 {
        self.prompt_tokens
    }

    /// Whether the generated text is needed.
    pub const fn wants_text(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// The counts of an answer of which `deltas` pieces came, which are `text` together.
    pub async fn usage(self, deltas: u32, text: Option<String>) -> Usage {
        let Self {
            tokenizer,
            prompt_tokens,
            estimated,
        } = self;
        if let (Some((weights, prompt, functions)), Some(text)) = (tokenizer, text) {
            let counted = spawn_blocking(move || counted(&weights, prompt, functions, &text));
            if let Ok(Some(usage)) = counted.await {
                return usage;
            }
        }
        estimated.increment(1);
        Usage {
            prompt_tokens,
            completion_tokens: deltas,
            ..Usage::default()
        }
    }
}

/// `None` for a prompt that the tokenizer's model does not take. Blocks for milliseconds.
fn counted(
    weights: &Weights,
    prompt: Prompt,
    functions: Vec<Function>,
    text: &str,
) -> Option<Usage> {
    let tokens = |text: &str| Some(weights.tokenize(text).ok()?.len());
    let prompt_tokens = match prompt {
        Prompt::Text(text) => tokens(&text)?,
        Prompt::Tokens(tokens) => tokens.len(),
        Prompt::Infill { before, after } => tokens(&before)? + tokens(&after)?,
        Prompt::Chat(turns) => {
            let described: usize = functions.iter().map(described).sum();
            let turns: Vec<_> = turns.into_iter().map(turn).collect();
            let tools: Vec<_> = functions.into_iter().map(tool).collect();
            match weights.render_chat(&turns, &tools) {
                // The server's model may take them all the same.
                Err(PromptError::NoTools) => {
                    weights.render_chat(&turns, &[]).ok()?.len()
                        + described.div_ceil(BYTES_PER_TOKEN)
                }
                rendered => rendered.ok()?.len(),
            }
        }
    };
    // The token that a text begins with is none that was generated.
    let completion_tokens = tokens(text)?.saturating_sub(tokens("")?);
    Some(Usage {
        prompt_tokens: saturated(prompt_tokens),
        completion_tokens: saturated(completion_tokens),
        ..Usage::default()
    })
}

fn bytes(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Tokens(tokens) => tokens.len().saturating_mul(BYTES_PER_TOKEN),
        Prompt::Infill { before, after } => before.len() + after.len(),
        Prompt::Chat(turns) => turns.iter().map(said).sum(),
    }
}

fn said(turn: &Turn) -> usize {
    let calls = turn.tool_calls.iter();
    let calls = calls.map(|call| call.name.len() + call.arguments.len());
    turn.content.len() + calls.sum::<usize>()
}

fn described(function: &Function) -> usize {
    let description = function.description.as_ref().map_or(0, String::len);
    let parameters = function.parameters.as_ref();
    function.name.len() + description + parameters.map_or(0, |Json(schema)| schema.len())
}

fn turn(turn: Turn) -> ChatMessage {
    let calls = turn.tool_calls.into_iter().map(|call| ToolCall {
        id: call.id,
        name: call.name,
        arguments: call.arguments,
    });
    ChatMessage {
        tool_calls: calls.collect(),
        tool_call_id: turn.tool_call_id,
        name: turn.name,
        ..ChatMessage::new(turn.role.as_str(), turn.content)
    }
}

fn tool(function: Function) -> Tool {
    Tool {
        name: function.name,
        description: function.description,
        parameters: function.parameters.map(|Json(schema)| schema),
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
