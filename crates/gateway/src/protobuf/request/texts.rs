//! Texts, which come as they are or as tokens.

use fathom_api::completions::Prompt;
use fathom_api::embeddings::Input;
use fathom_proto::pb::inference as pb;

use crate::error::ApiError;

/// What is to be continued.
pub fn prompt(prompts: Vec<pb::Prompt>) -> Result<Prompt, ApiError> {
    let prompts = prompts.into_iter().map(|prompt| match prompt.prompt {
        Some(pb::prompt::Prompt::Text(text)) => Some(Piece::Text(text)),
        Some(pb::prompt::Prompt::Tokens(tokens)) => Some(Piece::Tokens(tokens.ids)),
        None => None,
    });
    Ok(match pieces("prompt", prompts)? {
        Pieces::Texts(texts) => Prompt::Texts(texts),
        Pieces::Tokens(lists) => Prompt::TokenLists(lists),
    })
}

/// What is to become vectors.
pub fn input(inputs: Vec<pb::EmbedInput>) -> Result<Input, ApiError> {
    let inputs = inputs.into_iter().map(|input| match input.input {
        Some(pb::embed_input::Input::Text(text)) => Some(Piece::Text(text)),
        Some(pb::embed_input::Input::Tokens(tokens)) => Some(Piece::Tokens(tokens.ids)),
        None => None,
    });
    Ok(match pieces("input", inputs)? {
        Pieces::Texts(texts) => Input::Texts(texts),
        Pieces::Tokens(lists) => Input::TokenLists(lists),
    })
}

/// A text in one of its two forms.
enum Piece {
    Text(String),
    Tokens(Vec<u32>),
}

/// Texts that all have one form.
enum Pieces {
    Texts(Vec<String>),
    Tokens(Vec<Vec<u32>>),
}

fn pieces(name: &str, all: impl Iterator<Item = Option<Piece>>) -> Result<Pieces, ApiError> {
    let (mut texts, mut lists) = (Vec::new(), Vec::new());
    for (index, piece) in all.enumerate() {
        match piece {
            Some(Piece::Text(text)) => texts.push(text),
            Some(Piece::Tokens(ids)) => lists.push(ids),
            None => {
                let message = format!("`{name}[{index}]` is neither text nor tokens");
                return Err(ApiError::invalid(name, message));
            }
        }
    }
    match (texts.is_empty(), lists.is_empty()) {
        (false, false) => Err(ApiError::invalid(
            name,
            format!("`{name}` mixes texts and tokens; send all of it in one form"),
        )),
        (_, true) => Ok(Pieces::Texts(texts)),
        _ => Ok(Pieces::Tokens(lists)),
    }
}
