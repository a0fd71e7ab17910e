use proptest::prelude::*;

use super::*;

const PLAIN: AnswerStyle = AnswerStyle {
    thinking: Thinking::Never,
    calls: None,
};

fn style(thinking: Thinking, calls: Option<CallSyntax>) -> AnswerStyle {
    AnswerStyle { thinking, calls }
}

/// The parts of an answer in sum: parts of one kind that follow one another
/// are one.
fn read<'a>(style: AnswerStyle, pieces: impl IntoIterator<Item = &'a str>) -> Vec<AnswerPiece> {
    use AnswerPiece::{Arguments, Reasoning, Text};
    let mut parser = AnswerParser::new(style);
    let mut parts: Vec<_> = pieces
        .into_iter()
        .flat_map(|piece| parser.push(piece))
        .collect();
    parts.extend(parser.finish());
    let mut sum: Vec<AnswerPiece> = Vec::new();
    for part in parts {
        match (sum.last_mut(), part) {
            (Some(Reasoning(sum)), Reasoning(more))
            | (Some(Text(sum)), Text(more))
            | (Some(Arguments { text: sum, .. }), Arguments { text: more, .. }) => {
                sum.push_str(&more);
            }
            (_, part) => sum.push(part),
        }
    }
    sum
}

fn text(text: &str) -> AnswerPiece {
    AnswerPiece::Text(text.to_owned())
}

fn reasoning(text: &str) -> AnswerPiece {
    AnswerPiece::Reasoning(text.to_owned())
}

fn call(index: u32, name: &str, arguments: &str) -> [AnswerPiece; 2] {
    let (name, text) = (name.to_owned(), arguments.to_owned());
    [
        AnswerPiece::Call { index, name },
        AnswerPiece::Arguments { index, text },
    ]
}

#[test]
fn plain_text_goes_through_as_it_is() {
    let answer = "a <think>b</think> <tool_call>{} ";
    assert_eq!(read(PLAIN, [answer]), [text(answer)]);
    assert_eq!(AnswerParser::new(PLAIN).push("<"), [text("<")]);
}

#[test]
fn thoughts_are_split_off() {
    let begun = style(Thinking::Begun, None);
    assert_eq!(
        read(begun, ["\nLet me < see\n\n</think>\n\nFour. "]),
        [reasoning("Let me < see"), text("Four. ")]
    );
    assert_eq!(
        read(begun, ["cut short</thi"]),
        [reasoning("cut short</thi")]
    );
    let maybe = style(Thinking::Maybe, None);
    assert_eq!(
        read(maybe, ["<think>\nhm\n</think>\n4"]),
        [reasoning("hm"), text("4")]
    );
    assert_eq!(read(maybe, ["<think>\n\n</think>\n\n4"]), [text("4")]);
    assert_eq!(read(maybe, ["So <think>"]), [text("So <think>")]);
    assert_eq!(read(maybe, [" <thin"]), [text(" <thin")]);
}

#[test]
fn text_is_held_back_only_as_long_as_it_may_be_a_tag() {
    let mut parser = AnswerParser::new(style(Thinking::Begun, None));
    assert_eq!(parser.push("a </thi"), [reasoning("a")]);
    assert_eq!(parser.push("s b"), [reasoning(" </this b")]);
    let mut parser = AnswerParser::new(style(Thinking::Never, Some(CallSyntax::Hermes)));
    assert_eq!(parser.push("a <tool_"), [text("a")]);
    assert_eq!(parser.push("box>"), [text(" <tool_box>")]);
}

#[test]
fn arguments_stream_as_they_come() {
    let mut parser = AnswerParser::new(style(Thinking::Never, Some(CallSyntax::Hermes)));
    assert_eq!(parser.push("<tool_call>\n{\"name\": \"f\", \"argum"), []);
    let [begun, _] = call(0, "f", "");
    assert_eq!(
        parser.push("ents\": {\"a"),
        [begun, call(0, "f", "{\"a").remove_last()]
    );
    assert_eq!(
        parser.push("\": 1}"),
        [call(0, "f", "\": 1}").remove_last()]
    );
    assert_eq!(parser.push("}\n</tool_call>"), []);
    assert_eq!(parser.finish(), []);
    assert!(parser.called());
}

trait RemoveLast {
    fn remove_last(self) -> AnswerPiece;
}

impl RemoveLast for [AnswerPiece; 2] {
    fn remove_last(self) -> AnswerPiece {
        let [_, last] = self;
        last
    }
}

