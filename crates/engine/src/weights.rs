//! A loaded GGUF: its facts, its tokenizer and its chat template.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use crate::backend::backend;
use crate::control::{ControlTexts, Segment, Shield};
use crate::template::{ChatMessage, ChatTemplate};
use crate::{LoadError, PromptError, WeightsInfo};

/// A loaded GGUF. Clones share the one copy in memory.
#[derive(Clone)]
pub struct Weights(Arc<Loaded>);

/// A token of a model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(
    /// Its index in the vocabulary.
    pub i32,
);

struct Loaded {
    model: LlamaModel,
    info: WeightsInfo,
    template: Option<ChatTemplate>,
    controls: ControlTexts,
    /// Held while a context is created: llama.cpp may write to the model then.
    opening: Mutex<()>,
}

impl Weights {
    /// Loads the GGUF at `path`. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] that names the file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        check_gguf(path)?;
        let model = LlamaModel::load_from_file(backend()?, path, &LlamaModelParams::default())
            .map_err(|source| LoadError::Refused {
                path: path.into(),
                source,
            })?;
        let controls = ControlTexts::of(&model.vocab())?;
        let template = chat_template(&model);
        Ok(Self(Arc::new(Loaded {
            info: WeightsInfo::read(&model, path, template.is_some()),
            template,
            controls,
            model,
            opening: Mutex::new(()),
        })))
    }

    /// What is known about the weights.
    pub fn info(&self) -> &WeightsInfo {
        &self.0.info
    }

    /// The tokens of a raw text prompt, with the model's beginning-of-sequence
    /// token first if the model wants one.
    ///
    /// Text that looks like a control token stays text.
    ///
    /// # Errors
    ///
    /// [`PromptError::TooLong`].
    pub fn tokenize(&self, text: &str) -> Result<Vec<Token>, PromptError> {
        let mut tokens = self.beginning();
        self.encode(&Segment::Literal(text), &mut tokens)?;
        Ok(tokens)
    }

    /// The tokens of a chat, as the model's own template puts it, up to where
    /// the model's answer begins.
    ///
    /// Text in a message that looks like a control token stays text.
    ///
    /// # Errors
    ///
    /// A [`PromptError`]: the model has no template, or the template does not
    /// take these messages.
    pub fn render_chat(&self, messages: &[ChatMessage]) -> Result<Vec<Token>, PromptError> {
        let template = self
            .0
            .template
            .as_ref()
            .ok_or(PromptError::NoChatTemplate)?;
        let mut shield = Shield::new(&self.0.controls);
        let messages: Vec<_> = messages
            .iter()
            .map(|message| ChatMessage {
                role: shield.cover(&message.role),
                content: shield.cover(&message.content),
                name: message.name.as_deref().map(|name| shield.cover(name)),
            })
            .collect();
        let rendered = template.render(&messages)?;
        let mut tokens = self.beginning();
        // Most templates write the beginning-of-sequence token themselves.
        let bos = token_text(&self.vocab(), self.vocab().bos());
        if !bos.is_empty() && rendered.starts_with(&bos) {
            tokens.clear();
        }
        for segment in shield.segments(&rendered) {
            self.encode(&segment, &mut tokens)?;
        }
        Ok(tokens)
    }

    pub(crate) fn vocab(&self) -> LlamaVocab<'_> {
        self.0.model.vocab()
    }

    /// Whether the memory of a text can be used again for one that begins like
    /// it: not where the model keeps a state instead of every position.
    pub(crate) fn keeps_every_position(&self) -> bool {
        !self.0.model.is_recurrent() && !self.0.model.is_hybrid()
    }

    pub(crate) fn open_context(
        &self,
        params: LlamaContextParams,
    ) -> Result<LlamaContext<'_>, LoadError> {
        let _opening = self
            .0
            .opening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.0
            .model
            .new_context(backend()?, params)
            .map_err(|source| LoadError::Context { source })
    }

    /// The token that every prompt begins with, if the model wants one.
    fn beginning(&self) -> Vec<Token> {
        let vocab = self.vocab();
        let bos = vocab.bos();
        let wanted = vocab.should_add_bos() && bos.0 >= 0;
        wanted.then_some(Token(bos.0)).into_iter().collect()
    }

    fn encode(&self, segment: &Segment<'_>, tokens: &mut Vec<Token>) -> Result<(), PromptError> {
        let (text, interpret) = match segment {
            Segment::Template(text) => (text, true),
            Segment::Literal(text) => (text, false),
        };
        // llama.cpp counts bytes in an i32.
        if i32::try_from(text.len()).is_err() {
            return Err(PromptError::TooLong);
        }
        let encoded = self.vocab().tokenize(text.as_bytes(), false, interpret);
        tokens.extend(encoded.iter().map(|token| Token(token.0)));
        Ok(())
    }
}

impl From<Token> for LlamaToken {
    fn from(token: Token) -> Self {
        Self(token.0)
    }
}

/// Finds out what llama.cpp would only log: a file that is missing or no GGUF.
fn check_gguf(path: &Path) -> Result<(), LoadError> {
    let unreadable = |source| LoadError::Unreadable {
        path: path.into(),
        source,
    };
    let mut magic = [0; 4];
    match File::open(path).map_err(unreadable)?.read_exact(&mut magic) {
        Ok(()) if &magic == b"GGUF" => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(unreadable(error)),
        _ => Err(LoadError::NotGguf { path: path.into() }),
    }
}

/// The template of `model`. One that does not compile is treated as missing:
/// the model still completes raw text.
fn chat_template(model: &LlamaModel) -> Option<ChatTemplate> {
    let source = model.chat_template(None).ok()?.to_string().ok()?;
    let vocab = model.vocab();
    ChatTemplate::compile(
        &source,
        token_text(&vocab, vocab.bos()),
        token_text(&vocab, vocab.eos()),
    )
    .inspect_err(|error| tracing::warn!(%error, "the model's chat template does not compile"))
    .ok()
}

/// The text of a token that the vocabulary may lack; empty then.
fn token_text(vocab: &LlamaVocab<'_>, token: LlamaToken) -> String {
    if token.0 < 0 {
        return String::new();
    }
    let text = vocab.text(token).unwrap_or_default();
    text.to_string_lossy().into_owned()
}
