//! Token counts of several generations as those of one request.

use fathom_proto::inference::{Delta, Piece, Usage};

/// The counts of each choice and of all. A prompt counts once, however often it is continued.
pub struct Counts {
    each: Vec<Usage>,
    per_prompt: usize,
    sum: Usage,
}

impl Counts {
    /// Of `choices` generations, of which `per_prompt` after one another have one prompt.
    pub fn new(choices: usize, per_prompt: usize) -> Self {
        Self {
            each: vec![Usage::default(); choices],
            per_prompt: per_prompt.max(1),
            sum: Usage::default(),
        }
    }

    /// How many generations are counted.
    pub fn choices(&self) -> usize {
        self.each.len()
    }

    /// Of the whole request, so far.
    pub fn sum(&self) -> Usage {
        self.sum
    }

    /// The prompt of a choice is accepted.
    pub fn begin(&mut self, choice: usize, prompt_tokens: u32, cached_tokens: u32) {
        let usage = Usage {
            prompt_tokens,
            cached_tokens,
            ..Usage::default()
        };
        self.set(choice, usage);
    }

    /// A choice goes on.
    pub fn delta(&mut self, choice: usize, delta: &Delta) {
        let Some(mut usage) = self.each.get(choice).copied() else {
            return;
        };
        usage.completion_tokens = usage.completion_tokens.saturating_add(delta.tokens);
        if let Piece::Reasoning(_) = delta.piece {
            usage.reasoning_tokens = usage.reasoning_tokens.saturating_add(delta.tokens);
        }
        self.set(choice, usage);
    }

    /// A choice is complete; these are its exact counts.
    pub fn finish(&mut self, choice: usize, usage: Usage) {
        self.set(choice, usage);
    }

    fn set(&mut self, choice: usize, usage: Usage) {
        let Some(known) = self.each.get_mut(choice) else {
            return;
        };
        let before = std::mem::replace(known, usage);
        let replace = |sum: &mut u32, before: u32, now: u32| {
            *sum = sum.saturating_sub(before).saturating_add(now);
        };
        let sum = &mut self.sum;
        if choice.is_multiple_of(self.per_prompt) {
            replace(
                &mut sum.prompt_tokens,
                before.prompt_tokens,
                usage.prompt_tokens,
            );
            replace(
                &mut sum.cached_tokens,
                before.cached_tokens,
                usage.cached_tokens,
            );
        }
        replace(
            &mut sum.completion_tokens,
            before.completion_tokens,
            usage.completion_tokens,
        );
        replace(
            &mut sum.reasoning_tokens,
            before.reasoning_tokens,
            usage.reasoning_tokens,
        );
    }
}
