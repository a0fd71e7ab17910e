//! Takes an answer apart while it arrives.

use super::cursor::{Cursor, Stop};
use super::syntax::Header;
use super::value::JsonValue;
use super::{AnswerStyle, CallSyntax, THINK_CLOSE, THINK_OPEN, Thinking};

/// Takes an answer apart that arrives in pieces. How it is cut makes no
/// difference to what the parts are in sum.
///
/// Only text that may still become a tag is held back, and the blank lines
/// before one. A call that is not well-formed stays text.
pub struct AnswerParser {
    calls: Option<CallSyntax>,
    state: State,
    held: String,
    /// Blanks that come next are no part of the text.
    trim: bool,
    /// Whether there was text already.
    said: bool,
    /// Calls that began so far.
    begun: u32,
    parts: Vec<AnswerPiece>,
}

/// A part of an answer.
///
/// It has no `Debug`, which would carry the text into log lines.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum AnswerPiece {
    /// What the model thinks.
    Reasoning(String),
    /// What it says.
    Text(String),
    /// It begins to call a function.
    Call {
        /// Which call of this answer, from 0.
        index: u32,
        /// Name of the function.
        name: String,
    },
    /// More of the arguments of a call: JSON text in sum.
    Arguments {
        /// The call's.
        index: u32,
        /// The text.
        text: String,
    },
}

/// What the held text is the beginning of.
enum State {
    /// The tag that opens thoughts, or anything else.
    Opening,
    Thoughts,
    Text,
    /// A call: the first one with what begins the calls, or a further one.
    Call {
        first: bool,
    },
    Arguments(JsonValue),
    /// What closes a call after its arguments.
    Tail,
    /// What closes a call whose arguments came before its name.
    End,
}

/// Whether the held text is to be looked at once more.
enum Step {
    Again,
    Wait,
}

impl AnswerParser {
    /// A parser for an answer of this style.
    pub fn new(style: AnswerStyle) -> Self {
        Self {
            calls: style.calls,
            state: match style.thinking {
                Thinking::Never => State::Text,
                Thinking::Maybe => State::Opening,
                Thinking::Begun => State::Thoughts,
            },
            held: String::new(),
            trim: style.thinking == Thinking::Begun,
            said: false,
            begun: 0,
            parts: Vec::new(),
        }
    }

    /// Whether a function was called.
    pub fn called(&self) -> bool {
        self.begun > 0
    }

    /// Whether the text that comes next is thought.
    pub fn thinks(&self) -> bool {
        matches!(self.state, State::Thoughts)
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, text: &str) -> Vec<AnswerPiece> {
        self.held.push_str(text);
        while let Step::Again = self.step() {}
        std::mem::take(&mut self.parts)
    }

    /// Ends the answer and returns what was held back.
    pub fn finish(&mut self) -> Vec<AnswerPiece> {
        while let State::Opening | State::Call { .. } = self.state {
            match self.state {
                State::Call { first: true } => self.no_call(),
                _ => self.state = State::Text,
            }
            while let Step::Again = self.step() {}
        }
        let rest = std::mem::take(&mut self.held);
        match self.state {
            State::Thoughts => self.think(rest.trim_end()),
            State::Text if self.called() && rest.trim().is_empty() => {}
            State::Text => self.say(&rest),
            _ => {}
        }
        std::mem::take(&mut self.parts)
    }

    fn step(&mut self) -> Step {
        match &mut self.state {
            State::Opening => self.opening(),
            State::Thoughts => self.thoughts(),
            State::Text => self.text(),
            State::Call { first } => {
                let first = *first;
                self.call(first)
            }
            State::Arguments(value) => {
                let end = value.push(&self.held);
                let text = self.take(end.unwrap_or(self.held.len()));
                self.argue(text);
                match end {
                    Some(_) => self.enter(State::Tail),
                    None => Step::Wait,
                }
            }
            State::Tail => self.close(CallSyntax::tail),
            State::End => self.close(CallSyntax::end),
        }
    }

    fn opening(&mut self) -> Step {
        let mut text = Cursor::new(&self.held);
        text.space();
        match text.literal(THINK_OPEN) {
            Ok(()) => {
                let at = text.at();
                self.take(at);
                self.trim = true;
                self.enter(State::Thoughts)
            }
            Err(Stop::More) => Step::Wait,
            Err(Stop::Mismatch) => self.enter(State::Text),
        }
    }

