//! Whose turn it is among many. Only those that have been woken get one, in the order in which they
//! were, so that a socket with many lanes polls the one that has something to say and not all of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake};

use futures::task::AtomicWaker;

/// Those that wait for their turn.
#[derive(Default)]
pub struct Turns(Arc<Line>);

#[derive(Default)]
struct Line {
    /// Each is in it once at most.
    waiting: Mutex<VecDeque<u64>>,
    /// Whoever gives the turns.
    giver: AtomicWaker,
}

/// One of those that take turns; what wakes it.
pub struct Turn {
    key: u64,
    waits: AtomicBool,
    line: Arc<Line>,
}

impl Turns {
    /// One more, which waits for its first turn.
    pub fn join(&self, key: u64) -> Arc<Turn> {
        let turn = Arc::new(Turn {
            key,
            waits: AtomicBool::new(false),
            line: self.0.clone(),
        });
        turn.wake_by_ref();
        turn
    }

    /// Has this task woken when somebody wants a turn.
    pub fn listen(&self, context: &Context<'_>) {
        self.0.giver.register(context.waker());
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().len()
    }

    /// The one who has waited longest.
    pub fn next(&self) -> Option<u64> {
        self.0.lock().pop_front()
    }
}

impl Turn {
    /// Its turn begins; what wakes it from now on is for the next one.
    pub fn begin(&self) {
        self.waits.store(false, Ordering::Release);
    }

    /// It wants another turn, behind all who wait.
    pub fn again(&self) {
        if !self.waits.swap(true, Ordering::AcqRel) {
            self.line.lock().push_back(self.key);
        }
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.again();
        self.line.giver.wake();
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, VecDeque<u64>> {
        // Every write is one call, so a panic elsewhere leaves nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_woken_gets_one_turn_in_the_order_of_waking() {
        let turns = Turns::default();
        let [a, b, c] = [1, 2, 3].map(|key| turns.join(key));
        assert_eq!(
            [turns.next(), turns.next(), turns.next()],
            [Some(1), Some(2), Some(3)]
        );
        for turn in [&a, &b, &c] {
            turn.begin();
        }
        assert_eq!(turns.next(), None);
        c.wake_by_ref();
        a.wake_by_ref();
        c.wake_by_ref();
        assert_eq!(turns.waiting(), 2);
        assert_eq!(
            [turns.next(), turns.next(), turns.next()],
            [Some(3), Some(1), None]
        );
        c.begin();
        c.again();
        assert_eq!(turns.next(), Some(3));
    }
}
