//! What was asked and what came: written down by the client while it comes, and compared
//! afterwards with what should have come.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fathom_api::usage::Usage;
use fathom_client::{Client, Error};
use tokio::time::Instant;

use crate::drill::question::Question;

/// How a request ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is complete, so the server says.
    Complete,
    /// An error in place of an answer: status and code.
    Refused(u16, String),
    /// An error in the stream, by its code.
    Failed(String),
    /// The client went away.
    Left,
    /// The connection ended, or was never there, and nobody said why.
    Broken(String),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was asked.
    pub question: Question,
    /// When.
    pub begun: Instant,
    /// When each piece of text came.
    pub pieces: Vec<Instant>,
    /// All text.
    pub text: String,
    /// What the server counted.
    pub usage: Option<Usage>,
    /// How it ended; `None`: it has not.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended: Option<Instant>,
}

/// Every request of a client.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Vec<Line>>);

/// What a ledger says in sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests.
    pub asked: usize,
    /// Those whose answer is complete and right.
    pub complete: usize,
    /// Those whose client went away.
    pub left: usize,
    /// The others, by outcome.
    pub failed: BTreeMap<String, usize>,
    /// Tokens that came.
    pub received_tokens: u64,
    /// Generated tokens that the server counted; of whole answers alone.
    pub counted_tokens: u64,
}

impl Ledger {
    /// Asks, and reads the answer as it comes. A client that goes away drops the future.
    pub async fn stream(&self, client: &Client, question: Question) -> Outcome {
        self.stream_until(client, question, u32::MAX).await
    }

    /// As [`Self::stream`], but goes away after `pieces` pieces.
    pub async fn stream_until(&self, client: &Client, question: Question, pieces: u32) -> Outcome {
        let open = Open::new(self, question);
        let ended = open.read(client, pieces).await;
        open.close(ended.unwrap_or_else(outcome))
    }

    /// Asks for the answer as a whole.
    pub async fn whole(&self, client: &Client, question: Question) -> Outcome {
        let open = Open::new(self, question);
        let answer = async {
            let request = question.request().map_err(Error::Unreadable)?;
            let answer = client.chat(&request).await?;
            open.note(|line| {
                let texts = answer.choices.iter();
                let texts = texts.filter_map(|choice| choice.message.content.as_deref());
                line.text.extend(texts);
                line.usage = Some(answer.usage);
            });
            Ok(Outcome::Complete)
        };
        let ended = answer.await;
        open.close(ended.unwrap_or_else(outcome))
    }

    /// Requests that have begun to be answered and are not yet.
    #[must_use]
    pub fn running(&self) -> usize {
        let lines = self.lines();
        let running = |line: &&Line| line.outcome.is_none() && !line.pieces.is_empty();
        lines.iter().filter(running).count()
    }

