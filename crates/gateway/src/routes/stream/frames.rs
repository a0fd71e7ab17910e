//! Counts the frames of a client on their way in, and sees whether it takes what is sent. The codec
//! above gives whole messages, and would read frames that carry nothing, or next to nothing, for as
//! long as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::Pace;

/// Frames that carry nothing of a message (pings, pongs, empty fragments): as many a second for ever.
/// A whole message that is empty is seen above, and is none that anybody can take.
const IDLE_PER_SECOND: u32 = 100;
/// As many of them at once.
const IDLE_BURST: u32 = 200;
/// What a fragment of a message costs at least of the bytes that a message may have.
const FRAGMENT_COST: u64 = 64;
/// Two bytes, eight of a length, four of a mask (RFC 6455, section 5.2).
const MAX_HEADER: usize = 14;

/// A connection whose incoming frames are counted. Reading fails with a [`Excess`] when there are
/// too many.
pub struct Counted<S> {
    io: S,
    frames: Frames,
    /// Something that was to be sent has no room.
    waits: bool,
    /// Something that had none got it.
    moved: bool,
}

impl<S> Counted<S> {
    /// Counts the frames of `io`, whose messages have `max_message_bytes` at most.
    pub fn new(io: S, max_message_bytes: usize) -> Self {
        let frames = Frames::new(max_message_bytes);
        Self {
            io,
            frames,
            waits: false,
            moved: false,
        }
    }

    /// Whether something that had to wait was taken since this was last asked: then the client reads,
    /// for nothing else makes room.
    pub fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// The connection itself; what is read from it is not counted.
    pub fn io(&mut self) -> &mut S {
        &mut self.io
    }
}

/// Why frames are not read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Too many frames that carry nothing.
    #[error("too many control or empty frames")]
    Idle,
    /// A message of too many fragments.
    #[error("a message of too many fragments")]
    Fragments,
}

/// Where in the stream of frames the connection is.
struct Frames {
    header: [u8; MAX_HEADER],
    read: usize,
    /// What is left of the payload.
    payload: u64,
    /// What the fragments of the current message cost.
    cost: u64,
    max_cost: u64,
    idle: Pace,
}

impl Frames {
    fn new(max_message_bytes: usize) -> Self {
        Self {
            header: [0; MAX_HEADER],
            read: 0,
            payload: 0,
            cost: 0,
            max_cost: u64::try_from(max_message_bytes).unwrap_or(u64::MAX),
            idle: Pace::new(IDLE_PER_SECOND, IDLE_BURST),
        }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Excess> {
        loop {
            let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX);
            let skipped = skipped.min(bytes.len());
            self.payload -= skipped as u64;
            let Some((first, rest)) = bytes.get(skipped..).and_then(<[u8]>::split_first) else {
                return Ok(());
            };
            bytes = rest;
            if let Some(place) = self.header.get_mut(self.read) {
                *place = *first;
            }
            self.read += 1;
            if let Some(length) = self.length() {
                self.read = 0;
                self.payload = length;
                self.frame(self.header[0], length)?;
            }
        }
    }

    /// The length of the payload, once the whole header is read.
    fn length(&self) -> Option<u64> {
        let second = *self.header[..self.read].get(1)?;
        let bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.read < 2 + bytes + mask {
            return None;
        }
        let long = self.header[2..2 + bytes].iter();
        Some(match bytes {
            0 => u64::from(second & 0x7f),
            _ => long.fold(0, |length, byte| length << 8 | u64::from(*byte)),
        })
    }

    fn frame(&mut self, first: u8, length: u64) -> Result<(), Excess> {
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let control = opcode & 0x08 != 0;
        let fragment = !control && (opcode == 0 || !last);
        if (control || fragment && length == 0) && !self.idle.allows() {
            return Err(Excess::Idle);
        }
        if !control && opcode != 0 {
            self.cost = 0;
        }
        if fragment {
            self.cost = self.cost.saturating_add(length.max(FRAGMENT_COST));
            if self.cost > self.max_cost {
                return Err(Excess::Fragments);
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.frames.read(new).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        match written {
            Poll::Pending => self.waits = true,
            Poll::Ready(Ok(1..)) => self.moved |= std::mem::take(&mut self.waits),
            Poll::Ready(_) => {}
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1024 * 1024;

    /// A masked frame with an empty mask.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ ..126 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend((long as u16).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_counted_however_the_bytes_are_cut() {
        let flood = frame(0x89, b"ping").repeat(201);
        for size in [1, 3, 7, 1000, flood.len()] {
            let mut frames = Frames::new(MAX);
            let mut parts = flood.chunks(size);
            let excess = parts.find_map(|part| frames.read(part).err());
            assert_eq!(excess, Some(Excess::Idle), "{size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_carries_something_is_not_slowed() {
        let mut frames = Frames::new(MAX);
        for _ in 0..10_000 {
            frames.read(&frame(0x81, b"{}")).unwrap();
            frames.read(&frame(0x82, &[0x89; 300])).unwrap();
        }
    }

    /// WS-2
    #[tokio::test(start_paused = true)]
    async fn fragments_cost_more_than_they_carry() {
        let mut frames = Frames::new(MAX);
        frames.read(&frame(0x01, b"x")).unwrap();
        let next = frame(0x00, b"x");
        let read = (1..).find(|_| frames.read(&next).is_err());
        assert_eq!(read, Some(16 * 1024));
        // The next message begins anew.
        let mut frames = Frames::new(MAX);
        for _ in 0..10 {
            frames.read(&frame(0x01, b"x")).unwrap();
            (0..10_000).for_each(|_| frames.read(&next).unwrap());
            frames.read(&frame(0x80, b"x")).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_length_of_any_size_is_only_a_number() {
        let mut frames = Frames::new(MAX);
        let header = [0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        frames.read(&header).unwrap();
        assert_eq!(frames.payload, 1 << 62);
        frames.read(&frame(0x89, b"").repeat(1000)).unwrap();
    }
}
