//! What happens next: entries in the order of their time; at equal times by phase, then by who came first.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::clock::Nanos;

/// What goes first among entries of one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Something is finished. Who is served at the last moment is served.
    End = 0,
    /// Somebody's patience is over.
    Limit = 1,
    /// It is decided what follows from all that.
    Decision = 2,
}

/// Fewer entries are not worth looking through.
const SWEPT_FROM: usize = 1_024;

/// A queue of what happens next. An entry costs 16 bytes more than what it says, rounded up to 16.
#[derive(Debug)]
pub struct Agenda<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    newest: u64,
}

#[derive(Debug)]
struct Entry<T> {
    /// Time, phase and number, in this order from the top bit: one comparison orders two entries.
    key: u128,
    item: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), newest: 0 }
    }
}

impl<T> Agenda<T> {
    /// Notes `item` for `at`.
    pub fn push(&mut self, at: Nanos, phase: Phase, item: T) {
        self.newest += 1;
        let key = u128::from(at) << 64 | u128::from(phase as u64) << 62 | u128::from(self.newest);
        self.heap.push(Reverse(Entry { key, item }));
    }

    /// When the first entry is due.
    pub fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse(entry)| (entry.key >> 64) as Nanos)
    }

    /// Takes the first entry if it is due at `now`.
    pub fn pop(&mut self, now: Nanos) -> Option<(Nanos, T)> {
        self.next_at().filter(|at| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| ((entry.key >> 64) as Nanos, entry.item))
    }

    /// Forgets entries that are void, once they may be most of all beside `live` others; `is_live` tells them apart. To be called now
    /// and then with every push of something that may become void, it costs no more than the pushes.
    pub fn sweep(&mut self, live: usize, is_live: impl Fn(&T) -> bool) {
        if self.heap.len() > SWEPT_FROM + 4 * live {
            self.heap.retain(|Reverse(entry)| is_live(&entry.item));
        }
    }

    /// Forgets all entries but those that `is_live` keeps.
    pub fn retain(&mut self, is_live: impl Fn(&T) -> bool) {
        self.heap.retain(|Reverse(entry)| is_live(&entry.item));
    }

    /// How many entries there are, void ones included.
    #[expect(clippy::len_without_is_empty, reason = "whether there is something to do is when")]
    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_by_time_then_phase_then_in_the_order_in_which_they_came() {
        let mut agenda = Agenda::default();
        for (at, phase, item) in
            [(5, Phase::Limit, 'c'), (5, Phase::End, 'a'), (5, Phase::Limit, 'd'), (5, Phase::End, 'b'), (1, Phase::Limit, '0')]
        {
            agenda.push(at, phase, item);
        }
        assert_eq!(agenda.pop(0), None);
        let left: String = std::iter::from_fn(|| agenda.pop(9)).map(|(_, item)| item).collect();
        assert_eq!(left, "0abcd");
    }

    #[test]
    fn an_entry_of_the_pipelines_agenda_is_small() {
        assert!(size_of::<Entry<crate::station::pipeline::Item>>() <= 48);
    }
}
