//! The model's own chat template: Jinja, with the conventions of Hugging Face's
//! `apply_chat_template`.

mod functions;

use std::error::Error as _;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, context};
use minijinja_contrib::pycompat::unknown_method_callback;

use crate::PromptError;

/// One message of a chat.
///
/// It has no `Debug`, which would carry its text into log lines.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who speaks, as the model's template names it: `system`, `user`,
    /// `assistant` as a rule.
    pub role: String,
    /// What is said.
    pub content: String,
    /// Name of the speaker, for templates that use it.
    pub name: Option<String>,
}

/// A chat template, compiled.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
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
        })
    }

    /// Renders `messages`, followed by the opening of the model's own answer.
    pub(crate) fn render(&self, messages: &[ChatMessage]) -> Result<String, PromptError> {
        let messages: Vec<_> = messages
            .iter()
            .map(|message| {
                let turn =
                    context! { role => message.role.as_str(), content => message.content.as_str() };
                match &message.name {
                    Some(name) => context! { name => name.as_str(), ..turn },
                    // Templates ask whether it is defined.
                    None => turn,
                }
            })
            .collect();
        self.environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    messages,
                    bos_token => self.bos_token.as_str(),
                    eos_token => self.eos_token.as_str(),
                    add_generation_prompt => true,
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

#[cfg(test)]
mod tests;
