//! A loaded GGUF: its facts, its tokenizer and its chat template.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use crate::backend::backend;
use crate::constraint::{Compiler, Marker};
use crate::control::ControlTexts;
use crate::template::ChatTemplate;
use crate::tokenizer::Bounds;
use crate::{Constraint, ConstraintError, Form, LoadError, WeightsInfo};

/// A loaded GGUF. Clones share the one copy in memory.
#[derive(Clone)]
pub struct Weights {
    loaded: Arc<Loaded>,
    /// Tokens that a prompt has at most; a longer one is not worth reading.
    context_length: u32,
}

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
    bounds: Bounds,
    /// Held while a text is tokenized that needs much stack.
    deep: Mutex<()>,
    /// Made when it is asked for first.
    compiler: OnceLock<Result<Compiler, ConstraintError>>,
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
        let model = open(path, &LlamaModelParams::default())?;
        let template = chat_template(&model);
        Self::with(model, path, template)
    }

    /// Loads the GGUF at `path` and the chat template in the file `template`,
    /// which takes the place of the GGUF's own.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] that names the file at fault.
    pub fn load_with_template(path: &Path, template: &Path) -> Result<Self, LoadError> {
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| LoadError::Template {
            path: template.into(),
            source,
        };
        let source = fs::read_to_string(template).map_err(|error| unusable(error.into()))?;
        let model = open(path, &LlamaModelParams::default())?;
        let compiled = compile(&model, &source).map_err(|error| unusable(error.into()))?;
        Self::with(model, path, Some(compiled))
    }

    fn with(
        model: LlamaModel,
        path: &Path,
        template: Option<ChatTemplate>,
    ) -> Result<Self, LoadError> {
        let loaded = Loaded {
            info: WeightsInfo::read(&model, path, template.is_some()),
            template,
            controls: ControlTexts::of(&model.vocab())?,
            bounds: Bounds::of(&model),
            deep: Mutex::new(()),
            compiler: OnceLock::new(),
            model,
            opening: Mutex::new(()),
        };
        Ok(Self {
            loaded: Arc::new(loaded),
            context_length: u32::MAX,
        })
    }

    /// The same weights, for prompts of at most so many tokens: a text that
    /// surely has more is refused before its tokens are made.
    #[must_use]
    pub fn for_context(self, context_length: u32) -> Self {
        Self {
            context_length,
            ..self
        }
    }

    /// What is known about the weights.
    pub fn info(&self) -> &WeightsInfo {
        &self.loaded.info
    }

    /// Compiles what an answer must be. Blocks for up to a second; the first
    /// time for longer, as the vocabulary is indexed.
    ///
    /// # Errors
    ///
    /// A [`ConstraintError`] that says which schema cannot be enforced and why.
    pub fn constrain(&self, form: &Form) -> Result<Constraint, ConstraintError> {
        let compiler = self
            .loaded
            .compiler
            .get_or_init(|| Compiler::of(&self.loaded.model));
        let mark = |marker: &str| match self.control(marker) {
            Some(token) => Marker::Control(token.0),
            None => Marker::Plain,
        };
        compiler
            .as_ref()
            .map_err(Clone::clone)?
            .compile(form, &mark)
    }

    pub(crate) fn vocab(&self) -> LlamaVocab<'_> {
        self.loaded.model.vocab()
    }

    pub(crate) fn context_length(&self) -> u32 {
        self.context_length
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.loaded.bounds
    }

    pub(crate) fn deep(&self) -> &Mutex<()> {
        &self.loaded.deep
    }

    /// Whether the memory of a text can be used again for one that begins like
    /// it: not where the model keeps a state instead of every position.
    pub(crate) fn keeps_every_position(&self) -> bool {
        !self.loaded.model.is_recurrent() && !self.loaded.model.is_hybrid()
    }

    pub(crate) fn open_context(
        &self,
        params: LlamaContextParams,
    ) -> Result<LlamaContext<'_>, LoadError> {
        let _opening = self
            .loaded
            .opening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.loaded
            .model
            .new_context(backend()?, params)
            .map_err(|source| LoadError::Context { source })
    }

    pub(crate) fn template(&self) -> Option<&ChatTemplate> {
        self.loaded.template.as_ref()
    }

    pub(crate) fn controls(&self) -> &ControlTexts {
        &self.loaded.controls
    }

    /// The control token that reads `text`, if there is one.
    pub(crate) fn control(&self, text: &str) -> Option<Token> {
        let vocab = self.vocab();
        match vocab.tokenize(text.as_bytes(), false, true).as_slice() {
            [token] if vocab.is_control(*token) => Some(Token(token.0)),
            _ => None,
        }
    }
}

impl From<Token> for LlamaToken {
    fn from(token: Token) -> Self {
        Self(token.0)
    }
}

/// Loads what `params` ask for of the GGUF at `path`.
pub(crate) fn open(path: &Path, params: &LlamaModelParams) -> Result<LlamaModel, LoadError> {
    check_gguf(path)?;
    LlamaModel::load_from_file(backend()?, path, params).map_err(|source| LoadError::Refused {
        path: path.into(),
        source,
    })
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
pub(crate) fn chat_template(model: &LlamaModel) -> Option<ChatTemplate> {
    let source = model.chat_template(None).ok()?.to_string().ok()?;
    compile(model, &source)
        .inspect_err(|error| tracing::warn!(%error, "the model's chat template does not compile"))
        .ok()
}

/// The template in `source`, for `model`.
fn compile(model: &LlamaModel, source: &str) -> Result<ChatTemplate, minijinja::Error> {
    let vocab = model.vocab();
    ChatTemplate::compile(
        source,
        token_text(&vocab, vocab.bos()),
        token_text(&vocab, vocab.eos()),
    )
}

/// The text of a token that the vocabulary may lack; empty then.
pub(crate) fn token_text(vocab: &LlamaVocab<'_>, token: LlamaToken) -> String {
    if token.0 < 0 {
        return String::new();
    }
    let text = vocab.text(token).unwrap_or_default();
    text.to_string_lossy().into_owned()
}
