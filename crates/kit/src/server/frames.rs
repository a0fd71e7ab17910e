//! HTTP/2 frames that only make work. h2 bounds what such frames make it keep, and ends a
//! connection with too many resets, continuations or empty data; each ping and each settings frame
//! it answers, however many there are.
//!
//! Clients have reason for some of them when they are sent something: gRPC's measure the network
//! with a ping for each frame of data, and every client gives room for what it has read. So an
//! answer allows more of them, as gRPC's own servers count it (gRFC A8).

use std::time::Duration;

use tokio::time::Instant;

/// How a connection of HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length, type, flags and stream (RFC 9113, section 4.1).
const HEADER: usize = 9;
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

/// Reads along on a connection.
#[derive(Debug, Default)]
pub struct Frames {
    at: At,
    count: u64,
    /// When the window began, and how many pieces of answers had been sent by then.
    begun: Option<(Instant, u64)>,
}

/// Where the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum At {
    /// So many bytes of the preface came.
    Preface(usize),
    Header {
        bytes: [u8; HEADER],
        filled: usize,
    },
    /// So many bytes of a frame are to come.
    Payload(usize),
    /// It is no HTTP/2.
    Elsewhere,
}

impl Default for At {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl At {
    const NEXT: Self = Self::Header {
        bytes: [0; HEADER],
        filled: 0,
    };
}

impl Frames {
    /// Takes what came, when so many pieces of answers were sent; false: it is too much.
    pub fn take(&mut self, mut bytes: &[u8], pieces: u64) -> bool {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Elsewhere => return true,
                At::Preface(seen) => {
                    let count = bytes.len().min(PREFACE.len() - *seen);
                    let (now, rest) = bytes.split_at(count);
                    let wanted = &PREFACE[*seen..*seen + count];
                    *seen += count;
                    if now != wanted {
                        self.at = At::Elsewhere;
                    } else if *seen == PREFACE.len() {
                        self.at = At::NEXT;
                    }
                    bytes = rest;
                }
                At::Header {
                    bytes: header,
                    filled,
                } => {
                    let count = bytes.len().min(HEADER - *filled);
                    let (now, rest) = bytes.split_at(count);
                    header[*filled..*filled + count].copy_from_slice(now);
                    *filled += count;
                    bytes = rest;
                    if *filled == HEADER {
                        let header = *header;
                        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
                        self.at = match length {
                            0 => At::NEXT,
                            length => At::Payload(length as usize),
                        };
                        if !self.allows(header[3], header[4], pieces) {
                            return false;
                        }
                    }
                }
                At::Payload(left) => {
                    let count = bytes.len().min(*left);
                    *left -= count;
                    if *left == 0 {
                        self.at = At::NEXT;
                    }
                    bytes = &bytes[count..];
                }
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
