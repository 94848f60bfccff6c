//! What is kept for clients to come back to, by key: bounded in number and bytes, least recently used out first.
//!
//! One shelf is shared by all workers. What is taken from it is shared, too, so a reader holds the lock for a look-up only; who wants to
//! see [all](Shelf::all) of it holds the lock for as long as it takes to count each thing's readers up.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things kept by key.
pub struct Shelf<T> {
    entries_max: usize,
    bytes_max: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    entries: HashMap<Arc<str>, Entry<T>>,
    /// Keys by when they were last used; the first goes first.
    by_use: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    uses: u64,
}

struct Entry<T> {
    value: Arc<T>,
    bytes: usize,
    used: u64,
}

impl<T> Shelf<T> {
    /// An empty shelf for `entries_max` things of `bytes_max` bytes in all.
    pub fn of(entries_max: usize, bytes_max: usize) -> Self {
        let state = State { entries: HashMap::new(), by_use: BTreeMap::new(), bytes: 0, uses: 0 };
        Self { entries_max, bytes_max, state: Mutex::new(state) }
    }

    /// Keeps `value` of `bytes` bytes under `key`, in the place of what was there. What was not used for longest goes, this one too if it
    /// is larger than the shelf.
    pub fn put(&self, key: &str, value: T, bytes: usize) {
        let mut state = self.state();
        // Freed once the lock is.
        let mut gone = vec![state.remove(key)];
        state.uses += 1;
        let (key, used) = (Arc::from(key), state.uses);
        state.by_use.insert(used, Arc::clone(&key));
        state.entries.insert(key, Entry { value: Arc::new(value), bytes, used });
        state.bytes = state.bytes.saturating_add(bytes);
        while state.entries.len() > self.entries_max || state.bytes > self.bytes_max {
            let Some((_, oldest)) = state.by_use.pop_first() else { break };
            gone.push(state.remove(&oldest));
        }
        drop(state);
        drop(gone);
    }

    /// What is kept under `key`; it counts as used.
    pub fn get(&self, key: &str) -> Option<Arc<T>> {
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        let (key, entry) = state.entries.get_key_value(key).map(|(key, entry)| (Arc::clone(key), entry.used))?;
        state.by_use.remove(&entry);
        state.by_use.insert(used, Arc::clone(&key));
        let entry = state.entries.get_mut(&key)?;
        entry.used = used;
        Some(Arc::clone(&entry.value))
    }

    /// All that is kept, in no order; none of it counts as used.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.state().entries.values().map(|entry| Arc::clone(&entry.value)).collect()
    }

    /// Forgets what is kept under `key`.
    pub fn remove(&self, key: &str) -> Option<Arc<T>> {
        self.state().remove(key)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn remove(&mut self, key: &str) -> Option<Arc<T>> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let shelf = Shelf::of(2, 100);
        shelf.put("a", 1, 10);
        shelf.put("b", 2, 10);
        assert_eq!(shelf.get("a").as_deref(), Some(&1));
        shelf.put("c", 3, 10);
        assert_eq!((shelf.get("a").as_deref(), shelf.get("b"), shelf.get("c").as_deref()), (Some(&1), None, Some(&3)));
    }

    #[test]
    fn bytes_are_bounded_and_what_is_larger_than_the_shelf_is_not_kept() {
        let shelf = Shelf::of(10, 100);
        shelf.put("a", 1, 60);
        shelf.put("b", 2, 60);
        assert_eq!((shelf.get("a"), shelf.get("b").as_deref()), (None, Some(&2)));
        shelf.put("c", 3, 101);
        assert_eq!((shelf.get("b"), shelf.get("c")), (None, None));
    }

    #[test]
    fn what_is_removed_is_gone_and_gives_its_room_free() {
        let shelf = Shelf::of(10, 100);
        shelf.put("a", 1, 100);
        assert_eq!(shelf.remove("a").as_deref(), Some(&1));
        assert_eq!(shelf.remove("a"), None);
        shelf.put("b", 2, 100);
        assert_eq!(shelf.get("b").as_deref(), Some(&2));
    }

    proptest! {
        #[test]
        fn it_keeps_what_a_list_in_order_of_use_keeps(acts in prop::collection::vec((0_u8..3, 0_u8..6, 1_usize..40), 0..80)) {
            let shelf = Shelf::of(4, 100);
            let mut list: VecDeque<(String, usize)> = VecDeque::new();
            for (act, key, bytes) in acts {
                let key = key.to_string();
                let place = list.iter().position(|(known, _)| *known == key);
                match act {
                    0 => {
                        place.map(|place| list.remove(place));
                        shelf.put(&key, bytes, bytes);
                        list.push_back((key, bytes));
                        while list.len() > 4 || list.iter().map(|(_, bytes)| bytes).sum::<usize>() > 100 {
                            list.pop_front();
                        }
                    }
                    1 => {
                        let found = place.and_then(|place| list.remove(place));
                        prop_assert_eq!(shelf.get(&key).map(|bytes| *bytes), found.as_ref().map(|(_, bytes)| *bytes));
                        list.extend(found);
                    }
                    _ => {
                        let found = place.and_then(|place| list.remove(place));
                        prop_assert_eq!(shelf.remove(&key).map(|bytes| *bytes), found.as_ref().map(|(_, bytes)| *bytes));
                    }
                }
                prop_assert_eq!(shelf.state().bytes, list.iter().map(|(_, bytes)| bytes).sum::<usize>());
                prop_assert_eq!(shelf.state().by_use.len(), list.len());
            }
        }
    }
}
