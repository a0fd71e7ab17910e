//! Answers that a JSON Schema shapes.

use fathom_engine::{
    AnswerStyle, ConstraintError, FinishReason, Form, Sampling, TextForm, Thinking,
};
use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::harness::{Result, engine, finish, job, weights};
use crate::python;

/// Schemas that are tried.
const SCHEMAS: usize = 200;
/// Tokens that an answer may have; most schemas need a third of them.
const MAX_TOKENS: u32 = 48;
/// Answers that are generated at a time.
const AT_ONCE: usize = 8;
/// Fewest answers that must be complete.
const ENOUGH: usize = 80;

fn form(schema: &Value) -> Form {
    Form {
        style: AnswerStyle {
            thinking: Thinking::Never,
            calls: None,
        },
        text: TextForm::JsonSchema(schema.to_string()),
        calls: None,
    }
}

/// How an answer came out.
enum Came {
    Finished(Value, String),
    CutShort,
    Refused(String),
}

async fn ask(engine: &fathom_engine::Engine, number: usize, schema: Value) -> Result<Came> {
    let weights = weights()?;
    let wanted = form(&schema);
    let constraint = match spawn_blocking(move || weights.constrain(&wanted)).await? {
        Ok(constraint) => constraint,
        Err(ConstraintError::Schema { problem }) => return Ok(Came::Refused(problem)),
        Err(error) => return Err(error.into()),
    };
    let mut job = job("Make up some data. Answer in JSON.", MAX_TOKENS)?;
    job.constraint = Some(constraint);
    job.sampling = Sampling {
        temperature: 0.9,
        seed: Some(number as u64),
        ..Sampling::default()
    };
    let generation = engine.submit(job)?;
    let outcome = finish(generation).await?;
    Ok(match outcome.reason {
        FinishReason::Stop | FinishReason::StopString(_) => Came::Finished(schema, outcome.text),
        FinishReason::Length => Came::CutShort,
    })
}

/// By a validator that is not ours.
#[tokio::test]
async fn every_finished_answer_validates() -> Result {
    let schemas = python::run(
        "schemas.py",
        &["generate", &SCHEMAS.to_string()],
        &Value::Null,
    )?;
    let schemas = schemas.as_array().ok_or("no list")?.clone();
    let engine = engine().await?;
    let outcomes: Vec<_> = stream::iter(schemas.into_iter().enumerate())
        .map(|(number, schema)| ask(&engine, number, schema))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let (mut finished, mut cut, mut refused) = (Vec::new(), 0, Vec::new());
    for outcome in outcomes {
        match outcome? {
            Came::Finished(schema, text) => finished.push(json!([schema, text])),
            Came::CutShort => cut += 1,
            Came::Refused(problem) => refused.push(problem),
        }
    }
    println!(
        "{} finished, {cut} ran out of {MAX_TOKENS} tokens, {} refused",
        finished.len(),
        refused.len()
    );
    let count = finished.len();
    let wrong = python::run("schemas.py", &["validate"], &Value::Array(finished))?;
    assert_eq!(wrong, json!([]));
    assert!(count >= ENOUGH, "{count} finished; refused: {refused:#?}");
    Ok(())
}
