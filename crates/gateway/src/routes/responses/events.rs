//! An answer as events: one item after the other, each begun and ended, and all of it at the end.

use std::borrow::Cow;

use fathom_api::responses::events::{
    At, Event, Numbered, PartOf, PlainDelta, PlainDone, SummaryAt, TextDelta, TextDone,
};
use fathom_api::responses::{Item, Part, Response, Status};
use fathom_proto::inference::{Delta, FinishReason, Piece, ToolCall, ToolCallPiece, Usage};
use fathom_proto::{Error, ErrorCode};

use crate::answer::responses::{
    call, end, item_id, message, put, set_status, text_part, thought, thought_part,
};
use crate::answer::{MIXED_CALLS, logprobs};
use crate::error;
use crate::event_stream::{EventWriter, Events};
use crate::generation::Generation;

/// Writes the events of one answer.
#[derive(Clone)]
pub struct ResponseEvents {
    /// What there is of it.
    response: Response,
    request_id: String,
    number: u64,
    /// How many calls have begun; each ends when the next one begins.
    calls: u32,
    /// What the last item is, if it is not ended.
    open: Option<Open>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Thought,
    Text,
    /// A call, by its number in the answer.
    Call(u32),
}

impl ResponseEvents {
    /// Events of an answer that has nothing in it yet.
    pub fn new(response: Response, request_id: String) -> Self {
        Self {
            response,
            request_id,
            number: 0,
            calls: 0,
            open: None,
        }
    }

    fn summarises(&self) -> bool {
        self.response.reasoning.summary.is_some()
    }

    fn item_id(&self, kind: &str) -> String {
        item_id(kind, &self.request_id, self.response.output.len())
    }

    /// Begins an item, and ends the one before it.
    fn begin(
        &mut self,
        open: Open,
        mut item: Item,
        part: Option<Part>,
        out: &mut impl EventWriter,
    ) {
        self.close(Status::Completed, out);
        self.open = Some(open);
        let output_index = index(self.response.output.len());
        let added = Event::ItemAdded {
            output_index,
            item: Cow::Borrowed(&item),
        };
        emit(&mut self.number, added, out);
        if let Some(part) = part {
            let event = part_event(
                &item,
                output_index,
                &part,
                Event::PartAdded,
                Event::SummaryAdded,
            );
            emit(&mut self.number, event, out);
            put(&mut item, part);
        }
        self.response.output.push(item);
    }

    /// Ends the item that is open.
    fn close(&mut self, status: Status, out: &mut impl EventWriter) {
        if self.open.take().is_none() {
            return;
        }
        let output_index = index(self.response.output.len().saturating_sub(1));
        let Some(item) = self.response.output.last_mut() else {
            return;
        };
        set_status(item, status);
        let item = &*item;
        if let Some(part) = last_part(item) {
            emit(&mut self.number, text_done(item, output_index, part), out);
            let event = part_event(
                item,
                output_index,
                part,
                Event::PartDone,
                Event::SummaryDone,
            );
            emit(&mut self.number, event, out);
        }
        if let Item::FunctionCall {
            name, arguments, ..
        } = item
        {
            let done = Event::ArgumentsDone {
                item_id: id(item).into(),
                output_index,
                name: name.into(),
                arguments: arguments.into(),
            };
            emit(&mut self.number, done, out);
        }
        let done = Event::ItemDone {
            output_index,
            item: Cow::Borrowed(item),
        };
        emit(&mut self.number, done, out);
    }

    fn thought(&mut self, new: &str, out: &mut impl EventWriter) {
        if self.open != Some(Open::Thought) {
            let item = thought(self.item_id("rs"));
            let part = thought_part(String::new(), self.summarises());
            self.begin(Open::Thought, item, Some(part), out);
        }
        let told = PlainDelta { delta: new.into() };
        let output_index = index(self.response.output.len().saturating_sub(1));
        let Some(Item::Reasoning {
            id,
            summary,
            content,
            ..
        }) = self.response.output.last_mut()
        else {
            return;
        };
        let item_id = id.as_str().into();
        let event = if let Some(Part::SummaryText { text }) = summary.last_mut() {
            text.push_str(new);
            Event::SummaryDelta(SummaryAt {
                item_id,
                output_index,
                summary_index: 0,
                told,
            })
        } else {
            if let Some(Part::ReasoningText { text }) = content.last_mut() {
                text.push_str(new);
            }
            Event::ReasoningDelta(At {
                item_id,
                output_index,
                content_index: 0,
                told,
            })
        };
        emit(&mut self.number, event, out);
    }

    fn text(
        &mut self,
        new: &str,
        told: Vec<fathom_proto::inference::TokenLogprob>,
        out: &mut impl EventWriter,
    ) {
        if self.open != Some(Open::Text) {
            let item = message(self.item_id("msg"));
            let part = text_part(String::new(), Vec::new());
            self.begin(Open::Text, item, Some(part), out);
        }
        let told = logprobs::of_text(told);
        let output_index = index(self.response.output.len().saturating_sub(1));
        let Some(Item::Message { id, content, .. }) = self.response.output.last_mut() else {
            return;
        };
        let event = Event::TextDelta(At {
            item_id: id.as_str().into(),
            output_index,
            content_index: 0,
            told: TextDelta {
                delta: new.into(),
                logprobs: Cow::Borrowed(&told),
            },
        });
        emit(&mut self.number, event, out);
        if let Some(Part::OutputText { text, logprobs, .. }) = content.last_mut() {
            text.push_str(new);
            logprobs.extend(told);
        }
    }

