//! How long things take, in steps of 9 %.

use std::time::Duration;

/// Steps between a time and its double.
const STEPS: f64 = 8.0;
/// From a millisecond to over an hour.
const BUCKETS: usize = 176;

#[derive(Debug)]
pub(super) struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    total: u32,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
            total: 0,
        }
    }
}

impl Histogram {
    pub fn count(&mut self, time: Duration) {
        if let Some(count) = self.counts.get_mut(bucket(time)) {
            *count += 1;
        }
        self.total += 1;
    }

    pub fn total(&self) -> u32 {
        self.total
    }

    pub fn sum(one: &Self, other: &Self) -> Self {
        let mut counts = one.counts.clone();
        for (count, more) in counts.iter_mut().zip(other.counts.iter()) {
            *count += more;
        }
        Self {
            counts,
            total: one.total + other.total,
        }
    }

    /// How long 99 of 100 take at most.
    pub fn percentile_99(&self) -> Duration {
        let wanted = u64::from(self.total) * 99;
        let mut below = 0;
        let place = self.counts.iter().position(|count| {
            below += u64::from(*count) * 100;
            below >= wanted
        });
        end(place.unwrap_or(BUCKETS - 1))
    }

    /// How many surely take longer.
    pub fn longer_than(&self, time: Duration) -> u32 {
        // A time on the edge of a step belongs to the step that it ends.
        let first =
            bucket(time.mul_f64(1.001)) + usize::from(end(bucket(time)) > time.mul_f64(1.01));
        self.counts.iter().skip(first).sum()
    }
}

fn bucket(time: Duration) -> usize {
    let milliseconds = time.as_secs_f64() * 1e3;
    // Negative is below a millisecond, and a float that is too large stops at the largest number.
    ((milliseconds.max(1.0).log2() * STEPS) as usize).min(BUCKETS - 1)
}

/// Where a bucket ends.
fn end(bucket: usize) -> Duration {
    Duration::from_secs_f64(((bucket as f64 + 1.0) / STEPS).exp2() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_a_step_off() {
        let mut histogram = Histogram::default();
        for milliseconds in 1..=1_000 {
            histogram.count(Duration::from_millis(milliseconds));
        }
        let found = histogram.percentile_99().as_secs_f64();
        assert!((0.990..0.990 * 1.1).contains(&found), "{found}");
        assert!(histogram.longer_than(histogram.percentile_99()) <= 10);
        let longer = histogram.longer_than(Duration::from_millis(500));
        assert!((450..=500).contains(&longer), "{longer}");
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_place() {
        let mut histogram = Histogram::default();
        for time in [Duration::ZERO, Duration::MAX] {
            histogram.count(time);
        }
        assert_eq!(histogram.total(), 2);
        assert_eq!(histogram.longer_than(Duration::from_secs(60)), 1);
    }
}
