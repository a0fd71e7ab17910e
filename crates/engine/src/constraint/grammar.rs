//! The grammar of an answer, in llguidance's dialect of Lark.

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::Value;

use super::{ConstraintError, Form, TextForm, schema};
use crate::answer::{THINK_CLOSE, THINK_OPEN};
use crate::{AnswerStyle, CallSyntax, Thinking};

/// The grammar that refers to the others, and the JSON Schemas that it refers
/// to by name.
pub(super) struct Grammar {
    lark: String,
    schemas: Vec<(Part, Value)>,
}

/// What a schema is for.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The text.
    Text,
    /// The arguments of this function.
    Arguments(usize),
}

/// Quotes a marker for the grammar: by its token if it is a control token,
/// which no text matches, by its text if not.
pub(crate) type Mark<'a> = &'a dyn Fn(&str) -> Marker;

/// How a marker reads in the vocabulary.
pub(crate) enum Marker {
    /// As a control token.
    Control(i32),
    /// As plain text.
    Plain,
}

impl Grammar {
    /// The grammar of `form`.
    pub(super) fn of(form: &Form, mark: Mark<'_>) -> Result<Self, ConstraintError> {
        let quote = |text: &str| match mark(text) {
            Marker::Control(token) => format!("<[{token}]>"),
            Marker::Plain => Value::from(text).to_string(),
        };
        let mut grammar = Self {
            lark: String::new(),
            schemas: Vec::new(),
        };
        let text = grammar.add_text(&form.text)?;
        let answer = match (&form.calls, form.style.calls) {
            (None, _) => text.unwrap_or_else(|| {
                grammar.lark.push_str("FREE: /(?s:.*)/\n");
                "FREE".to_owned()
            }),
            (Some(_), None) => return Err(ConstraintError::NoCalls),
            (Some(calls), Some(syntax)) => {
                let mut bodies = Vec::new();
                for (index, function) in calls.functions.iter().enumerate() {
                    let part = Part::Arguments(index);
                    let schema = schema::of_arguments(&function.parameters)
                        .map_err(|problem| part.error(problem))?;
                    let (before, after) = syntax.body(&function.name, &quote);
                    bodies.push(format!("{before} @{} {after}", part.name()));
                    grammar.schemas.push((part, schema));
                }
                let rule = syntax.rule(&bodies.join(" | "), calls.parallel, &quote);
                grammar.lark.push_str(&rule);
                grammar.calls(syntax, text, calls.required, &mark(syntax.begin()), &quote)
            }
        };
        let start = grammar.thoughts(form.style, &answer, &quote, mark);
        grammar.lark.insert_str(0, &start);
        Ok(grammar)
    }

    /// Adds what the text must be; the expression for it, unless it is free.
    fn add_text(&mut self, text: &TextForm) -> Result<Option<String>, ConstraintError> {
        let schema = match text {
            TextForm::Free => return Ok(None),
            TextForm::JsonObject => schema::any_object(),
            TextForm::JsonSchema(schema) => {
                schema::of_text(schema).map_err(|problem| Part::Text.error(problem))?
            }
        };
        self.schemas.push((Part::Text, schema));
        Ok(Some(format!("@{}", Part::Text.name())))
    }

    /// The expression for calls, or for `text` or calls.
    fn calls(
        &mut self,
        syntax: CallSyntax,
        text: Option<String>,
        required: bool,
        begin: &Marker,
        quote: &dyn Fn(&str) -> String,
    ) -> String {
        let marker = syntax.begin();
        let begun = match marker {
            "" => String::new(),
            marker => quote(marker),
        };
        match (text, begin) {
            (_, _) if required => format!("{begun} calls"),
            (Some(text), _) => format!("({text} | {begun} calls)"),
            // Text that begins like a call would be taken for one.
            (None, _) if marker.is_empty() => {
                self.lark.push_str("FREE: /\\s*([^{\\s](?s:.*))?/\n");
                "(FREE | calls)".to_owned()
            }
            // No text matches a control token.
            (None, Marker::Control(_)) => {
                self.lark.push_str("FREE: /(?s:.*)/\n");
                format!("FREE ({begun} calls)?")
            }
            (None, Marker::Plain) => {
                let pattern = pattern(marker);
                self.lark.push_str(&format!(
                    "FREE: /(?s:.*)/ & ~/(?s:.*){pattern}(?s:.*)/\n\
                     lead[lazy]: /(?s:.*){pattern}/\n"
                ));
                "(FREE | lead calls)".to_owned()
            }
        }
    }

    /// The first rule: thoughts before `answer`, where the style has them.
    fn thoughts(
        &mut self,
        style: AnswerStyle,
        answer: &str,
        quote: &dyn Fn(&str) -> String,
        mark: Mark<'_>,
    ) -> String {
        if style.thinking != Thinking::Never {
            let rule = match mark(THINK_CLOSE) {
                Marker::Control(token) => {
                    format!("thoughts: THOUGHTS <[{token}]> GAP\nTHOUGHTS: /(?s:.*)/\n")
                }
                Marker::Plain => {
                    let close = pattern(THINK_CLOSE);
                    format!("thoughts: thinking GAP\nthinking[lazy]: /(?s:.*){close}/\n")
                }
            };
            self.lark.push_str(&rule);
            self.lark.push_str("GAP: /\\n{0,2}/\n");
        }
        match style.thinking {
            Thinking::Never => format!("start: {answer}\n"),
            Thinking::Begun => format!("start: thoughts {answer}\n"),
            Thinking::Maybe => {
                format!("start: ({} thoughts)? {answer}\n", quote(THINK_OPEN))
            }
        }
    }

    /// As llguidance takes it.
    pub(super) fn whole(&self) -> TopLevelGrammar {
        let mut whole = TopLevelGrammar::from_lark(self.lark.clone());
        whole
            .grammars
            .extend(self.schemas.iter().map(|(part, schema)| {
                let mut grammar = GrammarWithLexer::from_json_schema(schema.clone());
                grammar.name = Some(part.name());
                grammar
            }));
        whole
    }

    /// Each schema as a grammar of its own.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Part, TopLevelGrammar)> {
        self.schemas
            .iter()
            .map(|(part, schema)| (*part, TopLevelGrammar::from_json_schema(schema.clone())))
    }
}

impl Part {
    /// What the grammar calls the schema.
    fn name(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Arguments(function) => format!("arguments_{function}"),
        }
    }

    /// The error that the schema has this problem.
    pub(super) fn error(self, problem: String) -> ConstraintError {
        match self {
            Self::Text => ConstraintError::Schema { problem },
            Self::Arguments(function) => ConstraintError::Parameters { function, problem },
        }
    }
}

/// `marker` as a regular expression between slashes.
fn pattern(marker: &str) -> String {
    marker
        .chars()
        .map(|char| match char {
            '[' | ']' | '|' | '/' => format!("\\{char}"),
            char => char.to_string(),
        })
        .collect()
}
