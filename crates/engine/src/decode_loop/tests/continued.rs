//! Texts that go on from what another engine generated of them.

use super::*;
use crate::TokenLogprob;

/// A model that says one text: token 1 has the first of these pieces, token 2 the second.
#[derive(Clone, Copy)]
struct Script(&'static [&'static [u8]]);

/// Tokens of the prompt.
const PROMPT: usize = 3;

impl Script {
    fn tokens(self) -> Vec<Token> {
        (1..=self.0.len()).map(|id| Token(id as i32)).collect()
    }
}

impl Model for Script {
    type Context = Vec<Vec<f32>>;

    fn open(&self) -> std::result::Result<Self::Context, LoadError> {
        Ok(Vec::new())
    }

    fn decode(
        &self,
        context: &mut Self::Context,
        plan: &Plan,
    ) -> std::result::Result<(), EngineError> {
        context.clear();
        context.extend(plan.rows.iter().map(|row| {
            let mut logits = vec![0.0; self.0.len() + 1];
            let next = (row.position + 1).saturating_sub(PROMPT) + 1;
            logits[next % (self.0.len() + 1)] = 1.0;
            logits
        }));
        Ok(())
    }

    fn logits<'c>(&self, context: &'c Self::Context, row: usize) -> &'c [f32] {
        &context[row]
    }

    fn vocabulary(&self) -> i32 {
        self.0.len() as i32 + 1
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        match token {
            END => Vec::new(),
            Token(id) => self.0[id as usize - 1].to_vec(),
        }
    }

    fn control_piece(&self, token: Token) -> Vec<u8> {
        self.piece(token)
    }

    fn ends_text(&self, token: Token) -> bool {
        token == END
    }
}

/// A job that says the script, as far as so many tokens and this stop string let it.
fn job(max_tokens: u32, stop: &str, generated: &[Token]) -> Job {
    Job {
        prompt: vec![Token(1); PROMPT],
        generated: generated.to_vec(),
        partition: "tenant".into(),
        max_tokens,
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        stop: vec![stop.to_owned()],
        logprobs: Some(2),
        echo: true,
        constraint: None,
        visible_controls: Arc::default(),
        held: None,
    }
}

/// The events of a job, and how many cycles it took.
fn run(script: Script, mut job: Job) -> Result<(Vec<Event>, usize)> {
    let load = LoadCounts::new(1, 64, 256);
    let scheduler = Scheduler::new(Limits {
        slots: 1,
        remembered: 0,
        max_wait: LIMIT,
        prefill_chunk: 16,
        reuse: true,
    });
    let mut decode_loop = DecodeLoop::new(script, Vec::new(), scheduler, load.clone());
    let (outbox, mut generation) = Outbox::open(LIMIT)?;
    let generator = Generator::new(&script, &mut job, 256)?;
    let mut prompt = job.prompt;
    prompt.append(&mut job.generated);
    decode_loop.submit(Task {
        request: Request {
            partition: job.partition,
            prompt,
            every_logits: false,
            submitted: Instant::now(),
        },
        generator,
        outbox,
        seat: load.seat().ok_or("busy")?,
    });
    let (mut plan, mut events) = (Plan::default(), Vec::new());
    for cycle in 1..100 {
        decode_loop.cycle(Instant::now(), &mut plan);
        while let Some(event) = generation.next().now_or_never().flatten() {
            events.push(event?);
        }
        if let Some(Event::Finished { .. }) = events.last() {
            return Ok((events, cycle));
        }
    }
    Err("not finished".into())
}

/// What is told of a text, without the prompt.
#[derive(Default, PartialEq)]
struct Told {
    text: String,
    tokens: Vec<Token>,
    logprobs: Vec<TokenLogprob>,
}

impl Told {
    fn of(events: &[Event]) -> Self {
        let mut told = Self::default();
        for event in events {
            if let Event::Text {
                text,
                tokens,
                logprobs,
            } = event
                && !tokens.is_empty()
            {
                told.text.push_str(text);
                told.tokens.extend(tokens.iter().copied());
                told.logprobs.extend(logprobs.iter().cloned());
            }
        }
        told
    }
}

