use fathom_engine::{CallSyntax, Thinking, Token};

use super::*;

/// What a model says, a token each.
const THOUGHT: &[&str] = &[
    "<th", "ink>", "\nWho", " asks", "?", "</", "think", ">\n", "\n", "No", " < one", " <",
];
const CALLS: &[&str] = &[
    "Look",
    ".",
    "\n<tool",
    "_call>",
    "{\"name\": \"a\"",
    ", \"arguments",
    "\": {\"b\"",
    ": 1}}",
    "</tool_call>",
    "\n",
    "<tool_call>{\"name\": \"c\", \"arguments\": {}}</tool_call>",
    " ",
];
/// All that is there at once is Reasoning, text, and a call.
const AT_ONCE: &[&str] = &[
    "<think>a",
    "b</think>Well.<tool_call>{\"name\": \"a\", \"arguments\": {\"b\"",
    ": 2}}",
    "</tool",
    "_call>",
];

fn style() -> AnswerStyle {
    AnswerStyle {
        thinking: Thinking::Maybe,
        calls: Some(CallSyntax::Hermes),
    }
}

fn tokens(range: std::ops::Range<usize>) -> impl Iterator<Item = Token> {
    range.map(|token| Token(token as i32))
}

/// The engine's text events: those before the token `until`, as it sends `size` tokens at once and
/// was given so many.
fn texts(said: &[&str], size: usize, until: usize, given: usize) -> Vec<EngineEvent> {
    let chunks = said.chunks(size).enumerate();
    let chunks = chunks.take_while(|(index, chunk)| index * size + chunk.len() <= until);
    let events = chunks.map(|(index, chunk)| {
        let range = index * size..index * size + chunk.len();
        EngineEvent::Text {
            text: chunk.concat(),
            logprobs: tokens(range.start.max(given)..range.end)
                .map(|token| EngineLogprob {
                    bytes: vec![token.0 as u8],
                    logprob: None,
                    top: Vec::new(),
                })
                .collect(),
            tokens: tokens(range).collect(),
        }
    });
    events.collect()
}

/// The answer from the engine's events, of which those of the first `told` tokens were made
/// elsewhere.
fn answer(said: &[&str], size: usize, told: usize) -> Vec<Event> {
    let mut answer = Answer::new(style(), &"request".into(), told);
    let replayed = texts(said, size, told, told);
    let rest = texts(said, size, said.len(), told).split_off(replayed.len());
    let started = EngineEvent::Started {
        prompt_tokens: 3,
        cached_tokens: 0,
        replayed,
    };
    let finished = EngineEvent::Finished {
        reason: EngineFinish::Stop,
        prompt_tokens: 3,
        cached_tokens: 0,
        completion_tokens: said.len() as u32,
    };
    let events = [started].into_iter().chain(rest).chain([finished]);
    events.flat_map(|event| answer.read(event)).collect()
}

fn ids(events: &[Event]) -> Vec<u32> {
    let ids = events.iter().map(|event| match event {
        Event::Delta(delta) => {
            assert_eq!(delta.ids.len(), delta.tokens as usize);
            assert_eq!(delta.logprobs.len(), delta.ids.len());
            delta.ids.to_vec()
        }
        _ => Vec::new(),
    });
    ids.collect::<Vec<_>>().concat()
}

#[test]
fn whoever_has_the_pieces_up_to_a_token_gets_exactly_the_others() {
    for said in [THOUGHT, CALLS, AT_ONCE] {
        for size in 1..=4 {
            let whole = answer(said, size, 0);
            let all: Vec<u32> = (0..said.len() as u32).collect();
            assert_eq!(ids(&whole), all);
            for cut in 2..whole.len() {
                let tells = matches!(&whole[cut - 1], Event::Delta(delta) if delta.tokens > 0);
                let told = ids(&whole[..cut]).len();
                if tells {
                    let rest = answer(said, size, told);
                    assert_eq!(
                        rest[1..],
                        whole[cut..],
                        "{said:?}, {size} held, {told} told"
                    );
                }
            }
        }
    }
}

/// A piece that has no tokens of its own is told again by whoever goes on.
#[test]
fn pieces_without_tokens_belong_to_the_next_that_has_some() {
    let whole = answer(AT_ONCE, 1, 0);
    let told: Vec<_> = whole
        .iter()
        .filter_map(|event| match event {
            Event::Delta(delta) => Some(delta.tokens),
            _ => None,
        })
        .collect();
    assert!(told.contains(&0) && told.last() > Some(&0), "{told:?}");
    let rest = answer(AT_ONCE, 1, 1);
    let begins = told.iter().position(|&tokens| tokens > 0).unwrap() + 2;
    assert_eq!(rest[1..], whole[begins..]);
}

#[test]
fn any_number_of_tokens_is_gone_on_from_without_loss() {
    for said in [THOUGHT, CALLS, AT_ONCE] {
        let whole = answer(said, 3, 0);
        for told in 0..=said.len() {
            let rest = answer(said, 3, told);
            assert_eq!(ids(&rest), ids(&whole)[told..]);
            assert_eq!(rest.last(), whole.last());
        }
    }
}

#[test]
fn calls_are_named_by_the_request_and_what_is_before_them() {
    let names = |request: &str, said: &[&str]| -> Vec<String> {
        let mut answer = Answer::new(style(), &request.into(), 0);
        let events = texts(said, 1, said.len(), 0);
        let events = events.into_iter().flat_map(|event| answer.read(event));
        let name = |event| match event {
            Event::Delta(Delta {
                piece: Piece::ToolCall(call),
                ..
            }) => call.id,
            _ => None,
        };
        events.filter_map(name).collect()
    };
    let calls = names("request", CALLS);
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0], calls[1]);
    assert!(
        calls
            .iter()
            .all(|id| id.starts_with("call_") && id.len() == 29)
    );
    assert_eq!(calls, names("request", CALLS));
    assert_ne!(calls[0], names("other", CALLS)[0]);
    assert_ne!(calls[0], names("request", &CALLS[2..])[0]);
}
