//! The forms in which models call functions.

use super::cursor::{Cursor, Stop};
use super::{deepseek, hermes, llama, mistral};

/// How a model calls functions, which its chat template tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallSyntax {
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>`: Hermes, Qwen.
    Hermes,
    /// `[TOOL_CALLS][{"name": …, "arguments": {…}}]`: Mistral.
    Mistral,
    /// `{"name": …, "parameters": {…}}` as the whole answer: Llama 3.
    Llama,
    /// `<｜tool▁calls▁begin｜>…` with the arguments in a Markdown block:
    /// DeepSeek V3 and R1.
    DeepSeek,
    /// The same without the Markdown: DeepSeek V3.1.
    DeepSeekPlain,
}

/// What stands where a call may begin.
#[derive(PartialEq, Eq)]
pub(super) enum Header {
    /// A call whose arguments follow.
    Call {
        /// Name of the function.
        name: String,
    },
    /// A call with the arguments already read.
    Whole {
        /// Name of the function.
        name: String,
        /// JSON text.
        arguments: String,
    },
    /// No further call.
    End,
}

impl CallSyntax {
    /// The form that the chat template `source` shows to the model.
    pub(crate) fn of_template(source: &str) -> Option<Self> {
        let has = |text| source.contains(text);
        if !has("tools") {
            None
        } else if has(deepseek::BEGIN) {
            let fenced = has("```json");
            Some(if fenced {
                Self::DeepSeek
            } else {
                Self::DeepSeekPlain
            })
        } else if has(mistral::BEGIN) {
            Some(Self::Mistral)
        } else if has(hermes::BEGIN) {
            // Some models write XML between these tags.
            (!has("<function=")).then_some(Self::Hermes)
        } else {
            let llama = has("\"parameters\"") && has("\"name\"");
            llama.then_some(Self::Llama)
        }
    }

    /// The text that begins the calls; empty where they begin the answer.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Hermes => hermes::BEGIN,
            Self::Mistral => mistral::BEGIN,
            Self::Llama => "",
            Self::DeepSeek | Self::DeepSeekPlain => deepseek::BEGIN,
        }
    }

    /// Every marker, some of which may be control tokens of a vocabulary.
    pub(crate) fn markers(self) -> &'static [&'static str] {
        match self {
            Self::Hermes => &[hermes::BEGIN, hermes::END],
            Self::Mistral => &[mistral::BEGIN],
            Self::Llama => &[llama::TAG],
            Self::DeepSeek | Self::DeepSeekPlain => &deepseek::MARKERS,
        }
    }

    /// The rule `calls` of a grammar, from after [`begin`](Self::begin) on.
    /// `bodies` is how the functions can be called, `parallel` whether several
    /// times; `mark` quotes a marker.
    pub(crate) fn rule(
        self,
        bodies: &str,
        parallel: bool,
        mark: &dyn Fn(&str) -> String,
    ) -> String {
        match self {
            Self::Hermes => hermes::rule(bodies, parallel, mark),
            Self::Mistral => mistral::rule(bodies, parallel),
            Self::Llama => format!("calls: {bodies}\n"),
            Self::DeepSeek | Self::DeepSeekPlain => deepseek::rule(bodies, parallel, mark),
        }
    }

    /// What a call of the function `name` reads in a grammar, before its
    /// arguments and after them.
    pub(crate) fn body(self, name: &str, mark: &dyn Fn(&str) -> String) -> (String, String) {
        match self {
            Self::Hermes | Self::Mistral => super::object::body(name, "arguments"),
            Self::Llama => super::object::body(name, "parameters"),
            Self::DeepSeek => deepseek::fenced_body(name, mark),
            Self::DeepSeekPlain => deepseek::plain_body(name, mark),
        }
    }

    /// Reads what stands where the `first` or a further call may begin.
    pub(super) fn header(self, text: &mut Cursor<'_>, first: bool) -> Result<Header, Stop> {
        match self {
            Self::Hermes => hermes::header(text),
            Self::Mistral => mistral::header(text, first),
            Self::Llama => llama::header(text, first),
            Self::DeepSeek | Self::DeepSeekPlain => deepseek::header(text, first),
        }
    }

    /// Reads what stands after the arguments of a call.
    pub(super) fn tail(self, text: &mut Cursor<'_>) -> Result<(), Stop> {
        match self {
            Self::Hermes => hermes::tail(text),
            Self::Mistral | Self::Llama => super::object::tail(text),
            Self::DeepSeek | Self::DeepSeekPlain => deepseek::tail(text),
        }
    }

    /// Reads what stands after a call whose arguments came with its header.
    pub(super) fn end(self, text: &mut Cursor<'_>) -> Result<(), Stop> {
        match self {
            Self::Hermes => hermes::end(text),
            _ => Ok(()),
        }
    }
}
