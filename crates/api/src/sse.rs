//! Server-sent events (WHATWG HTML, section 9.2), as far as completion streams need them.

use memchr::memchr2;

/// The data of the event that ends every complete stream.
pub const DONE: &str = "[DONE]";

/// Takes an event stream apart, however the network cut it. What arrives in one piece is not
/// copied.
#[derive(Debug)]
pub struct Decoder {
    /// A line that is not complete yet.
    line: Vec<u8>,
    /// Data of an event that is not complete yet.
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
        self.feed(bytes, |data| {
            events.push(String::from_utf8_lossy(data).into_owned());
        })?;
        Ok(events)
    }

    /// Reads on; hands the data of each event that is complete now to `event`.
    ///
    /// # Errors
    /// [`TooLong`], after which the decoder is of no more use.
    pub fn feed(&mut self, mut bytes: &[u8], mut event: impl FnMut(&[u8])) -> Result<(), TooLong> {
        // The data of an event, as long as it is one line of these bytes.
        let mut whole: Option<&[u8]> = None;
        // A line ends with LF, CR, or CR LF.
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (line, after_cr) = (&bytes[..end], self.after_cr);
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if after_cr && line.is_empty() && !self.after_cr {
                continue;
            }
            if !self.line.is_empty() {
                self.end_cut_line(line)?;
            } else if line.is_empty() {
                if let Some(data) = whole.take() {
                    event(data);
                } else if self.has_data {
                    event(&self.data);
                }
                self.data.clear();
                self.has_data = false;
            } else if let Some(value) = field(line, b"data") {
                if !self.has_data && whole.is_none() && value.len() <= self.max_event_bytes {
                    whole = Some(value);
                } else {
                    self.keep(whole.take())?;
                    self.keep(Some(value))?;
                }
            }
        }
        self.after_cr &= bytes.is_empty();
        self.keep(whole)?;
        self.cut_line(bytes)
    }

    /// Keeps a line of data until its event is complete.
    fn keep(&mut self, data: Option<&[u8]>) -> Result<(), TooLong> {
        let Some(data) = data else { return Ok(()) };
        if self.data.len() + data.len() > self.max_event_bytes {
            return Err(TooLong);
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
        self.has_data = true;
        Ok(())
    }

    /// Keeps the beginning of a line until the rest of it arrives.
    fn cut_line(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > self.max_event_bytes {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends a line that came in several pieces with the last of them.
    fn end_cut_line(&mut self, rest: &[u8]) -> Result<(), TooLong> {
        self.cut_line(rest)?;
        let line = std::mem::take(&mut self.line);
        self.keep(field(&line, b"data"))?;
        self.line = line;
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
                bytes.extend(format!("data: {text}\n\n").into_bytes());
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