    /// Every request so far.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Line> {
        self.lines().clone()
    }

    /// Adds everything up.
    ///
    /// # Errors
    /// What no failure excuses, a sentence each: a request without an outcome, a name that was
    /// used twice, a text or a count that is wrong.
    pub fn audit(&self) -> Result<Totals, Vec<String>> {
        let mut totals = Totals::default();
        let mut wrong = Vec::new();
        let mut seen = BTreeMap::new();
        for line in self.lines().iter() {
            totals.asked += 1;
            if seen.insert(line.question.id, ()).is_some() {
                wrong.push(format!("{} was asked twice", line.question.id));
            }
            let problem = match &line.outcome {
                None => Some("has no outcome".to_owned()),
                Some(outcome) => line.contradiction(outcome),
            };
            if let Some(problem) = problem {
                wrong.push(format!("request {} {problem}", line.question.id));
                continue;
            }
            totals.received_tokens += line.received();
            let usage = line.usage.unwrap_or_default();
            totals.counted_tokens += u64::from(usage.completion_tokens);
            match &line.outcome {
                Some(Outcome::Complete) => totals.complete += 1,
                Some(Outcome::Left) => totals.left += 1,
                Some(Outcome::Refused(status, code)) => totals.fail(format!("{status} {code}")),
                Some(Outcome::Failed(code)) => totals.fail(code.clone()),
                Some(Outcome::Broken(_)) => totals.fail("broken".to_owned()),
                None => {}
            }
        }
        if wrong.is_empty() {
            Ok(totals)
        } else {
            Err(wrong)
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn fail(&mut self, how: String) {
        *self.failed.entry(how).or_default() += 1;
    }
}

impl Line {
    /// Tokens that came.
    fn received(&self) -> u64 {
        self.text.split_whitespace().count() as u64
    }

    /// What is wrong with an answer that ended like this.
    pub(super) fn contradiction(&self, outcome: &Outcome) -> Option<String> {
        let (words, prompt_tokens) = self.question.answer();
        let whole = words.concat();
        if !whole.starts_with(&self.text) {
            return Some(format!("got {:?} and not {whole:?}", self.text));
        }
        if *outcome != Outcome::Complete {
            return None;
        }
        if self.text != whole {
            let (came, due) = (self.received(), words.len());
            return Some(format!("is complete with {came} of {due} tokens"));
        }
        match self.usage {
            None => Some("is complete without counts".to_owned()),
            Some(usage)
                if (usage.prompt_tokens, usage.completion_tokens)
                    != (prompt_tokens, self.question.tokens) =>
            {
                Some(format!("was counted as {usage:?}"))
            }
            Some(_) => None,
        }
    }
}

/// A line that is being written; a client that goes away has written it all the same.
struct Open<'a> {
    ledger: &'a Ledger,
    index: usize,
    closed: bool,
}

impl<'a> Open<'a> {
    fn new(ledger: &'a Ledger, question: Question) -> Self {
        let mut lines = ledger.lines();
        lines.push(Line {
            question,
            begun: Instant::now(),
            pieces: Vec::new(),
            text: String::new(),
            usage: None,
            outcome: None,
            ended: None,
        });
        Self {
            ledger,
            index: lines.len() - 1,
            closed: false,
        }
    }

    async fn read(&self, client: &Client, pieces: u32) -> Result<Outcome, Error> {
        let mut left = pieces;
        let request = self.line(|line| line.question.request());
        let mut stream = client
            .chat_stream(request.map_err(Error::Unreadable)?)
            .await?;
        while left > 0 {
            let Some(chunk) = stream.next().await else {
                return Ok(Outcome::Complete);
            };
            let chunk = chunk?;
            let texts = chunk.choices.iter();
            for text in texts.filter_map(|choice| choice.delta.content.as_deref()) {
                if !text.is_empty() {
                    left -= 1;
                    self.note(|line| {
                        line.pieces.push(Instant::now());
                        line.text.push_str(text);
                    });
                }
            }
            if let Some(usage) = chunk.usage.flatten() {
                self.note(|line| line.usage = Some(usage));
            }
        }
        Ok(Outcome::Left)
    }

    fn close(mut self, outcome: Outcome) -> Outcome {
        self.end(outcome.clone());
        outcome
    }

    fn end(&mut self, outcome: Outcome) {
        self.closed = true;
        self.note(|line| {
            line.outcome = Some(outcome);
            line.ended = Some(Instant::now());
        });
    }

    fn note(&self, change: impl FnOnce(&mut Line)) {
        self.line(change);
    }

    fn line<T>(&self, look: impl FnOnce(&mut Line) -> T) -> T {
        look(&mut self.ledger.lines()[self.index])
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.end(Outcome::Left);
        }
    }
}

fn outcome(error: Error) -> Outcome {
    match error {
        Error::Refused { status, code, .. } => Outcome::Refused(status, code),
        Error::Failed { code, .. } => Outcome::Failed(code),
        error => Outcome::Broken(error.to_string()),
    }
}
