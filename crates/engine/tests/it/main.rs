//! Tests against a real model, SmolLM2-135M-Instruct.

mod batching;
mod generation;
mod harness;
mod lifecycle;
mod logs;
mod logprobs;
mod prompt;
mod random;
mod sampling;
mod weights;
