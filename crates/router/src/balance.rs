//! Which of several workers gets the next request.

/// The index of the least loaded one, given how many streams each runs; `turn` goes round among
/// those that are equal. `None`: there is none.
pub(crate) fn least_loaded(running: &[usize], turn: usize) -> Option<usize> {
    let count = running.len();
    let first = turn.checked_rem(count)?;
    (0..count)
        .map(|step| (first + step) % count)
        .min_by_key(|&index| running[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_wins_whoevers_turn_it_is() {
        for turn in 0..4 {
            assert_eq!(least_loaded(&[3, 1, 2], turn), Some(1));
        }
    }

    #[test]
    fn equals_take_turns() {
        let picks: Vec<_> = (0..4).map(|turn| least_loaded(&[1, 0, 0], turn)).collect();
        assert_eq!(picks, [Some(1), Some(1), Some(2), Some(1)]);
        let picks: Vec<_> = (0..4).map(|turn| least_loaded(&[0, 0, 0], turn)).collect();
        assert_eq!(picks, [Some(0), Some(1), Some(2), Some(0)]);
    }

    #[test]
    fn nobody_is_chosen_from_nobody() {
        assert_eq!(least_loaded(&[], 7), None);
    }
}