    fn call(&mut self, piece: ToolCallPiece, out: &mut impl EventWriter) -> Result<(), Error> {
        let open = Open::Call(piece.index);
        if self.open != Some(open) {
            if piece.index < self.calls {
                return Err(Error::new(ErrorCode::WorkerFailed, MIXED_CALLS));
            }
            self.calls = piece.index.saturating_add(1);
            let begun = ToolCall {
                id: piece.id.unwrap_or_default(),
                name: piece.name.unwrap_or_default(),
                arguments: String::new(),
            };
            let item = call(self.item_id("fc"), begun);
            self.begin(open, item, None, out);
        }
        let output_index = index(self.response.output.len().saturating_sub(1));
        if let Some(Item::FunctionCall { id, arguments, .. }) = self.response.output.last_mut()
            && !piece.arguments.is_empty()
        {
            let event = Event::ArgumentsDelta {
                item_id: id.as_str().into(),
                output_index,
                delta: piece.arguments.as_str().into(),
            };
            emit(&mut self.number, event, out);
            arguments.push_str(&piece.arguments);
        }
        Ok(())
    }
}

impl Events for ResponseEvents {
    fn opening(&mut self, _: &Generation, out: &mut impl EventWriter) {
        let response = Cow::Borrowed(&self.response);
        emit(&mut self.number, Event::Created { response }, out);
        let response = Cow::Borrowed(&self.response);
        emit(&mut self.number, Event::InProgress { response }, out);
    }

    fn delta(
        &mut self,
        _: &Generation,
        _: usize,
        delta: Delta,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
        match delta.piece {
            Piece::Reasoning(text) => self.thought(&text, out),
            // The marks of a call have probabilities, and are no text.
            Piece::Text(text) if text.is_empty() && matches!(self.open, Some(Open::Call(_))) => {}
            Piece::Text(text) => self.text(&text, delta.logprobs, out),
            Piece::ToolCall(piece) => self.call(piece, out)?,
        }
        Ok(())
    }

    fn finish(
        &mut self,
        _: &Generation,
        _: usize,
        reason: FinishReason,
        usage: Option<Usage>,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
        end(&mut self.response, reason, usage.unwrap_or_default())?;
        let status = self.response.status;
        // One that is cut off while it thinks has not begun to answer.
        let thinks = self.open == Some(Open::Thought) && status == Status::Incomplete;
        if !thinks && !self.response.output.iter().any(is_answer) {
            self.text("", Vec::new(), out);
        }
        self.close(status, out);
        let response = Cow::Borrowed(&self.response);
        let event = match status {
            Status::Incomplete => Event::Incomplete { response },
            _ => Event::Completed { response },
        };
        emit(&mut self.number, event, out);
        Ok(())
    }

    fn error(&mut self, error: &Error, out: &mut impl EventWriter) {
        if self.number == 0 {
            // Clients know no other first event.
            let response = Cow::Borrowed(&self.response);
            emit(&mut self.number, Event::Created { response }, out);
        }
        self.response.status = Status::Failed;
        self.response.error = Some(error::body(error).error.into_owned());
        if let (Some(_), Some(item)) = (self.open.take(), self.response.output.last_mut()) {
            set_status(item, Status::Incomplete);
        }
        let response = Cow::Borrowed(&self.response);
        emit(&mut self.number, Event::Failed { response }, out);
    }
}

fn emit(number: &mut u64, event: Event<'_>, out: &mut impl EventWriter) {
    let name = event.name();
    let event = Numbered {
        event,
        sequence_number: *number,
    };
    *number += 1;
    out.named(name, &event);
}

/// An answer has few items.
fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn id(item: &Item) -> &str {
    match item {
        Item::Reasoning { id, .. } | Item::Message { id, .. } | Item::FunctionCall { id, .. } => id,
    }
}

/// Whether it is more than a thought.
fn is_answer(item: &Item) -> bool {
    !matches!(item, Item::Reasoning { .. })
}

fn last_part(item: &Item) -> Option<&Part> {
    match item {
        Item::Reasoning {
            summary, content, ..
        } => summary.last().or(content.last()),
        Item::Message { content, .. } => content.last(),
        Item::FunctionCall { .. } => None,
    }
}

/// A part begins or ends.
fn part_event<'a>(
    item: &'a Item,
    output_index: u32,
    part: &'a Part,
    of_content: fn(At<'a, PartOf<'a>>) -> Event<'a>,
    of_summary: fn(SummaryAt<'a, PartOf<'a>>) -> Event<'a>,
) -> Event<'a> {
    let item_id = id(item).into();
    let told = PartOf {
        part: Cow::Borrowed(part),
    };
    match part {
        Part::SummaryText { .. } => of_summary(SummaryAt {
            item_id,
            output_index,
            summary_index: 0,
            told,
        }),
        Part::OutputText { .. } | Part::ReasoningText { .. } => of_content(At {
            item_id,
            output_index,
            content_index: 0,
            told,
        }),
    }
}

/// The text of a part is complete.
fn text_done<'a>(item: &'a Item, output_index: u32, part: &'a Part) -> Event<'a> {
    let item_id = id(item).into();
    let content_index = 0;
    match part {
        Part::OutputText { text, logprobs, .. } => Event::TextDone(At {
            item_id,
            output_index,
            content_index,
            told: TextDone {
                text: text.into(),
                logprobs: Cow::Borrowed(logprobs),
            },
        }),
        Part::ReasoningText { text } => Event::ReasoningDone(At {
            item_id,
            output_index,
            content_index,
            told: PlainDone { text: text.into() },
        }),
        Part::SummaryText { text } => Event::SummaryTextDone(SummaryAt {
            item_id,
            output_index,
            summary_index: 0,
            told: PlainDone { text: text.into() },
        }),
    }
}
