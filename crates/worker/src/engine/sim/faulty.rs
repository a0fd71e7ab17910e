//! A stream in which something goes wrong.

#[cfg(test)]
mod tests;

use std::future::pending;

use fathom_proto::Error as PublicError;
use fathom_proto::inference::{Delta, Event, Piece, TokenStream};
use futures::{StreamExt, stream};

use crate::{Error, SimFault, SimFaultKind};

/// What stands for a word in garbage.
const NOISE: &str = "\u{fffd}\u{fffd}";

/// `events`, until the fault's turn comes. Where `begun` tokens were generated before, the turn of
/// one that comes after so many or fewer is over; one before the first token meets everything.
pub(super) fn faulty(events: TokenStream, fault: SimFault, begun: usize) -> TokenStream {
    let begun = u32::try_from(begun).unwrap_or(u32::MAX);
    if (1..=begun).contains(&fault.after) {
        return events;
    }
    let faulty = Faulty {
        events,
        fault,
        tokens: begun,
        put_back: None,
        over: false,
    };
    Box::pin(stream::unfold(faulty, |mut faulty| async move {
        let event = faulty.next().await?;
        Some((event, faulty))
    }))
}

struct Faulty {
    events: TokenStream,
    fault: SimFault,
    /// Tokens that have come.
    tokens: u32,
    /// An event that was due when another one was sent.
    put_back: Option<Event>,
    over: bool,
}

impl Faulty {
    async fn next(&mut self) -> Option<Result<Event, PublicError>> {
        if self.over {
            return None;
        }
        if let Some(event) = self.put_back.take() {
            return Some(Ok(event));
        }
        let event = match self.events.next().await? {
            Ok(event) => event,
            Err(error) => return Some(Err(error)),
        };
        let begins = matches!(event, Event::Started { .. });
        let due = !begins && self.tokens >= self.fault.after;
        if let Event::Delta(delta) = &event {
            self.tokens += delta.tokens;
        }
        if due {
            self.strike(event).await
        } else {
            Some(Ok(event))
        }
    }

    /// Does what goes wrong, where `event` would come next.
    async fn strike(&mut self, event: Event) -> Option<Result<Event, PublicError>> {
        match self.fault.kind {
            SimFaultKind::Fail => {
                self.over = true;
                Some(Err(failure(&self.fault).into()))
            }
            SimFaultKind::Stall => pending().await,
            SimFaultKind::Cut => None,
            SimFaultKind::Garbage => Some(Ok(garbled(event))),
            SimFaultKind::Restart => {
                self.fault.after = u32::MAX;
                self.put_back = Some(event);
                Some(Ok(Event::Started {
                    prompt_tokens: 0,
                    cached_tokens: 0,
                    fingerprint: None,
                    route: None,
                }))
            }
            SimFaultKind::Panic => panic_as_told(),
            SimFaultKind::Slow | SimFaultKind::Full => Some(Ok(event)),
        }
    }
}

/// The error of a fault that fails.
pub(super) fn failure(fault: &SimFault) -> Error {
    Error::Simulated {
        code: fault.code,
        retry_after: fault.retry_after,
    }
}

#[expect(clippy::panic, reason = "this is what it is for")]
pub(super) fn panic_as_told() -> ! {
    panic!("the simulated engine panics, as it was told to")
}

fn garbled(event: Event) -> Event {
    match event {
        Event::Delta(delta) => Event::Delta(Delta {
            piece: Piece::Text(NOISE.to_owned()),
            ..delta
        }),
        event => event,
    }
}