/// Two calls with text before them, in every syntax that allows it.
const ANSWERS: [(CallSyntax, &str); 4] = [
    (
        CallSyntax::Hermes,
        "Let me look.\n<tool_call>\n{\"name\": \"get\", \"arguments\": {\"a\": \"}\\\"\"}}\n</tool_call>\n\
         <tool_call>{\"arguments\": {\"b\": [1, 2]}, \"name\": \"put\"}</tool_call>\n",
    ),
    (
        CallSyntax::Mistral,
        "Let me look.[TOOL_CALLS][{\"name\": \"get\", \"arguments\": {\"a\": \"}\\\"\"}}, \
         {\"name\": \"put\", \"arguments\": {\"b\": [1, 2]}, \"id\": \"x\"}]",
    ),
    (
        CallSyntax::DeepSeek,
        "Let me look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n\
         {\"a\": \"}\\\"\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>put\n```json\n\
         {\"b\": [1, 2]}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    (
        CallSyntax::DeepSeekPlain,
        "Let me look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{\"a\": \"}\\\"\"}\
         <｜tool▁call▁end｜><｜tool▁call▁begin｜>put<｜tool▁sep｜>{\"b\": [1, 2]}<｜tool▁call▁end｜>\
         <｜tool▁calls▁end｜>",
    ),
];

#[test]
fn calls_of_every_syntax_are_read() {
    let [get, first] = call(0, "get", "{\"a\": \"}\\\"\"}");
    let [put, second] = call(1, "put", "{\"b\": [1, 2]}");
    for (syntax, answer) in ANSWERS {
        assert_eq!(
            read(style(Thinking::Never, Some(syntax)), [answer]),
            [
                text("Let me look."),
                get.clone(),
                first.clone(),
                put.clone(),
                second.clone()
            ],
            "{syntax:?}"
        );
    }
}

#[test]
fn a_llama_call_is_the_whole_answer() {
    let llama = style(Thinking::Never, Some(CallSyntax::Llama));
    for answer in [
        "{\"name\": \"get\", \"parameters\": {\"a\": 1}}",
        "<|python_tag|>{\"type\": \"function\", \"name\": \"get\", \"parameters\": {\"a\": 1}}\n",
    ] {
        assert_eq!(read(llama, [answer]), call(0, "get", "{\"a\": 1}"));
    }
    for answer in [
        "{\"a\": 1}",
        "Say {\"name\": \"get\", \"parameters\": {}}",
        "{",
        " <b>",
    ] {
        assert_eq!(read(llama, [answer]), [text(answer)]);
    }
}

#[test]
fn what_is_no_call_stays_text() {
    for (syntax, answer) in [
        (
            CallSyntax::Hermes,
            "a \n<tool_call> nothing <tool_call>\n[]</tool_call> b ",
        ),
        (CallSyntax::Hermes, "a <tool_call>{\"name\": \"cut"),
        (CallSyntax::Mistral, "[TOOL_CALLS] are [1, 2]"),
        (
            CallSyntax::DeepSeek,
            "<｜tool▁calls▁begin｜>x<｜tool▁call▁begin｜>",
        ),
    ] {
        assert_eq!(
            read(style(Thinking::Never, Some(syntax)), [answer]),
            [text(answer)]
        );
    }
}

#[test]
fn arguments_cut_short_are_told_as_far_as_they_came() {
    let cut = "<tool_call>\n{\"name\": \"get\", \"arguments\": {\"a\": \"b";
    let hermes = style(Thinking::Never, Some(CallSyntax::Hermes));
    assert_eq!(read(hermes, [cut]), call(0, "get", "{\"a\": \"b"));
}

/// Fragments that an answer, well-formed or not, is put together from.
const FRAGMENTS: [&str; 22] = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "[TOOL_CALLS]",
    "[",
    "]",
    ", ",
    "{\"name\": \"f\", \"arguments\": ",
    "{\"name\": \"f\", \"parameters\": ",
    "{\"a\": \"}\"}",
    "}",
    "\n",
    " ",
    "é",
    "<",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "function<｜tool▁sep｜>f\n```json\n",
    "\n```",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
];

fn any_style() -> impl Strategy<Value = AnswerStyle> {
    let thinking = prop::sample::select(vec![Thinking::Never, Thinking::Maybe, Thinking::Begun]);
    let calls = prop::sample::select(vec![
        None,
        Some(CallSyntax::Hermes),
        Some(CallSyntax::Mistral),
        Some(CallSyntax::Llama),
        Some(CallSyntax::DeepSeek),
        Some(CallSyntax::DeepSeekPlain),
    ]);
    (thinking, calls).prop_map(|(thinking, calls)| style(thinking, calls))
}

fn any_answer() -> impl Strategy<Value = String> {
    let well_formed = prop::sample::select(ANSWERS.map(|(_, answer)| answer.to_owned()).to_vec());
    let fragments = prop::collection::vec(prop::sample::select(FRAGMENTS.to_vec()), 0..14);
    prop_oneof![
        well_formed,
        fragments.prop_map(|fragments| fragments.concat())
    ]
}

proptest! {
    #[test]
    fn the_cut_makes_no_difference(
        style in any_style(),
        answer in any_answer(),
        cuts in prop::collection::vec(1usize..9, 1..40),
    ) {
        let mut pieces = Vec::new();
        let mut rest = answer.as_str();
        for cut in cuts.iter().cycle() {
            let Some((end, _)) = rest.char_indices().nth(*cut) else {
                break;
            };
            let (piece, after) = rest.split_at(end);
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(read(style, pieces), read(style, [answer.as_str()]));
    }
}
