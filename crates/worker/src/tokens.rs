//! How many tokens a request took, in `fathom_worker_tokens_total`.

use ::metrics::{Counter, counter};
use fathom_proto::id::ModelId;
use fathom_proto::inference::Event;

use crate::metrics;

/// Counts the tokens of one request: those generated as they come, and at its end, however it ends,
/// what was not told in time.
pub(crate) struct Tokens {
    prompt: Counter,
    /// What is known of the prompt so far: an upstream's beginning is an estimate.
    prompt_tokens: u32,
    completion: Counter,
    /// Generated tokens that are counted.
    completion_tokens: u32,
}

impl Tokens {
    /// Of a request to `model`, of which another worker has generated so many tokens.
    pub fn of(model: &ModelId, generated: usize) -> Self {
        let of =
            |kind| counter!(metrics::TOKENS_TOTAL, "model" => model.to_string(), "kind" => kind);
        Self {
            prompt: of("prompt"),
            prompt_tokens: 0,
            completion: of("completion"),
            completion_tokens: u32::try_from(generated).unwrap_or(u32::MAX),
        }
    }

    /// Counts an event. An upstream may tell the prompt's size at the end alone, and send several
    /// tokens in one piece; its last event makes up for that.
    pub fn count(&mut self, event: &Event) {
        match event {
            Event::Started { prompt_tokens, .. } => self.prompt_tokens = *prompt_tokens,
            Event::Delta(delta) => self.completion(delta.tokens),
            Event::Finished { usage, .. } => {
                self.prompt_tokens = usage.prompt_tokens;
                self.completion(
                    usage
                        .completion_tokens
                        .saturating_sub(self.completion_tokens),
                );
            }
        }
    }

    /// Notes tokens that were read and not answered with text.
    pub fn prompt(&mut self, tokens: u32) {
        self.prompt_tokens = tokens;
    }

    fn completion(&mut self, tokens: u32) {
        self.completion_tokens = self.completion_tokens.saturating_add(tokens);
        self.completion.increment(tokens.into());
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.prompt.increment(self.prompt_tokens.into());
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::inference::{Delta, FinishReason, Piece, TokenIds, Usage};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn started(prompt_tokens: u32) -> Event {
        Event::Started {
            prompt_tokens,
            cached_tokens: 0,
            fingerprint: None,
            route: None,
        }
    }

    fn piece() -> Event {
        Event::Delta(Delta {
            piece: Piece::Text("of several tokens".to_owned()),
            tokens: 1,
            logprobs: Vec::new(),
            ids: TokenIds::new(),
        })
    }

    fn finished(prompt_tokens: u32, completion_tokens: u32) -> Event {
        Event::Finished {
            reason: FinishReason::Stop,
            usage: Usage {
                prompt_tokens,
                completion_tokens,
                ..Usage::default()
            },
        }
    }

    /// What the metric says after `events` of one request, of which `begun` tokens were generated
    /// elsewhere: prompt, completion.
    fn counted(events: &[Event], begun: usize) -> [u64; 2] {
        let recorder = PrometheusBuilder::new().build_recorder();
        ::metrics::with_local_recorder(&recorder, || {
            let mut tokens = Tokens::of(&"m".into(), begun);
            events.iter().for_each(|event| tokens.count(event));
        });
        let text = recorder.handle().render();
        ["prompt", "completion"].map(|kind| {
            let line = format!("{}{{model=\"m\",kind=\"{kind}\"}} ", metrics::TOKENS_TOTAL);
            let value = text.lines().find_map(|row| row.strip_prefix(&line));
            value.unwrap().parse().unwrap()
        })
    }

    #[test]
    fn what_is_told_at_the_end_alone_counts_and_nothing_counts_twice() {
        let upstream = [started(0), piece(), piece(), finished(7, 5)];
        assert_eq!(counted(&upstream, 0), [7, 5]);
        let estimated = [started(9), piece(), finished(7, 5)];
        assert_eq!(counted(&estimated, 0), [7, 5]);
        let local = [started(7), piece(), piece(), finished(7, 2)];
        assert_eq!(counted(&local, 0), [7, 2]);
    }

    #[test]
    fn a_text_that_is_given_up_counts_as_far_as_it_came() {
        assert_eq!(counted(&[started(7), piece()], 0), [7, 1]);
    }

    #[test]
    fn what_another_worker_generated_is_not_counted_again() {
        let rest = [started(7), piece(), finished(7, 5)];
        assert_eq!(counted(&rest, 4), [7, 1]);
    }
}
