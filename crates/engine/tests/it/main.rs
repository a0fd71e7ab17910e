//! Tests against a real model, SmolLM2-135M-Instruct.

mod batching;
mod constraint;
mod continuation;
mod embedder;
mod generation;
mod harness;
mod inspect;
mod lifecycle;
mod logprobs;
mod logs;
mod prompt;
mod python;
mod random;
mod sampling;
mod schemas;
mod tokenizer;
mod tools;
mod weights;
