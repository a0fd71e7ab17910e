//! Server-sent events (WHATWG HTML, section 9.2), as far as completion streams need them.

/// The data of the event that ends every complete stream.
pub const DONE: &str = "[DONE]";

/// Appends one event with one line of data; JSON never holds a raw line break.
pub fn write_event(data: &[u8], out: &mut Vec<u8>) {
    out.reserve(data.len() + 8);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// Takes an event stream apart, however the network cut it.
#[derive(Debug)]
pub struct Decoder {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
    max_event_bytes: usize,
}

/// A line or an event is longer than the decoder accepts.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Default for Decoder {
    fn default() -> Self {
        Self::new(1024 * 1024)
    }
}

impl Decoder {
    /// A decoder that refuses an event with more than `max_event_bytes` of data.
    #[must_use]
    pub const fn new(max_event_bytes: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_cr: false,
            max_event_bytes,
        }
    }

    /// Reads on; gives the data of each event that is complete now.
    ///
    /// # Errors
    /// [`TooLong`], after which the decoder is of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            // A line ends with LF, CR, or CR LF.
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.end_line(&mut events)?;
                }
                _ => {
                    self.after_cr = false;
                    if self.line.len() >= self.max_event_bytes {
                        return Err(TooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, events: &mut Vec<String>) -> Result<(), TooLong> {
        if self.line.is_empty() {
            if self.has_data {
                events.push(String::from_utf8_lossy(&self.data).into_owned());
            }
            self.data.clear();
            self.has_data = false;
        } else if let Some(value) = field(&self.line, b"data") {
            if self.has_data {
                self.data.push(b'\n');
            }
            if self.data.len() + value.len() > self.max_event_bytes {
                return Err(TooLong);
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
        self.line.clear();
        Ok(())
    }
}

/// The value of a line, if it is of this field. A line that begins with a colon is a comment.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_other_fields_and_line_endings_are_read_as_the_standard_says() {
        let stream =
            b": keep-alive\n\nevent: x\ndata: a\r\ndata:b\r\rdata\n\nid: 7\n\ndata: [DONE]\n\n";
        let events = Decoder::default().push(stream).unwrap();
        assert_eq!(events, ["a\nb", "", DONE]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut decoder = Decoder::new(16);
        assert_eq!(decoder.push(&[b'x'; 17]), Err(TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            texts in prop::collection::vec("[^\r\n]{0,20}", 0..8),
            cuts in prop::collection::vec(1usize..9, 1..64),
        ) {
            let mut bytes = Vec::new();
            for text in &texts {
                write_event(text.as_bytes(), &mut bytes);
            }
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                read.extend(decoder.push(piece).unwrap());
                rest = after;
            }
            prop_assert_eq!(read, texts);
        }
    }
}
