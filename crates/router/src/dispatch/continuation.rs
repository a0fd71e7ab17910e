//! What another worker needs to go on where one broke off.

use fathom_proto::inference::{Delta, GenerateRequest, Piece};

/// Whether a generation can go on elsewhere. The tokens themselves are kept in the request as the
/// next worker is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The caller has nothing yet: it begins again.
    Nothing,
    /// The caller has the text of these tokens: it goes on after them.
    Tokens,
    /// The caller has text of tokens that nobody told.
    Unknown,
}

impl Progress {
    /// Keeps the tokens of `delta` in `request`, and takes them out of what the caller gets.
    pub fn note(&mut self, delta: &mut Delta, request: &mut GenerateRequest) {
        let ids = std::mem::take(&mut delta.ids);
        let told = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        request.generated.extend_from_slice(&ids);
        // A piece that belongs to no token that was told would come again.
        let is_untold = delta.tokens == 0 && ids.is_empty() && !is_empty(&delta.piece);
        if *self == Self::Unknown || told < delta.tokens || is_untold {
            *self = Self::Unknown;
            request.generated = Vec::new();
        } else if !request.generated.is_empty() {
            *self = Self::Tokens;
        }
    }

    /// Whether the id of the token that `delta` is a piece of can still come.
    pub fn awaits_id(self, delta: &Delta) -> bool {
        self != Self::Unknown && delta.tokens == 0 && delta.ids.is_empty()
    }

    /// Whether another worker can take over.
    pub fn can_move(self) -> bool {
        self != Self::Unknown
    }
}

fn is_empty(piece: &Piece) -> bool {
    match piece {
        Piece::Text(text) | Piece::Reasoning(text) => text.is_empty(),
        Piece::ToolCall(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::inference::Prompt;

    use super::*;

    fn request() -> GenerateRequest {
        GenerateRequest::new("model".into(), Prompt::Text("hello".to_owned()))
    }

    fn delta(tokens: u32, ids: &[u32]) -> Delta {
        Delta {
            piece: Piece::Text("text".to_owned()),
            tokens,
            logprobs: Vec::new(),
            ids: ids.iter().copied().collect(),
        }
    }

    #[test]
    fn tokens_gather_and_are_not_passed_on() {
        let (mut progress, mut request) = (Progress::Nothing, request());
        for mut delta in [delta(1, &[7]), delta(2, &[8, 9])] {
            progress.note(&mut delta, &mut request);
            assert!(delta.ids.is_empty());
        }
        assert_eq!(progress, Progress::Tokens);
        assert_eq!(request.generated, [7, 8, 9]);
    }

    #[test]
    fn one_token_without_its_id_and_nobody_can_go_on() {
        let (mut progress, mut request) = (Progress::Nothing, request());
        for mut delta in [delta(1, &[7]), delta(2, &[8]), delta(1, &[9])] {
            progress.note(&mut delta, &mut request);
        }
        assert!(!progress.can_move());
        assert!(request.generated.is_empty());
    }

    #[test]
    fn text_without_a_token_is_not_told_twice() {
        for before in [&[][..], &[7]] {
            let (mut progress, mut request) = (Progress::Nothing, request());
            progress.note(&mut delta(before.len() as u32, before), &mut request);
            progress.note(&mut delta(0, &[]), &mut request);
            progress.note(&mut delta(1, &[8]), &mut request);
            assert!(!progress.can_move());
        }
    }
}
