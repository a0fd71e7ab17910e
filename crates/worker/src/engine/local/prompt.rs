//! The prompt of a request, as the engine takes it.

use std::sync::Arc;

use fathom_engine::{
    AnswerStyle, CallForm, CallableFunction, ChatMessage, Constraint, ConstraintError, Form,
    PromptError, TextForm, Thinking, Token, Tool, ToolCall, Weights,
};
use fathom_proto::inference::{
    ChatMessage as Message, Format, Function, GenerateRequest, Json, Prompt, ToolChoice, Tools,
};

use crate::Error;
use crate::engine::local::thoughts::Thoughts;
use crate::engine::{extra, param};

/// What a request asks the engine for.
pub(super) struct Prepared {
    /// The prompt.
    pub tokens: Vec<Token>,
    /// How the answer is to be read.
    pub style: AnswerStyle,
    /// Control tokens that are part of the answer.
    pub controls: Arc<[Token]>,
    /// What the answer must be.
    pub constraint: Option<Constraint>,
}

/// An answer that is text and nothing else.
const PLAIN: AnswerStyle = AnswerStyle {
    thinking: Thinking::Never,
    calls: None,
};

impl Prepared {
    /// Reads the request. Blocks for milliseconds when the prompt is long, and for up to a second
    /// when the answer has a form.
    pub fn of(
        weights: &Weights,
        request: GenerateRequest,
        thoughts: Thoughts,
    ) -> Result<Self, Error> {
        let tools = shown(request.tools);
        let is_chat = matches!(request.prompt, Prompt::Chat(_));
        let begun = is_begun(&request.prompt);
        if begun && !matches!(request.format, Format::Text) {
            return Err(Error::Unsupported {
                param: "response_format".to_owned(),
                problem: "a form holds for whole answers, not after a `prefix`".to_owned(),
            });
        }
        let tokens = tokens(weights, request.prompt, tools.as_ref(), &thoughts)?;
        let style = match is_chat {
            // What has begun to be said is not a thought.
            true if begun => AnswerStyle {
                thinking: Thinking::Never,
                ..weights.answer_style(&tokens)
            },
            true => weights.answer_style(&tokens),
            false => PLAIN,
        };
        let style = AnswerStyle {
            calls: style.calls.filter(|_| tools.is_some()),
            ..style
        };
        let text = match request.format {
            Format::Text => TextForm::Free,
            Format::JsonObject => TextForm::JsonObject,
            Format::JsonSchema { schema, .. } => TextForm::JsonSchema(schema.0),
        };
        let is_free = matches!(text, TextForm::Free) && tools.is_none();
        let form = Form {
            style,
            text,
            calls: tools.as_ref().map(call_form),
        };
        let constraint = match is_free {
            true => None,
            false => Some(
                weights
                    .constrain(&form)
                    .map_err(|error| refusal(error, tools.as_ref()))?,
            ),
        };
        let controls = match is_chat {
            true => weights.answer_controls().into(),
            false => Arc::default(),
        };
        Ok(Self {
            tokens,
            style,
            controls,
            constraint,
        })
    }
}

/// How many tokens a prompt has. Blocks for milliseconds when it is long.
pub(super) fn count(
    weights: &Weights,
    request: GenerateRequest,
    thoughts: &Thoughts,
) -> Result<usize, Error> {
    let tools = shown(request.tools);
    Ok(tokens(weights, request.prompt, tools.as_ref(), thoughts)?.len())
}

/// A model that must not call anything is shown nothing to call.
fn shown(tools: Option<Tools>) -> Option<Tools> {
    tools.filter(|tools| tools.choice != ToolChoice::None)
}

/// Whether the prompt holds the beginning of the answer.
fn is_begun(prompt: &Prompt) -> bool {
    match prompt {
        Prompt::Chat(turns) => turns.last().is_some_and(|turn| turn.prefix),
        _ => false,
    }
}