    fn thoughts(&mut self) -> Step {
        let (end, found) = find(&self.held, THINK_CLOSE);
        let kept = self.held[..end].trim_end().len();
        let text = self.take(kept);
        self.think(&text);
        if !found {
            return Step::Wait;
        }
        self.take(end - kept + THINK_CLOSE.len());
        self.trim = true;
        self.enter(State::Text)
    }

    fn text(&mut self) -> Step {
        if self.trim {
            let blanks = self.held.len() - self.held.trim_start().len();
            self.take(blanks);
            self.trim = self.held.is_empty();
        }
        let begin = self.calls.map(CallSyntax::begin);
        match begin {
            None => self.say_up_to(self.held.len()),
            Some("") if self.said => self.say_up_to(self.held.len()),
            Some("") => match self.held.trim_start().chars().next() {
                None => Step::Wait,
                Some('{' | '<') => self.enter(State::Call { first: true }),
                Some(_) => self.say_up_to(self.held.len()),
            },
            Some(begin) => {
                let (end, found) = find(&self.held, begin);
                self.say_up_to(self.held[..end].trim_end().len());
                match found {
                    true => self.enter(State::Call { first: true }),
                    false => Step::Wait,
                }
            }
        }
    }

    fn call(&mut self, first: bool) -> Step {
        let Some(calls) = self.calls else {
            return self.enter(State::Text);
        };
        let mut text = Cursor::new(&self.held);
        if first {
            text.space();
        }
        let header = calls.header(&mut text, first);
        let at = text.at();
        match header {
            Ok(Header::Call { name }) => {
                self.take(at);
                self.begin(name);
                self.enter(State::Arguments(JsonValue::default()))
            }
            Ok(Header::Whole { name, arguments }) => {
                self.take(at);
                self.begin(name);
                self.argue(arguments);
                self.enter(State::End)
            }
            Ok(Header::End) => {
                self.take(at);
                self.enter(State::Text)
            }
            Err(Stop::More) => Step::Wait,
            Err(Stop::Mismatch) if first => {
                self.no_call();
                Step::Again
            }
            Err(Stop::Mismatch) => self.enter(State::Text),
        }
    }

    fn close(&mut self, end: fn(CallSyntax, &mut Cursor<'_>) -> Result<(), Stop>) -> Step {
        let mut text = Cursor::new(&self.held);
        let read = self.calls.map_or(Ok(()), |calls| end(calls, &mut text));
        let at = text.at();
        match read {
            Ok(()) => {
                self.take(at);
                self.enter(State::Call { first: false })
            }
            Err(Stop::More) => Step::Wait,
            Err(Stop::Mismatch) => self.enter(State::Text),
        }
    }

    /// What looked like the beginning of the calls is text.
    fn no_call(&mut self) {
        let begin = self.calls.map_or("", CallSyntax::begin);
        let blanks = self.held.len() - self.held.trim_start().len();
        self.said = true;
        self.say_up_to(blanks + begin.len());
        self.state = State::Text;
    }

    fn enter(&mut self, state: State) -> Step {
        self.state = state;
        Step::Again
    }

    /// The first `length` bytes of the held text, which are held no longer.
    fn take(&mut self, length: usize) -> String {
        self.held.drain(..length).collect()
    }

    fn begin(&mut self, name: String) {
        let index = self.begun;
        self.begun += 1;
        self.trim = true;
        self.said = true;
        self.parts.push(AnswerPiece::Call { index, name });
    }

    fn argue(&mut self, text: String) {
        let index = self.begun.saturating_sub(1);
        if !text.is_empty() {
            self.parts.push(AnswerPiece::Arguments { index, text });
        }
    }

    fn say_up_to(&mut self, end: usize) -> Step {
        let text = self.take(end);
        self.say(&text);
        Step::Wait
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.said = true;
        match self.parts.last_mut() {
            Some(AnswerPiece::Text(said)) => said.push_str(text),
            _ => self.parts.push(AnswerPiece::Text(text.to_owned())),
        }
    }

    fn think(&mut self, text: &str) {
        let text = if self.trim { text.trim_start() } else { text };
        if !text.is_empty() {
            self.trim = false;
            self.parts.push(AnswerPiece::Reasoning(text.to_owned()));
        }
    }
}

/// Where `tag` begins in `text` and true; or where it may begin once more text
/// comes, and false.
fn find(text: &str, tag: &str) -> (usize, bool) {
    if let Some(at) = text.find(tag) {
        return (at, true);
    }
    let begins = |&at: &usize| text.is_char_boundary(at) && tag.starts_with(&text[at..]);
    let candidate = (text.len().saturating_sub(tag.len())..text.len()).find(begins);
    (candidate.unwrap_or(text.len()), false)
}
