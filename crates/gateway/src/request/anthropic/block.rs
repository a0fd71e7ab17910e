//! Blocks of a turn.

use fathom_api::messages::Content;
use fathom_proto::inference::ToolCall;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::object::Object;
use crate::request::speech::Speech;

/// A part of a turn.
pub enum Block {
    Text(String),
    Image(String),
    Thinking(String),
    ToolUse(ToolCall),
    ToolResult { id: String, said: Speech },
}

/// The blocks of a turn, with the place of each; a text is one block.
pub fn blocks(at: &str, content: Content) -> Result<Vec<(String, Block)>, ApiError> {
    let blocks = match content {
        Content::Text(text) => return Ok(vec![(at.to_owned(), Block::Text(text))]),
        Content::Blocks(blocks) => blocks.into_iter().enumerate(),
    };
    let blocks = blocks.map(|(index, members)| {
        let at = format!("{at}[{index}]");
        let block = block(Object::new(at.as_str(), members))?;
        Ok((at, block))
    });
    blocks.collect()
}

fn block(mut block: Object) -> Result<Block, ApiError> {
    // It says what may be kept of a prompt; everything is, as far as there is room.
    block.ignore(&["cache_control"]);
    let kind = block.required_text("type")?;
    let read = match kind.as_str() {
        "text" => {
            block.nothing_but("citations", &[json!([])])?;
            Block::Text(block.required_text("text")?)
        }
        "image" => Block::Image(image(&mut block)?),
        "thinking" => {
            // Nothing was signed.
            block.ignore(&["signature"]);
            Block::Thinking(block.required_text("thinking")?)
        }
        "tool_use" => {
            block.nothing_but("caller", &[json!({"type": "direct"})])?;
            Block::ToolUse(ToolCall {
                id: block.required_text("id")?,
                name: block.required_text("name")?,
                arguments: match block.value("input") {
                    Some(input @ Value::Object(_)) => input.to_string(),
                    _ => return Err(block.invalid("input", "must be an object")),
                },
            })
        }
        "tool_result" => tool_result(&mut block)?,
        _ => {
            return Err(block.invalid(
                "type",
                "must be `text`, `image`, `thinking`, `tool_use` or `tool_result` here",
            ));
        }
    };
    block.end()?;
    Ok(read)
}

/// The address of an image.
fn image(block: &mut Object) -> Result<String, ApiError> {
    let Some(mut source) = block.object("source")? else {
        return Err(block.invalid("source", "is missing"));
    };
    let url = match source.required_text("type")?.as_str() {
        "url" => source.required_text("url")?,
        "base64" => {
            let media_type = source.required_text("media_type")?;
            let data = source.required_text("data")?;
            format!("data:{media_type};base64,{data}")
        }
        _ => return Err(source.invalid("type", "must be `base64` or `url`")),
    };
    source.end()?;
    Ok(url)
}

fn tool_result(block: &mut Object) -> Result<Block, ApiError> {
    let id = block.required_text("tool_use_id")?;
    let mut said = Speech::default();
    // A chat has no other place for it, and the model must learn that the call failed.
    if block.flag("is_error")? == Some(true) {
        said.text("Error: ".to_owned());
    }
    let at = block.path("content");
    let content = match block.value("content") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![(at, Block::Text(text))],
        Some(Value::Array(list)) => {
            let members = list
                .into_iter()
                .enumerate()
                .map(|(index, block)| match block {
                    Value::Object(members) => Ok(members),
                    _ => Err(block_is_no_object(&at, index)),
                });
            blocks(&at, Content::Blocks(members.collect::<Result<_, _>>()?))?
        }
        Some(_) => return Err(block.invalid("content", "must be a string or a list of blocks")),
    };
    for (at, block) in content {
        match block {
            Block::Text(text) => said.text(text),
            Block::Image(url) => said.image(&url, None),
            _ => return Err(misplaced(&at, "the result of a call")),
        }
    }
    Ok(Block::ToolResult { id, said })
}

fn block_is_no_object(at: &str, index: usize) -> ApiError {
    let at = format!("{at}[{index}]");
    ApiError::invalid(at.as_str(), format!("`{at}` must be an object"))
}

/// The refusal of a block that is not of its turn.
pub fn misplaced(at: &str, place: &str) -> ApiError {
    let message = format!("a block of this type cannot be in {place}");
    ApiError::invalid(format!("{at}.type"), message)
}
