//! Text, chats and gaps to tokens, and what their answers will look like.

use llama_cpp_2::token::LlamaToken;

use crate::answer::{THINK_CLOSE, THINK_OPEN};
use crate::control::{Segment, Shield};
use crate::template::{ChatMessage, ChatOptions, Tool};
use crate::weights::token_text;
use crate::{AnswerStyle, PromptError, Thinking, Token, Weights};

/// Tokens at the end of a prompt that may spell an open tag of thoughts.
const TAIL: usize = 12;

impl Weights {
    /// The tokens of a raw text prompt, with the model's beginning-of-sequence
    /// token first if the model wants one.
    ///
    /// Text that looks like a control token stays text.
    ///
    /// # Errors
    ///
    /// [`PromptError::TooLong`], [`PromptError::Unbroken`] or
    /// [`PromptError::Thread`].
    pub fn tokenize(&self, text: &str) -> Result<Vec<Token>, PromptError> {
        self.check_length(text.len())?;
        let mut tokens = self.beginning();
        self.add(&Segment::Literal(text), &mut tokens)?;
        Ok(tokens)
    }

    /// The tokens of a text with a gap, up to where the model fills it.
    ///
    /// # Errors
    ///
    /// [`PromptError::NoInfill`] for a model that cannot, or as for
    /// [`Self::tokenize`].
    pub fn render_infill(&self, before: &str, after: &str) -> Result<Vec<Token>, PromptError> {
        let vocab = self.vocab();
        let around = [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()];
        if around.iter().any(|token| token.0 < 0) {
            return Err(PromptError::NoInfill);
        }
        self.check_length(before.len().saturating_add(after.len()))?;
        let [prefix, suffix, middle] = around.map(|token| Token(token.0));
        let mut tokens = self.beginning();
        tokens.push(prefix);
        self.add(&Segment::Literal(before), &mut tokens)?;
        tokens.push(suffix);
        self.add(&Segment::Literal(after), &mut tokens)?;
        tokens.push(middle);
        Ok(tokens)
    }

    /// The tokens of a chat, as the model's own template puts it, up to where
    /// the model's answer begins. The model may call the `tools`.
    ///
    /// Text of a message or a tool that looks like a control token stays text.
    ///
    /// # Errors
    ///
    /// A [`PromptError`]: the model has no template, or the template does not
    /// take these messages or any tools; or as for [`Self::tokenize`].
    pub fn render_chat(
        &self,
        messages: &[ChatMessage],
        tools: &[Tool],
    ) -> Result<Vec<Token>, PromptError> {
        self.render_chat_as(messages, tools, &ChatOptions::default())
    }

    /// The same, put to the model in another way than it is by default.
    ///
    /// # Errors
    ///
    /// As for [`Self::render_chat`].
    pub fn render_chat_as(
        &self,
        messages: &[ChatMessage],
        tools: &[Tool],
        options: &ChatOptions,
    ) -> Result<Vec<Token>, PromptError> {
        match messages.split_last() {
            Some((begun, before)) if options.begun => {
                let mut tokens = self.render_turns(before, tools, options)?;
                self.begin_answer(begun, &mut tokens)?;
                Ok(tokens)
            }
            _ => self.render_turns(messages, tools, options),
        }
    }

    /// Adds the beginning of an answer to a rendered chat. Thoughts come before
    /// text, and are over where there is any.
    fn begin_answer(
        &self,
        begun: &ChatMessage,
        tokens: &mut Vec<Token>,
    ) -> Result<(), PromptError> {
        let thoughts = begun.reasoning.as_deref().filter(|it| !it.is_empty());
        let bytes = thoughts
            .map_or(0, str::len)
            .saturating_add(begun.content.len());
        self.check_length(bytes)?;
        let open = format!("{THINK_OPEN}\n");
        let close = format!("\n{THINK_CLOSE}\n\n");
        let opened = self.answer_style(tokens).thinking == Thinking::Begun;
        if !opened && thoughts.is_some() {
            self.add(&Segment::Template(&open), tokens)?;
        }
        if let Some(thoughts) = thoughts {
            self.add(&Segment::Literal(thoughts), tokens)?;
        }
        if opened || thoughts.is_some() {
            self.add(&Segment::Template(&close), tokens)?;
        }
        if !begun.content.is_empty() {
            self.add(&Segment::Literal(&begun.content), tokens)?;
        }
        Ok(())
    }

    fn render_turns(
        &self,
        messages: &[ChatMessage],
        tools: &[Tool],
        options: &ChatOptions,
    ) -> Result<Vec<Token>, PromptError> {
        let template = self.template().ok_or(PromptError::NoChatTemplate)?;
        let mut shield = Shield::new(self.controls());
        let mut cover = |text: &str| shield.cover(text);
        let messages: Vec<_> = messages
            .iter()
            .map(|message| message.covered(&mut cover))
            .collect();
        let tools: Vec<_> = tools.iter().map(|tool| tool.covered(&mut cover)).collect();
        let rendered = template.render(&messages, &tools, options)?;
        let mut tokens = self.beginning();
        // Most templates write the beginning-of-sequence token themselves.
        let bos = token_text(&self.vocab(), self.vocab().bos());
        if !bos.is_empty() && rendered.starts_with(&bos) {
            tokens.clear();
        }
        let segments = shield.segments(&rendered);
        let bytes = segments.iter().map(|segment| segment.text().len()).sum();
        self.check_length(bytes)?;
        for segment in segments {
            self.add(&segment, &mut tokens)?;
        }
        Ok(tokens)
    }

    /// How the answer to a rendered chat is to be read.
    pub fn answer_style(&self, chat: &[Token]) -> AnswerStyle {
        let facts = self.template().map(|template| template.facts());
        let tail: Vec<_> = chat[chat.len().saturating_sub(TAIL)..]
            .iter()
            .map(|&token| LlamaToken::from(token))
            .collect();
        let tail = self.vocab().detokenize(&tail, false, true);
        let thinking = if tail.trim_ascii_end().ends_with(THINK_OPEN.as_bytes()) {
            Thinking::Begun
        } else if facts.is_some_and(|facts| facts.thinks) || self.knows(THINK_OPEN) {
            Thinking::Maybe
        } else {
            Thinking::Never
        };
        AnswerStyle {
            thinking,
            calls: facts.and_then(|facts| facts.calls),
        }
    }

    /// Control tokens that are part of what the model has to say: they mark
    /// its thoughts and its calls.
    pub fn answer_controls(&self) -> Vec<Token> {
        let calls = self.template().and_then(|template| template.facts().calls);
        let markers = calls.map_or(&[][..], |calls| calls.markers());
        [THINK_OPEN, THINK_CLOSE]
            .iter()
            .chain(markers)
            .filter_map(|marker| self.control(marker))
            .collect()
    }

    /// Whether one token of the vocabulary reads `text`.
    fn knows(&self, text: &str) -> bool {
        self.vocab().tokenize(text.as_bytes(), false, true).len() == 1
    }

    /// The token that every prompt begins with, if the model wants one.
    fn beginning(&self) -> Vec<Token> {
        let vocab = self.vocab();
        let bos = vocab.bos();
        let wanted = vocab.should_add_bos() && bos.0 >= 0;
        wanted.then_some(Token(bos.0)).into_iter().collect()
    }

    fn add(&self, segment: &Segment<'_>, tokens: &mut Vec<Token>) -> Result<(), PromptError> {
        let interpret = matches!(segment, Segment::Template(_));
        tokens.append(&mut self.encode(segment.text(), false, interpret)?);
        Ok(())
    }
}
