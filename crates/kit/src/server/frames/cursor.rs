//! Where frames begin and end in bytes that come, or go, in pieces of any size.

/// Length, type, flags and stream (RFC 9113, section 4.1).
const HEADER: usize = 9;
/// The kind of frame that carries bodies (RFC 9113, section 6.1).
const DATA: u8 = 0;

/// The place up to which frames were read.
#[derive(Clone, Copy, Debug)]
pub enum Cursor {
    /// In a header, of which so many bytes are there.
    Header { bytes: [u8; HEADER], filled: usize },
    /// In the payload of a frame of this kind, of which so many bytes are to come.
    Payload { kind: u8, left: usize },
}

/// What a header says that matters here.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub kind: u8,
    pub flags: u8,
}

impl Default for Cursor {
    fn default() -> Self {
        Self::Header {
            bytes: [0; HEADER],
            filled: 0,
        }
    }
}

impl Cursor {
    /// Goes on to the end of the next header, and takes what it has passed out of `bytes`; `None`:
    /// all of them.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Header> {
        while !bytes.is_empty() {
            match self {
                Self::Header {
                    bytes: header,
                    filled,
                } => {
                    let count = bytes.len().min(HEADER - *filled);
                    header[*filled..*filled + count].copy_from_slice(&bytes[..count]);
                    *filled += count;
                    *bytes = &bytes[count..];
                    if *filled == HEADER {
                        let [a, b, c, kind, flags, ..] = *header;
                        *self = match u32::from_be_bytes([0, a, b, c]) {
                            0 => Self::default(),
                            length => Self::Payload {
                                kind,
                                left: length as usize,
                            },
                        };
                        return Some(Header { kind, flags });
                    }
                }
                Self::Payload { left, .. } => {
                    let count = bytes.len().min(*left);
                    *left -= count;
                    *bytes = &bytes[count..];
                    if *left == 0 {
                        *self = Self::default();
                    }
                }
            }
        }
        None
    }

    /// Goes on over all of `bytes`; whether some of them are of a body.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut body = matches!(self, Self::Payload { kind: DATA, .. });
        while let Some(header) = self.next(&mut bytes) {
            body |= header.kind == DATA;
        }
        body
    }

    /// How many bytes belong, for all that is known, to the frame that has begun; 0 between two.
    pub fn left(&self) -> usize {
        match self {
            Self::Header { filled: 0, .. } => 0,
            Self::Header { filled, .. } => HEADER - filled,
            Self::Payload { left, .. } => *left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_over_where_its_length_says() {
        let frames = [
            &[0, 0, 3, 0, 1, 0, 0, 0, 1, 7, 7, 7][..],
            &[0, 0, 0, 4, 1, 0, 0, 0, 0],
        ]
        .concat();
        for size in 1..=frames.len() {
            let mut cursor = Cursor::default();
            let mut between = Vec::new();
            for (index, piece) in frames.chunks(size).enumerate() {
                cursor.pass(piece);
                if cursor.left() == 0 {
                    between.push(((index + 1) * size).min(frames.len()));
                }
            }
            assert!(
                between.iter().all(|at| [12, 21].contains(at)),
                "{between:?}"
            );
            assert_eq!(between.last(), Some(&21));
        }
        let mut cursor = Cursor::default();
        cursor.pass(&frames[..2]);
        assert_eq!(cursor.left(), 7);
        assert!(cursor.pass(&frames[2..9]));
        assert_eq!(cursor.left(), 3);
        assert!(cursor.pass(&frames[9..]));
        assert!(!cursor.pass(&frames[12..]));
    }
}
