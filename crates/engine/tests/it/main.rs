//! Tests against a real model, SmolLM2-135M-Instruct.

mod generation;
mod harness;
mod lifecycle;
mod logs;
mod prompt;
mod sampling;
mod weights;