fn tokens(
    weights: &Weights,
    prompt: Prompt,
    tools: Option<&Tools>,
    thoughts: &Thoughts,
) -> Result<Vec<Token>, Error> {
    let begun = is_begun(&prompt);
    let param = param(&prompt);
    let tokens = match prompt {
        Prompt::Text(text) => weights.tokenize(&text),
        Prompt::Infill { before, after } => weights.render_infill(&before, &after),
        Prompt::Chat(messages) => {
            let messages = messages.into_iter().enumerate().map(message);
            let messages = messages.collect::<Result<Vec<_>, _>>()?;
            let functions = tools.map_or(&[][..], |tools| &tools.functions);
            let tools: Vec<_> = functions.iter().map(tool).collect();
            let render = |options| weights.render_chat_as(&messages, &tools, &options);
            let tokens = render(thoughts.options(begun));
            if let (false, Ok(tokens)) = (begun, &tokens)
                && let Some(otherwise) = thoughts.otherwise(weights.answer_style(tokens))
                && render(otherwise).is_ok_and(|thinking| thinking == *tokens)
            {
                return Err(thoughts.refused());
            }
            tokens
        }
        Prompt::Tokens(ids) => {
            let ids = ids.into_iter().map(|id| i32::try_from(id).map(Token));
            return ids
                .collect::<Result<_, _>>()
                .map_err(|_| Error::UnknownToken);
        }
    };
    tokens.map_err(|source| Error::Prompt {
        param: match source {
            PromptError::NoTools => "tools",
            PromptError::NoInfill => "suffix",
            _ => param,
        },
        source,
    })
}

fn message((index, mut message): (usize, Message)) -> Result<ChatMessage, Error> {
    extra::plain(index, &mut message)?;
    let calls = message.tool_calls.into_iter().map(|call| ToolCall {
        id: call.id,
        name: call.name,
        arguments: call.arguments,
    });
    Ok(ChatMessage {
        role: message.role.as_str().to_owned(),
        content: message.content,
        name: message.name,
        reasoning: message.reasoning,
        tool_calls: calls.collect(),
        tool_call_id: message.tool_call_id,
    })
}

fn tool(function: &Function) -> Tool {
    Tool {
        name: function.name.clone(),
        description: function.description.clone(),
        parameters: function
            .parameters
            .as_ref()
            .map(|Json(schema)| schema.clone()),
    }
}

fn call_form(tools: &Tools) -> CallForm {
    let functions = callable(tools).map(|(_, function)| CallableFunction {
        name: function.name.clone(),
        parameters: match &function.parameters {
            Some(Json(schema)) => schema.clone(),
            None => r#"{"properties": {}, "additionalProperties": false}"#.to_owned(),
        },
    });
    CallForm {
        functions: functions.collect(),
        required: matches!(tools.choice, ToolChoice::Required | ToolChoice::Named(_)),
        parallel: tools.parallel && !matches!(tools.choice, ToolChoice::Named(_)),
    }
}

/// The functions that may be called, each with its place in the request.
fn callable(tools: &Tools) -> impl Iterator<Item = (usize, &Function)> {
    let is_callable = |(_, function): &(usize, &Function)| match &tools.choice {
        ToolChoice::Named(name) => function.name == *name,
        _ => true,
    };
    tools.functions.iter().enumerate().filter(is_callable)
}

/// The error that names the field at fault.
fn refusal(error: ConstraintError, tools: Option<&Tools>) -> Error {
    let param = match &error {
        ConstraintError::Schema { .. } | ConstraintError::Vocabulary { .. } => {
            "response_format".to_owned()
        }
        ConstraintError::Parameters { function, .. } => {
            let place = tools.and_then(|tools| callable(tools).nth(*function));
            let index = place.map_or(*function, |(index, _)| index);
            format!("tools[{index}].function.parameters")
        }
        ConstraintError::NoCalls | ConstraintError::Together { .. } => "tools".to_owned(),
    };
    Error::Unsupported {
        param,
        problem: error.to_string(),
    }
}
