//! HTTP/2 frames that only make work. h2 bounds what such frames make it keep, and ends a
//! connection with too many resets, continuations or empty data; each ping and each settings frame
//! it answers, however many there are.
//!
//! Clients have reason for some of them when they are sent something: gRPC's measure the network
//! with a ping for each frame of data, and every client gives room for what it has read. So an
//! answer allows more of them, as gRPC's own servers count it (gRFC A8).

mod cursor;

use std::time::Duration;

use tokio::time::Instant;

pub use self::cursor::Cursor;

/// How a connection of HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// So many of these frames may come in a [`WINDOW`], and so many more for each piece of an answer
/// that is sent in it: a ping, room on the stream, and room on the connection, which some clients
/// give in halves.
const MOST: u64 = 1_000;
const MOST_FOR_PIECE: u64 = 5;
const WINDOW: Duration = Duration::from_secs(10);

const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;

/// What a peer is told that sends too many of them: GOAWAY with `ENHANCE_YOUR_CALM` for whatever
/// stream there is (RFC 9113, section 6.8), and the words by which clients of gRPC know to ping less
/// (gRFC A8).
pub const ENHANCE_YOUR_CALM: &[u8] =
    b"\0\0\x16\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0btoo_many_pings";

/// Reads along on a connection.
#[derive(Debug, Default)]
pub struct Frames {
    protocol: Protocol,
    cursor: Cursor,
    count: u64,
    /// When the window began, and how many pieces of answers had been sent by then.
    begun: Option<(Instant, u64)>,
}

/// What the connection speaks.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    /// So many bytes of the preface came.
    Preface(usize),
    Http2,
    Other,
}

impl Default for Protocol {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Frames {
    /// Whether these are frames.
    pub fn are_http2(&self) -> bool {
        matches!(self.protocol, Protocol::Http2)
    }

    /// Takes what came, when so many pieces of answers were sent; false: it is too much.
    pub fn take(&mut self, mut bytes: &[u8], pieces: u64) -> bool {
        if let Protocol::Preface(seen) = &mut self.protocol {
            let (now, rest) = bytes.split_at(bytes.len().min(PREFACE.len() - *seen));
            let wanted = &PREFACE[*seen..*seen + now.len()];
            *seen += now.len();
            if now != wanted {
                self.protocol = Protocol::Other;
            } else if *seen == PREFACE.len() {
                self.protocol = Protocol::Http2;
            }
            bytes = rest;
        }
        if !self.are_http2() {
            return true;
        }
        while let Some(header) = self.cursor.next(&mut bytes) {
            if !self.allows(header.kind, header.flags, pieces) {
                return false;
            }
        }
        true
    }

    fn allows(&mut self, kind: u8, flags: u8, pieces: u64) -> bool {
        let idle = match kind {
            PRIORITY | WINDOW_UPDATE => true,
            SETTINGS | PING => flags & ACK == 0,
            // Types that there are not are to be ignored (RFC 9113, section 4.1).
            kind => kind > CONTINUATION,
        };
        if !idle {
            return true;
        }
        let now = Instant::now();
        let (_, before) = match self.begun {
            Some(begun) if now - begun.0 <= WINDOW => begun,
            _ => {
                self.count = 0;
                *self.begun.insert((now, pieces))
            }
        };
        self.count += 1;
        self.count <= MOST + (pieces - before).saturating_mul(MOST_FOR_PIECE)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    }

    fn connected() -> Frames {
        let mut frames = Frames::default();
        assert!(frames.take(PREFACE, 0));
        frames
    }

    /// EDGE-10
    #[tokio::test(start_paused = true)]
    async fn a_thousand_pings_or_settings_are_enough_for_ten_seconds() {
        for kind in [PING, SETTINGS, PRIORITY, WINDOW_UPDATE, 200] {
            let mut frames = connected();
            let one = frame(kind, 0, &[0; 8]);
            for _ in 0..MOST {
                assert!(frames.take(&one, 0), "{kind}");
            }
            assert!(!frames.take(&one, 0), "{kind}");
        }
        let mut frames = connected();
        for _ in 0..10 {
            assert!(frames.take(&frame(PING, 0, &[0; 8]).repeat(900), 0));
            advance(WINDOW + Duration::from_millis(1)).await;
        }
    }

    /// GRPC-7: a client of gRPC whose streams are fast is no attacker, and one that has stopped
    /// reading is.
    #[tokio::test(start_paused = true)]
    async fn who_is_sent_answers_may_measure_the_network_and_give_room() {
        let (ping, room) = (frame(PING, 0, &[0; 8]), frame(WINDOW_UPDATE, 0, &[0; 4]));
        let for_piece = [ping.clone(), room.clone(), room].concat();
        let mut frames = connected();
        for piece in 0..20_000 {
            assert!(frames.take(&for_piece, piece), "{piece}");
        }
        let taken = (0..200_000).take_while(|_| frames.take(&ping, 20_000));
        assert!(taken.count() < 50_000);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_else_there_is_has_no_limit_here() {
        let (data, answer) = (frame(0, 0, &[6; 999]), frame(PING, ACK, &[0; 8]));
        let mut frames = connected();
        let all = [data, answer].concat().repeat(1_500);
        // However the network cuts it.
        for piece in all.chunks(7) {
            assert!(frames.take(piece, 0));
        }
        let mut http1 = Frames::default();
        assert!(http1.take(b"PRI * HTTP/1.1\r\n", 0));
        assert!(http1.take(&frame(PING, 0, &[0; 8]).repeat(2_000), 0));
    }
}
