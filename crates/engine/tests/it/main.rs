//! Tests against a real model, SmolLM2-135M-Instruct.

mod generation;
mod harness;
mod lifecycle;
mod prompt;
mod sampling;
mod weights;