fn replayed(events: &[Event]) -> &[Event] {
    match events.first() {
        Some(Event::Started { replayed, .. }) => replayed,
        _ => &[],
    }
}

/// Characters of several tokens, beginnings of a stop string, and a token without text.
const SCRIPT: Script = Script(&[
    b"Caf",
    b"\xC3",
    b"\xA9 ",
    b"E",
    b"N",
    b"d \xE2",
    b"\x82",
    b"\xAC",
    b"",
    b" EN",
    b"D after",
    b"wards \xF0\x9F",
]);

/// The limits and stop strings that the script is cut short with.
const ENDS: [(u32, &str); 5] = [(50, ""), (50, "END"), (8, "END"), (7, "END"), (50, "wards")];

#[test]
fn a_text_that_is_cut_anywhere_goes_on_the_same() -> Result {
    for (max_tokens, stop) in ENDS {
        let whole = run(SCRIPT, job(max_tokens, stop, &[]))?.0;
        let told = Told::of(&whole);
        let known = told.tokens.len();
        for cut in 1..=known {
            let rest = run(SCRIPT, job(max_tokens, stop, &told.tokens[..cut]))?.0;
            let before = Told::of(replayed(&rest));
            let after = Told::of(&rest);
            let case = format!("{cut} tokens of {max_tokens} before {stop:?}");
            assert_eq!(before.text + &after.text, told.text, "{case}");
            assert_eq!(
                [before.tokens, after.tokens].concat(),
                told.tokens,
                "{case}"
            );
            assert!(after.logprobs == told.logprobs[cut..], "{case}");
            assert!(rest.last() == whole.last(), "{case}");
        }
    }
    Ok(())
}

/// Whoever has some of the events gets exactly the others.
#[test]
fn a_text_goes_on_with_the_very_event_that_is_missing() -> Result {
    for (max_tokens, stop) in ENDS {
        let whole = run(SCRIPT, job(max_tokens, stop, &[]))?.0;
        for cut in 3..whole.len() - 1 {
            let tokens = Told::of(&whole[..cut]).tokens;
            let rest = run(SCRIPT, job(max_tokens, stop, &tokens))?.0;
            assert!(rest[1..] == whole[cut..], "{cut} of {max_tokens}, {stop:?}");
            assert!(replayed(&rest) == without_logprobs(&whole[2..cut]));
        }
    }
    Ok(())
}

fn without_logprobs(events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in &mut events {
        if let Event::Text { logprobs, .. } = event {
            logprobs.clear();
        }
    }
    events
}

#[test]
fn a_text_that_is_complete_ends_without_being_read() -> Result {
    for (generated, stop, reason) in [
        (8, "END", FinishReason::Length),
        (8, "\u{20ac}", FinishReason::StopString(0)),
    ] {
        let tokens = &SCRIPT.tokens()[..generated];
        let (events, cycles) = run(SCRIPT, job(8, stop, tokens))?;
        assert_eq!(cycles, 1);
        assert!(matches!(
            events.last(),
            Some(Event::Finished { reason: ended, prompt_tokens: 3, cached_tokens: 0, completion_tokens: 8 })
                if *ended == reason
        ));
    }
    Ok(())
}

#[test]
fn tokens_that_cannot_be_of_the_text_are_refused_by_place() {
    let tokens = SCRIPT.tokens();
    for (generated, max_tokens, stop, place) in [
        (vec![tokens[0], Token(99)], 50, "", 1),
        (vec![Token(-1)], 50, "", 0),
        (vec![tokens[0], END], 50, "", 1),
        (tokens.clone(), 5, "", 5),
        (tokens.clone(), 0, "", 0),
        (tokens, 50, "END", 11),
    ] {
        let refused = Generator::new(&SCRIPT, &mut job(max_tokens, stop, &generated), 256).err();
        assert!(
            matches!(refused, Some(EngineError::Generated { index, .. }) if index == place),
            "{refused:?}"
        );
    }
}
