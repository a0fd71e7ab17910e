//! How many tokens a request took, in `fathom_worker_tokens_total`.

use ::metrics::{Counter, counter};
use fathom_proto::id::ModelId;
use fathom_proto::inference::Event;

use crate::metrics;

/// Counts the tokens of one request as they come, and what was not told in time at its end.
pub(crate) struct Tokens {
    prompt: Kind,
    completion: Kind,
}

/// Tokens of one kind.
struct Kind {
    counter: Counter,
    /// What this request has added.
    added: u32,
}

impl Tokens {
    /// Of a request to `model`.
    pub fn of(model: &ModelId) -> Self {
        let kind = |kind| Kind {
            counter: counter!(metrics::TOKENS_TOTAL, "model" => model.to_string(), "kind" => kind),
            added: 0,
        };
        Self {
            prompt: kind("prompt"),
            completion: kind("completion"),
        }
    }

    /// Counts an event. An upstream may tell the prompt's size at the end alone, and send several
    /// tokens in one piece; its last event makes up for that.
    pub fn count(&mut self, event: &Event) {
        match event {
            Event::Started { prompt_tokens, .. } => self.prompt.add(*prompt_tokens),
            Event::Delta(delta) => self.completion.add(delta.tokens),
            Event::Finished { usage, .. } => {
                self.prompt.settle(usage.prompt_tokens);
                self.completion.settle(usage.completion_tokens);
            }
        }
    }

    /// Counts tokens that were read and not answered with text.
    pub fn prompt(&mut self, tokens: u32) {
        self.prompt.add(tokens);
    }
}

impl Kind {
    fn add(&mut self, tokens: u32) {
        self.added = self.added.saturating_add(tokens);
        self.counter.increment(tokens.into());
    }

    /// Adds what is missing of `total`.
    fn settle(&mut self, total: u32) {
        self.add(total.saturating_sub(self.added));
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

    /// What the metric says after `events` of one request: prompt, completion.
    fn counted(events: &[Event]) -> [u64; 2] {
        let recorder = PrometheusBuilder::new().build_recorder();
        ::metrics::with_local_recorder(&recorder, || {
            let mut tokens = Tokens::of(&"m".into());
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
        assert_eq!(counted(&upstream), [7, 5]);
        let local = [started(7), piece(), piece(), finished(7, 2)];
        assert_eq!(counted(&local), [7, 2]);
    }

    #[test]
    fn a_text_that_is_given_up_counts_as_far_as_it_came() {
        assert_eq!(counted(&[started(7), piece()]), [7, 1]);
    }
}
