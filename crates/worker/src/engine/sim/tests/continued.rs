//! Answers that go on from what another worker generated of them.

use super::*;

async fn events(sim: &Sim, request: GenerateRequest) -> Vec<Event> {
    let stream = sim.generate(request, context()).await.unwrap();
    stream.map(Result::unwrap).collect().await
}

fn ids(events: &[Event]) -> Vec<u32> {
    let ids = events.iter().map(|event| match event {
        Event::Delta(delta) => {
            assert_eq!(delta.ids.len(), delta.tokens as usize);
            delta.ids.to_vec()
        }
        _ => Vec::new(),
    });
    ids.collect::<Vec<_>>().concat()
}

fn logprobs(events: &[Event]) -> usize {
    let logprobs = events.iter().map(|event| match event {
        Event::Delta(delta) => delta.logprobs.len(),
        _ => 0,
    });
    logprobs.sum()
}

fn spoken(events: &[Event]) -> String {
    let texts = events.iter().map(|event| match event {
        Event::Delta(delta) => said(delta),
        _ => "",
    });
    texts.collect()
}

/// Requests of all kinds, for texts of 32 words at most.
fn requests(seed: u64) -> Vec<GenerateRequest> {
    let turn = ChatMessage::new(ChatRole::User, "tell me");
    let asked = |prompt| GenerateRequest {
        sampling: Sampling {
            seed: Some(seed),
            ..Sampling::default()
        },
        logprobs: Some(2),
        ..request(prompt)
    };
    let plain = asked(Prompt::Text("once upon".to_owned()));
    vec![
        asked(Prompt::Chat(vec![turn])),
        asked(Prompt::Tokens(vec![7, 8])),
        GenerateRequest {
            max_tokens: Some(9),
            ..plain.clone()
        },
        GenerateRequest {
            stop: vec![
                " the river under".to_owned(),
                "old stones and the".to_owned(),
            ],
            ..plain.clone()
        },
        plain,
    ]
}

#[tokio::test]
async fn from_any_token_on_the_rest_is_the_same() {
    let sim = sim(SimConfig::default());
    for seed in 0..8 {
        for mut asked in requests(seed) {
            let whole = events(&sim, asked.clone()).await;
            let words = spoken(&whole);
            // Its own third and fourth word end it, and are held back before that.
            let third = words.split(' ').filter(|word| !word.is_empty()).skip(2);
            let stop: Vec<_> = third.take(2).collect();
            for stops in [
                vec![],
                vec![stop.join(" ")],
                vec![format!("{}x", stop.join(" "))],
            ] {
                asked.stop.extend(stops);
                let whole = events(&sim, asked.clone()).await;
                let told = ids(&whole);
                for cut in 1..=told.len() {
                    let generated = told[..cut].to_vec();
                    let asked = GenerateRequest {
                        generated,
                        ..asked.clone()
                    };
                    let rest = events(&sim, asked).await;
                    assert_eq!(rest[0], whole[0]);
                    assert_eq!(rest.last(), whole.last(), "seed {seed}, {cut} before");
                    assert_eq!(ids(&rest), told[cut..], "seed {seed}, {cut} before");
                    assert_eq!(logprobs(&rest), told.len() - cut);
                    let known = |&end: &usize| {
                        let told = ids(&whole[..end]).len();
                        told <= cut && told > ids(&whole[..end - 1]).len()
                    };
                    let known = (1..whole.len()).rev().find(known).unwrap_or(1);
                    let missing = spoken(&whole[known..]);
                    assert_eq!(spoken(&rest), missing, "seed {seed}, {cut} before");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_prompt_is_not_echoed_again() {
    let sim = sim(SimConfig::default());
    let asked = GenerateRequest {
        echo: true,
        ..text("once upon")
    };
    let whole = events(&sim, asked.clone()).await;
    let rest = GenerateRequest {
        generated: ids(&whole)[..4].to_vec(),
        ..asked
    };
    assert_eq!(events(&sim, rest).await[1..], whole[6..]);
}

#[tokio::test]
async fn a_fault_has_its_place_in_the_whole_answer() {
    let sim = sim(SimConfig::default());
    let told = ids(&events(&sim, text("hi")).await);
    for (after, begun, comes) in [(8, 3, Some(5)), (3, 3, None), (3, 8, None), (0, 3, Some(0))] {
        let asked = GenerateRequest {
            generated: told[..begun].to_vec(),
            extra: Some(Json(format!(
                r#"{{"sim": {{"kind": "cut", "after": {after}}}}}"#
            ))),
            ..text("hi")
        };
        let rest = events(&sim, asked).await;
        let is_cut = !matches!(rest.last(), Some(Event::Finished { .. }));
        assert_eq!(
            is_cut.then(|| ids(&rest).len()),
            comes,
            "{after} of {begun}"
        );
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_of_the_answer_are_refused() {
    let sim = sim(SimConfig {
        context_length: 8,
        ..SimConfig::default()
    });
    for (generated, max_tokens) in [(vec![32], None), (vec![1; 3], Some(2)), (vec![1; 8], None)] {
        let asked = GenerateRequest {
            generated,
            max_tokens,
            ..text("hi")
        };
        let error = PublicError::from(sim.generate(asked, context()).await.err().unwrap());
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some("generated"));
        assert_eq!(sim.load().running, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_said_elsewhere_takes_no_time() {
    let sim = sim(SimConfig {
        ttft: Duration::from_millis(50),
        inter_token: Duration::from_millis(10),
        ..SimConfig::default()
    });
    let generated = ids(&events(&sim, text("go")).await)[..30].to_vec();
    let begun = Instant::now();
    let asked = GenerateRequest {
        generated,
        ..text("go")
    };
    events(&sim, asked).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(60));
}
