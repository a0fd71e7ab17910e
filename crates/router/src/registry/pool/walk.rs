//! Ways through a list.

use fastrand::Rng;

/// Visits every place of a list once: who stops early has looked at some of it, and who does not
/// has looked at all.
pub(super) struct Walk {
    at: usize,
    step: usize,
    left: usize,
    length: usize,
}

impl Walk {
    /// From `turn` on, one after the other.
    pub fn in_turn(length: usize, turn: usize) -> Self {
        Self {
            at: turn.checked_rem(length).unwrap_or(0),
            step: 1,
            left: length,
            length,
        }
    }

    /// From anywhere, in steps of any size: the first places are as good as drawn one by one.
    pub fn at_random(length: usize, rng: &mut Rng) -> Self {
        if length < 2 {
            return Self::in_turn(length, 0);
        }
        let mut step = rng.usize(1..length);
        while common_divisor(step, length) != 1 {
            step = step % (length - 1) + 1;
        }
        Self {
            at: rng.usize(..length),
            step,
            left: length,
            length,
        }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at += self.step;
        if self.at >= self.length {
            self.at -= self.length;
        }
        Some(at)
    }
}

fn common_divisor(mut one: usize, mut other: usize) -> usize {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_is_visited_once(length in 0usize..500, turn: usize, seed: u64) {
            let all: Vec<usize> = (0..length).collect();
            let mut rng = Rng::with_seed(seed);
            for walk in [Walk::in_turn(length, turn), Walk::at_random(length, &mut rng)] {
                let mut visited: Vec<usize> = walk.collect();
                visited.sort_unstable();
                prop_assert_eq!(&visited, &all);
            }
        }
    }
}
