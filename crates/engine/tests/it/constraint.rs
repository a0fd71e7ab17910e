//! What answers can be made to be.

use std::time::{Duration, Instant};

use fathom_engine::{
    AnswerStyle, CallForm, CallSyntax, CallableFunction, ConstraintError, FinishReason, Form,
    Sampling, TextForm, Thinking,
};
use serde_json::{Value, json};

use crate::harness::{Result, engine, job, run, weights};

/// Longer than any form may take to compile or to be refused, in a debug build
/// on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

fn form(text: TextForm) -> Form {
    Form {
        style: AnswerStyle {
            thinking: Thinking::Never,
            calls: Some(CallSyntax::Hermes),
        },
        text,
        calls: None,
    }
}

fn schema(schema: &Value) -> Form {
    form(TextForm::JsonSchema(schema.to_string()))
}

fn refusal(form: &Form) -> Result<ConstraintError> {
    Ok(weights()?.constrain(form).err().ok_or("compiled")?)
}

#[tokio::test]
async fn a_json_object_parses() -> Result {
    let engine = engine().await?;
    let mut finished = 0;
    for seed in 0..6 {
        let mut job = job("Describe a cat as JSON with two short fields.", 80)?;
        job.constraint = Some(weights()?.constrain(&form(TextForm::JsonObject))?);
        job.sampling = Sampling {
            seed: Some(seed),
            ..Sampling::default()
        };
        let outcome = run(&engine, job).await?;
        if outcome.reason == FinishReason::Stop {
            let value: Value = serde_json::from_str(&outcome.text)?;
            assert!(value.is_object());
            finished += 1;
        }
        assert!(outcome.text.starts_with('{'), "{}", outcome.text);
    }
    println!("{finished} of 6 finished");
    assert!(finished > 0);
    Ok(())
}

#[tokio::test]
async fn thoughts_come_before_what_the_schema_asks_for() -> Result {
    let engine = engine().await?;
    let style = AnswerStyle {
        thinking: Thinking::Begun,
        calls: None,
    };
    let form = Form {
        style,
        ..schema(&json!({ "enum": ["yes", "no"] }))
    };
    let mut job = job("Is water wet? Think, write </think>, then answer.", 60)?;
    job.constraint = Some(weights()?.constrain(&form)?);
    // The model does not think of its own accord: only the tag's beginning is
    // as good as certain, and no sampling makes it twice.
    let weights = weights()?;
    let close = weights.tokenize("</think>")?;
    let steps = (0..).map(|step| 90.0 - 20.0 * step as f32);
    job.sampling.logit_bias = close.iter().copied().zip(steps).collect();
    job.sampling.presence_penalty = 100.0;
    let outcome = run(&engine, job).await?;
    let (_, answer) = outcome
        .text
        .split_once("</think>")
        .ok_or(outcome.text.as_str())?;
    assert!(
        ["\"yes\"", "\"no\""].contains(&answer.trim()),
        "{}",
        outcome.text
    );
    Ok(())
}

#[test]
fn what_cannot_be_enforced_is_refused_by_name() -> Result {
    for (wrong, word) in [
        (json!({ "not": { "type": "string" } }), "not"),
        (
            json!({ "type": "string", "minLength": 5, "maxLength": 2 }),
            "minLength",
        ),
        (
            json!({ "$ref": "https://example.com/schema.json" }),
            "example.com",
        ),
        (json!(false), "nothing"),
        (json!([1]), "object"),
        (json!({ "type": "strin" }), "strin"),
    ] {
        let ConstraintError::Schema { problem } = refusal(&schema(&wrong))? else {
            return Err("another error".into());
        };
        assert!(problem.contains(word), "{wrong}: {problem}");
    }
    let cut = form(TextForm::JsonSchema("{\"type\":".into()));
    assert!(matches!(refusal(&cut)?, ConstraintError::Schema { .. }));
    Ok(())
}

#[test]
fn the_function_at_fault_is_named() -> Result {
    let function = |parameters: Value| CallableFunction {
        name: "f".into(),
        parameters: parameters.to_string(),
    };
    let calls = CallForm {
        functions: vec![
            function(json!({ "type": "object" })),
            function(json!({ "properties": { "a": { "not": {} } } })),
        ],
        required: true,
        parallel: true,
    };
    let form = Form {
        calls: Some(calls),
        ..form(TextForm::Free)
    };
    assert!(matches!(
        refusal(&form)?,
        ConstraintError::Parameters { function: 1, .. }
    ));
    Ok(())
}

#[test]
fn callers_do_not_set_the_compilers_options() -> Result {
    let lenient = json!({ "not": {}, "x-guidance": { "lenient": true } });
    assert!(matches!(
        refusal(&schema(&lenient))?,
        ConstraintError::Schema { .. }
    ));
    Ok(())
}

/// SEC-53.
#[test]
fn a_catastrophic_schema_takes_bounded_time() -> Result {
    let any_of = |count: usize| -> Value {
        (0..count)
            .map(|number| json!({ "properties": { format!("p{number}"): { "const": number } } }))
            .collect()
    };
    let nested = (0..60).fold(json!({}), |inner, _| json!({ "items": inner }));
    let doubling = (0..60).fold(
        json!({ "type": "integer" }),
        |inner, _| json!({ "anyOf": [inner], "allOf": [{ "anyOf": [true, false] }] }),
    );
    let wide = |count: usize| -> Value {
        (0..count)
            .map(|number| (format!("property_{number}"), json!({ "type": "string" })))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    for (name, bad) in [
        (
            "alternatives",
            json!({ "allOf": vec![json!({ "anyOf": any_of(20) }); 10] }),
        ),
        ("depth", nested),
        ("doubling", doubling),
        (
            "width",
            json!({ "type": "object", "properties": wide(1000) }),
        ),
        (
            "more width",
            json!({ "type": "object", "properties": wide(5000) }),
        ),
        (
            "repetition",
            json!({ "type": "string", "pattern": "^((a{1,1000}){1,1000}){1,1000}$" }),
        ),
        (
            "length",
            json!({ "type": "string", "minLength": 1_000_000 }),
        ),
        ("items", json!({ "type": "array", "minItems": 1_000_000 })),
        (
            "backtracking",
            json!({ "type": "string", "pattern": "^(a|aa|a*)*b(.*)*\\d{500}$" }),
        ),
        (
            "lookahead",
            json!({ "type": "string", "pattern": "^(?=a)(?!b).*$" }),
        ),
        ("recursion", json!({ "$ref": "#" })),
        (
            "mutual",
            json!({ "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/a" }, { "type": "object" }] } }, "$ref": "#/$defs/a" }),
        ),
        ("enum", json!({ "enum": (0..40_000).collect::<Vec<_>>() })),
    ] {
        let since = Instant::now();
        let refused = weights()?.constrain(&schema(&bad)).err();
        let took = since.elapsed();
        println!(
            "{name}: {took:?} {}",
            refused.map_or("compiled".into(), |error| error.to_string())
        );
        assert!(took < BOUND, "{name} took {took:?}");
    }
    Ok(())
}
