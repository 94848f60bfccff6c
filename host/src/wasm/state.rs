//! State that lives in the host: shared by all instances of a plugin, kept across reloads, the same on both clocks.
//!
//! Each plugin, by its name in the scenario, has counters and values, which are apart from each other even under one key. Keys
//! lie in shards with a lock each, so that workers seldom meet. Lifetimes are in plan time. A shard that is full first forgets
//! what has expired, and then refuses: forgetting what is alive would make answers depend on the order of requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Nanos;
use crate::types::limits;

const SHARDS: usize = 16;

/// The state of all plugins, by name.
#[derive(Debug, Default)]
pub(super) struct Store {
    plugins: Mutex<HashMap<String, Arc<State>>>,
}

impl Store {
    /// The state of `plugin`, empty when it is asked for first.
    pub(super) fn of(&self, plugin: &str) -> Arc<State> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(plugins.entry(plugin.to_owned()).or_default())
    }

    /// Forgets everything: for a new run in virtual time.
    pub(super) fn forget(&self) {
        for state in self.plugins.lock().unwrap_or_else(PoisonError::into_inner).values() {
            state.forget();
        }
    }
}

/// The state of one plugin.
#[derive(Debug, Default)]
pub(super) struct State {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    counters: HashMap<Box<str>, Entry<i64>>,
    values: HashMap<Box<str>, Entry<Arc<[u8]>>>,
    /// Bytes of all values.
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// Plan time at which it is forgotten.
    expires: Nanos,
}

impl State {
    /// Adds to a counter, which begins at 0, and gives its new value; it stays at the ends of its range. The error says what is
    /// too much.
    pub(super) fn add(&self, key: &str, delta: i64, ttl_ms: Option<u32>, now: Nanos) -> Result<i64, String> {
        check_key(key)?;
        let mut shard = self.shard(key);
        let expires = expiry(now, ttl_ms);
        if let Some(entry) = shard.counters.get_mut(key) {
            let before = if entry.expires > now { entry.value } else { 0 };
            *entry = Entry { value: before.saturating_add(delta), expires };
            return Ok(entry.value);
        }
        shard.make_room(1, 0, now)?;
        shard.counters.insert(key.into(), Entry { value: delta, expires });
        Ok(delta)
    }

    /// The value under `key`, unless there is none or it has expired.
    pub(super) fn get(&self, key: &str, now: Nanos) -> Option<Arc<[u8]>> {
        let shard = self.shard(key);
        shard.values.get(key).filter(|entry| entry.expires > now).map(|entry| Arc::clone(&entry.value))
    }

    /// Keeps `value` under `key`. The error says what is too much.
    pub(super) fn set(&self, key: &str, value: &[u8], ttl_ms: Option<u32>, now: Nanos) -> Result<(), String> {
        check_key(key)?;
        if value.len() > limits::STATE_VALUE_BYTES {
            return Err(format!("set `{key}` to {} bytes, more than {}", value.len(), limits::STATE_VALUE_BYTES));
        }
        let mut shard = self.shard(key);
        let entry = Entry { value: value.into(), expires: expiry(now, ttl_ms) };
        let replaced = shard.values.get(key).map(|old| old.value.len());
        let more_keys = usize::from(replaced.is_none());
        shard.make_room(more_keys, value.len().saturating_sub(replaced.unwrap_or(0)), now)?;
        // Making room may have removed the old value, so its size is taken from what really leaves.
        let old = shard.values.insert(key.into(), entry).map_or(0, |old| old.value.len());
        shard.bytes = shard.bytes + value.len() - old;
        Ok(())
    }

