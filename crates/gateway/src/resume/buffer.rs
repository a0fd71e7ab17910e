//! Events with their numbers, as many as fit. What was sent stays as long as there is room, since
//! nobody knows what arrived.

use std::collections::VecDeque;

use bytes::Bytes;

/// What an event takes besides its bytes.
const OVERHEAD: usize = 64;

/// The last events of a stream, and how far they are sent.
///
/// Events that are not sent fill at most half of it, and one event: the other half is for those that
/// are on their way when a connection breaks.
pub struct Buffer {
    events: VecDeque<Bytes>,
    /// Number of the first of `events`; they are numbered from 0.
    first: u64,
    /// Number of the event that is sent next.
    next: u64,
    bytes: usize,
    unsent_bytes: usize,
    limit: usize,
}

/// Why there is no going on after an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// What follows it is not here any more.
    Lost,
    /// It has never been here.
    Unknown,
}

impl Buffer {
    /// An empty one for `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            events: VecDeque::new(),
            first: 0,
            next: 0,
            bytes: 0,
            unsent_bytes: 0,
            limit,
        }
    }

    /// Whether one more event may be put in.
    pub fn has_room(&self) -> bool {
        self.unsent_bytes < self.limit / 2
    }

    /// Adds an event; the oldest of those that were sent make room for it.
    pub fn push(&mut self, event: Bytes) {
        let cost = cost(&event);
        self.bytes += cost;
        self.unsent_bytes += cost;
        self.events.push_back(event);
        while self.bytes > self.limit && self.first < self.next {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= self::cost(&oldest);
            self.first += 1;
        }
    }

    /// The next event that is not sent, which now is.
    pub fn take(&mut self) -> Option<Bytes> {
        let event = self.events.get(self.index(self.next)?)?.clone();
        self.next += 1;
        self.unsent_bytes -= cost(&event);
        Some(event)
    }

    /// Whether everything is sent.
    pub fn is_at_end(&self) -> bool {
        self.next == self.end()
    }

    /// Number of the event that is sent next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Goes on after the event of this number, or at the beginning.
    pub fn seek(&mut self, after: Option<u64>) -> Result<(), Missing> {
        let next = after.map_or(0, |number| number.saturating_add(1));
        if next < self.first {
            return Err(Missing::Lost);
        }
        let index = self.index(next).filter(|_| next <= self.end());
        let index = index.ok_or(Missing::Unknown)?;
        self.next = next;
        self.unsent_bytes = self.events.range(index..).map(cost).sum();
        Ok(())
    }

    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

fn cost(event: &Bytes) -> usize {
    event.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(number: usize, length: usize) -> Bytes {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(bytes.len() + length, b'x');
        bytes.into()
    }

    proptest! {
        /// Whatever is put, taken and cut in whatever order: a reader that goes on after the last
        /// event that it has gets every event once and in order, or is told that it cannot.
        #[test]
        fn the_rest_is_exactly_the_rest_and_the_size_is_bounded(
            lengths in prop::collection::vec(0usize..400, 1..80),
            steps in prop::collection::vec((0u8..4, 0usize..12), 1..200),
        ) {
            const LIMIT: usize = 4096;
            let largest = 400 + 8 + OVERHEAD;
            let mut buffer = Buffer::new(LIMIT);
            let (mut put, mut received) = (0, Vec::new());
            for (step, amount) in steps {
                match step {
                    0 | 1 => for _ in 0..amount {
                        if put < lengths.len() && buffer.has_room() {
                            buffer.push(event(put, lengths[put]));
                            put += 1;
                        }
                    },
                    2 => for _ in 0..amount {
                        received.extend(buffer.take());
                    },
                    _ => {
                        // The last few were on their way when the connection broke.
                        let arrived = received.len().saturating_sub(amount);
                        let after = arrived.checked_sub(1).map(|last| last as u64);
                        match buffer.seek(after) {
                            Ok(()) => received.truncate(arrived),
                            Err(missing) => {
                                prop_assert_eq!(missing, Missing::Lost);
                                prop_assert!((arrived as u64) < buffer.first);
                            }
                        }
                    }
                }
                prop_assert!(buffer.bytes <= LIMIT.max(LIMIT / 2 + largest));
                let unsent: usize = buffer.events.iter().skip((buffer.next - buffer.first) as usize).map(cost).sum();
                prop_assert_eq!(buffer.unsent_bytes, unsent);
            }
            loop {
                while let Some(event) = buffer.take() {
                    received.push(event);
                }
                if put == lengths.len() {
                    break;
                }
                buffer.push(event(put, lengths[put]));
                put += 1;
            }
            let expected: Vec<_> = lengths.iter().enumerate().map(|(number, length)| event(number, *length)).collect();
            prop_assert_eq!(received, expected);
        }
    }

    #[test]
    fn an_event_that_is_larger_than_the_buffer_passes_alone() {
        let mut buffer = Buffer::new(100);
        buffer.push(event(0, 1000));
        assert!(!buffer.has_room());
        assert_eq!(buffer.take().unwrap().len(), 1008);
        assert!(buffer.has_room());
        assert_eq!(buffer.seek(None), Ok(()));
        assert_eq!(buffer.take().unwrap().len(), 1008);
        buffer.push(event(1, 0));
        assert_eq!(buffer.seek(None), Err(Missing::Lost));
        assert_eq!(buffer.seek(Some(0)), Ok(()));
        assert_eq!(buffer.seek(Some(2)), Err(Missing::Unknown));
        assert_eq!(buffer.seek(Some(u64::MAX)), Err(Missing::Unknown));
    }
}
