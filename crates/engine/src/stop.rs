//! Stop strings over streamed text.

/// Finds stop strings in text that arrives in arbitrary pieces.
///
/// Text ends before the first stop string to be complete, reading character by
/// character; where several are complete at the same character, before the one
/// that begins first. How the text is cut into pieces makes no difference.
///
/// Only text that may still become a stop string is held back.
///
/// ```
/// # use fathom_engine::{Scan, StopMatcher};
/// let mut matcher = StopMatcher::new(["\nUser:".to_owned()]);
/// assert_eq!(matcher.push("Hello\nUs"), Scan::Open("Hello".to_owned()));
/// assert_eq!(matcher.push("er: hi"), Scan::Stopped(String::new()));
/// ```
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
    stopped_by: Option<usize>,
}

/// What a piece of text led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// No stop string yet. The text is free to be sent; it is empty when all is
    /// held back.
    Open(String),
    /// A stop string is complete. The text is what came before it and was not
    /// returned yet; whatever follows is dropped.
    Stopped(String),
}

impl StopMatcher {
    /// A matcher for `stops`. Empty ones are ignored: they would match before
    /// any text.
    pub fn new(stops: impl IntoIterator<Item = String>) -> Self {
        Self {
            stops: stops.into_iter().collect(),
            held: String::new(),
            stopped_by: None,
        }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, text: &str) -> Scan {
        self.held.push_str(text);
        if let Some((start, index)) = self.first_match() {
            self.stopped_by = Some(index);
            let mut held = std::mem::take(&mut self.held);
            held.truncate(start);
            return Scan::Stopped(held);
        }
        let candidate = self.held.split_off(self.candidate());
        Scan::Open(std::mem::replace(&mut self.held, candidate))
    }

    /// Ends the text without a stop string and returns what was held back.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Which of the stop strings ended the text, if one did.
    #[must_use]
    pub fn stopped_by(&self) -> Option<usize> {
        self.stopped_by
    }

    /// Where the first stop string to be complete begins, and which it is.
    fn first_match(&self) -> Option<(usize, usize)> {
        let stops = self.stops.iter().enumerate();
        stops
            .filter(|(_, stop)| !stop.is_empty())
            .filter_map(|(index, stop)| {
                let start = self.held.find(stop)?;
                Some((start + stop.len(), start, index))
            })
            .min()
            .map(|(_, start, index)| (start, index))
    }

    /// Where the longest end of the held text begins that may still become a
    /// stop string; its length when there is none.
    fn candidate(&self) -> usize {
        self.held
            .char_indices()
            .map(|(start, _)| start)
            .find(|&start| {
                let end = &self.held[start..];
                self.stops.iter().any(|stop| stop.starts_with(end))
            })
            .unwrap_or(self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matcher(stops: &[&str]) -> StopMatcher {
        StopMatcher::new(stops.iter().map(|&stop| stop.to_owned()))
    }

    #[test]
    fn holds_back_only_what_may_become_a_stop_string() {
        let mut matcher = matcher(&["END", ""]);
        assert_eq!(matcher.push("some E"), Scan::Open("some ".into()));
        assert_eq!(matcher.push("N"), Scan::Open(String::new()));
        assert_eq!(matcher.push("EEN"), Scan::Open("ENE".into()));
        assert_eq!(matcher.push("D more"), Scan::Stopped(String::new()));
    }

    #[test]
    fn held_text_is_returned_at_the_end() {
        let mut matcher = matcher(&["END"]);
        assert_eq!(matcher.push("the EN"), Scan::Open("the ".into()));
        assert_eq!(matcher.finish(), "EN");
        assert_eq!(matcher.finish(), "");
    }

    #[test]
    fn stops_at_the_first_complete_string() {
        assert_eq!(
            matcher(&["abcd", "bc"]).push("xabcd"),
            Scan::Stopped("xa".into())
        );
        assert_eq!(
            matcher(&["bc", "abc"]).push("xabcd"),
            Scan::Stopped("x".into())
        );
    }

    /// The definition, one character at a time over the whole text.
    fn naive(text: &str, stops: &[String]) -> (String, bool) {
        let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
        for end in ends {
            let complete = stops.iter().filter(|stop| !stop.is_empty());
            let longest = complete
                .filter(|stop| text[..end].ends_with(stop.as_str()))
                .map(String::len)
                .max();
            if let Some(length) = longest {
                return (text[..end - length].to_owned(), true);
            }
        }
        (text.to_owned(), false)
    }

    proptest! {
        #[test]
        fn equals_the_naive_search(
            pieces in prop::collection::vec("[abé]{0,4}", 0..12),
            stops in prop::collection::vec("[abé]{0,4}", 1..=4),
        ) {
            let mut matcher = StopMatcher::new(stops.clone());
            let mut text = String::new();
            let mut stopped = false;
            for piece in &pieces {
                match matcher.push(piece) {
                    Scan::Open(free) => text.push_str(&free),
                    Scan::Stopped(last) => {
                        text.push_str(&last);
                        stopped = true;
                        break;
                    }
                }
            }
            text.push_str(&matcher.finish());
            prop_assert_eq!((text, stopped), naive(&pieces.concat(), &stops));
        }
    }
}
