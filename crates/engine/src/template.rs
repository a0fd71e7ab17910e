//! The model's own chat template: Jinja, with the conventions of Hugging Face's
//! `apply_chat_template`.

mod functions;
mod message;
#[cfg(test)]
mod tests;

use std::error::Error as _;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, Value, context};
use minijinja_contrib::pycompat::unknown_method_callback;

pub use message::{ChatMessage, ChatOptions, Tool, ToolCall};

use crate::answer::{THINK_CLOSE, THINK_OPEN};
use crate::{CallSyntax, PromptError};

/// A chat template, compiled.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
    facts: TemplateFacts,
}

/// What a chat template shows of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateFacts {
    /// How functions are called; `None` when it takes no tools, or has them
    /// called in a form that is not known here.
    pub calls: Option<CallSyntax>,
    /// Whether it knows of thoughts before an answer.
    pub thinks: bool,
}

/// The only template of an environment.
const NAME: &str = "chat";

impl ChatTemplate {
    /// Compiles `source`. The two texts are what it knows as `bos_token` and
    /// `eos_token`.
    pub(crate) fn compile(
        source: &str,
        bos_token: String,
        eos_token: String,
    ) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()?,
        );
        environment.set_unknown_method_callback(unknown_method_callback);
        functions::add_to(&mut environment);
        environment.add_template_owned(NAME, without_generation_blocks(source))?;
        Ok(Self {
            environment,
            bos_token,
            eos_token,
            facts: TemplateFacts {
                calls: CallSyntax::of_template(source),
                thinks: [THINK_OPEN, THINK_CLOSE]
                    .iter()
                    .any(|tag| source.contains(tag)),
            },
        })
    }

    /// What it shows of the model.
    pub(crate) fn facts(&self) -> TemplateFacts {
        self.facts
    }

    /// Renders `messages`, followed by the opening of the model's own answer.
    pub(crate) fn render(
        &self,
        messages: &[ChatMessage],
        tools: &[Tool],
        options: &ChatOptions,
    ) -> Result<String, PromptError> {
        if !tools.is_empty() && self.facts.calls.is_none() {
            return Err(PromptError::NoTools);
        }
        let messages: Vec<_> = messages.iter().map(ChatMessage::value).collect();
        let tools: Vec<_> = tools.iter().map(Tool::value).collect();
        // Templates ask whether there are any by whether it is defined.
        let tools = match tools.is_empty() {
            true => Value::UNDEFINED,
            false => Value::from(tools),
        };
        // Model families differ in the name of the switch.
        let thinking = options.thinking.map_or(Value::UNDEFINED, Value::from);
        let effort = options.reasoning_effort.as_deref();
        self.environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    messages,
                    tools,
                    bos_token => self.bos_token.as_str(),
                    eos_token => self.eos_token.as_str(),
                    add_generation_prompt => true,
                    enable_thinking => thinking.clone(),
                    thinking,
                    reasoning_effort => effort.map_or(Value::UNDEFINED, Value::from),
                })
            })
            .map_err(|error| refusal(&error))
    }
}

/// The error of a template, without the values that minijinja puts in its
/// messages.
fn refusal(error: &Error) -> PromptError {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    match causes.filter_map(|cause| cause.downcast_ref()).next() {
        Some(functions::Raised(message)) => PromptError::Refused {
            message: message.clone(),
        },
        None => PromptError::Template {
            kind: error.kind(),
            line: error.line().unwrap_or(0),
        },
    }
}

/// `source` with `{% generation %}` blocks, which mark text for training and are
/// no part of Jinja, as blocks that always apply.
fn without_generation_blocks(source: &str) -> String {
    source
        .split_inclusive("%}")
        .map(|piece| {
            let Some((before, tag)) = piece.rsplit_once("{%") else {
                return piece.to_owned();
            };
            let name = tag.trim_end_matches("%}").trim_matches(['-', '+']).trim();
            let tag = match name {
                "generation" => tag.replace(name, "if true"),
                "endgeneration" => tag.replace(name, "endif"),
                _ => return piece.to_owned(),
            };
            format!("{before}{{%{tag}")
        })
        .collect()
}