    /// Everything that is alive at `now`, by key: counters and values, values as text where they are.
    pub(super) fn list(&self, now: Nanos) -> Vec<(String, String)> {
        let mut list = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let counters = shard.counters.iter().filter(|(_, entry)| entry.expires > now);
            list.extend(counters.map(|(key, entry)| (key.to_string(), entry.value.to_string())));
            let values = shard.values.iter().filter(|(_, entry)| entry.expires > now);
            list.extend(values.map(|(key, entry)| (key.to_string(), shown(&entry.value))));
        }
        list.sort_unstable();
        list
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        for shard in &self.shards {
            *shard.lock().unwrap_or_else(PoisonError::into_inner) = Shard::default();
        }
    }

    fn shard(&self, key: &str) -> std::sync::MutexGuard<'_, Shard> {
        let index = xxhash_rust::xxh3::xxh3_64(key.as_bytes()) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn make_room(&mut self, more_keys: usize, more_bytes: usize, now: Nanos) -> Result<(), String> {
        if self.has_room(more_keys, more_bytes) {
            return Ok(());
        }
        self.counters.retain(|_, entry| entry.expires > now);
        self.values.retain(|_, entry| entry.expires > now);
        self.bytes = self.values.values().map(|entry| entry.value.len()).sum();
        if self.has_room(more_keys, more_bytes) {
            return Ok(());
        }
        let (keys, mebibytes) = (limits::STATE_KEYS_MAX, limits::STATE_BYTES_MAX >> 20);
        Err(format!("filled its state, which holds about {keys} keys and {mebibytes} MiB"))
    }

    fn has_room(&self, more_keys: usize, more_bytes: usize) -> bool {
        self.len() + more_keys <= limits::STATE_KEYS_MAX / SHARDS && self.bytes + more_bytes <= limits::STATE_BYTES_MAX / SHARDS
    }

    fn len(&self) -> usize {
        self.counters.len() + self.values.len()
    }
}

/// `bytes` as text if they are, else how many there are.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => format!("{text:?}"),
        _ => format!("{} bytes", bytes.len()),
    }
}

fn expiry(now: Nanos, ttl_ms: Option<u32>) -> Nanos {
    ttl_ms.map_or(Nanos::MAX, |ttl| now.saturating_add(u64::from(ttl) * 1_000_000))
}

fn check_key(key: &str) -> Result<(), String> {
    if key.len() > limits::PLUGIN_NAME_BYTES {
        return Err(format!("used a key of {} bytes, more than {}", key.len(), limits::PLUGIN_NAME_BYTES));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_restarts_when_its_lifetime_is_over() {
        let state = State::default();
        assert_eq!(state.add("tries", 1, Some(10), 0), Ok(1));
        assert_eq!(state.add("tries", 1, Some(10), 9_000_000), Ok(2));
        // The second call began a new lifetime, which ends at 19 ms.
        assert_eq!(state.add("tries", 1, Some(10), 18_000_000), Ok(3));
        assert_eq!(state.add("tries", 1, None, 28_000_000), Ok(1));
    }

    #[test]
    fn values_and_counters_do_not_meet_under_one_key() {
        let state = State::default();
        state.set("a", b"text", None, 0).expect("room");
        assert_eq!(state.add("a", 5, None, 0), Ok(5));
        assert_eq!(state.get("a", 1).as_deref(), Some(b"text".as_slice()));
        assert_eq!(state.get("b", 1), None);
    }

    #[test]
    fn plugins_of_one_name_share_and_others_do_not() {
        let store = Store::default();
        store.of("one").add("n", 1, None, 0).expect("room");
        assert_eq!(store.of("one").add("n", 1, None, 0), Ok(2));
        assert_eq!(store.of("two").add("n", 1, None, 0), Ok(1));
        store.forget();
        assert_eq!(store.of("one").add("n", 1, None, 0), Ok(1));
    }

    #[test]
    fn a_full_state_forgets_what_has_expired_and_then_refuses() {
        let state = State::default();
        let refused = (0..2 * limits::STATE_KEYS_MAX).find_map(|i| state.add(&i.to_string(), 1, Some(1), 0).err());
        assert!(refused.expect("a bound").contains("filled its state"));
        assert_eq!(state.add("another", 1, None, 2_000_000), Ok(1));
    }

    #[test]
    fn a_state_is_bounded_in_bytes_and_replaced_values_are_given_back() {
        let state = State::default();
        let value = vec![0; limits::STATE_VALUE_BYTES];
        assert!((0..10_000).all(|_| state.set("same", &value, None, 0).is_ok()));
        let kept = (0..).find(|i: &u32| state.set(&i.to_string(), &value, None, 0).is_err()).expect("a bound");
        assert!(kept as usize * value.len() <= limits::STATE_BYTES_MAX);
        assert!(state.set("same", b"", None, 0).is_ok());
    }

    #[test]
    fn keys_and_values_have_a_longest() {
        let state = State::default();
        assert!(state.add(&"k".repeat(257), 1, None, 0).is_err());
        assert!(state.set("k", &vec![0; limits::STATE_VALUE_BYTES + 1], None, 0).is_err());
    }
}
