//! An answer that comes in pieces.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;

use bytes::Bytes;
use fathom_api::error::ErrorBody;
use fathom_api::sse::{DONE, Decoder, TooLong};
use futures::{Stream, StreamExt};
use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::Error;

/// The events of one answer. `None` comes only after the server has said that all was sent.
pub struct EventStream<T> {
    bytes: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    decoder: Decoder,
    events: VecDeque<String>,
    ended: bool,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> EventStream<T> {
    pub(crate) fn new(response: Response) -> Self {
        Self {
            bytes: Box::pin(response.bytes_stream()),
            decoder: Decoder::default(),
            events: VecDeque::new(),
            ended: false,
            item: PhantomData,
        }
    }

    /// The next event. Dropping the stream stops the generation.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        if self.ended {
            return None;
        }
        let event = self.read().await;
        self.ended = !matches!(event, Some(Ok(_)));
        event
    }

    async fn read(&mut self) -> Option<Result<T, Error>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return if event == DONE {
                    None
                } else {
                    Some(parse(&event))
                };
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => match self.decoder.push(&bytes) {
                    Ok(events) => self.events.extend(events),
                    Err(TooLong) => return Some(Err(Error::TooLong)),
                },
                Some(Err(error)) => return Some(Err(error.into())),
                None => return Some(Err(Error::Truncated)),
            }
        }
    }
}

fn parse<T: DeserializeOwned>(event: &str) -> Result<T, Error> {
    if let Ok(ErrorBody { error }) = serde_json::from_str::<ErrorBody<'_>>(event) {
        return Err(Error::Failed {
            code: error.code.unwrap_or_default().into_owned(),
            message: error.message.into_owned(),
        });
    }
    serde_json::from_str(event).map_err(Error::Unreadable)
}
