//! State that lives in the host: shared by all instances of a plugin, kept across reloads, the same on both clocks.
//!
//! Each plugin, by its name in the scenario, has counters and values, which are apart from each other even under one key. Keys lie
//! in shards with a lock each, so that workers seldom meet. Lifetimes are in plan time. A shard that is full first forgets what has
//! expired, and then refuses: forgetting what is alive would make answers depend on the order of requests.

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
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// Plan time at which it is forgotten.
    expires: Nanos,
}

impl State {
    /// Adds to a counter, which begins at 0, and gives its new value; it stays at the ends of its range. The error says what is too
    /// much.
    pub(super) fn add(&self, key: &str, delta: i64, ttl_ms: Option<u32>, now: Nanos) -> Result<i64, String> {
        check_key(key)?;
        let mut shard = self.shard(key);
        let expires = expiry(now, ttl_ms);
        if let Some(entry) = shard.counters.get_mut(key) {
            let before = if entry.expires > now { entry.value } else { 0 };
            *entry = Entry { value: before.saturating_add(delta), expires };
            return Ok(entry.value);
        }
        shard.make_room(now)?;
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
        if let Some(place) = shard.values.get_mut(key) {
            *place = entry;
            return Ok(());
        }
        shard.make_room(now)?;
        shard.values.insert(key.into(), entry);
        Ok(())
    }

    fn forget(&self) {
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
    fn make_room(&mut self, now: Nanos) -> Result<(), String> {
        if self.len() < limits::STATE_KEYS_MAX / SHARDS {
            return Ok(());
        }
        self.counters.retain(|_, entry| entry.expires > now);
        self.values.retain(|_, entry| entry.expires > now);
        if self.len() < limits::STATE_KEYS_MAX / SHARDS {
            return Ok(());
        }
        Err(format!("filled its state, which holds about {} keys", limits::STATE_KEYS_MAX))
    }

    fn len(&self) -> usize {
        self.counters.len() + self.values.len()
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
    fn keys_and_values_have_a_longest() {
        let state = State::default();
        assert!(state.add(&"k".repeat(257), 1, None, 0).is_err());
        assert!(state.set("k", &vec![0; limits::STATE_VALUE_BYTES + 1], None, 0).is_err());
    }
}
