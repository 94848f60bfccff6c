//! State that lives in the host: shared by all instances of the plugin, kept across reloads, the same in real and virtual time.
//!
//! Guest memory is a cache and nothing more: instances come and go, and each worker has its own. What must be counted or
//! remembered goes here. Each function asks the host once, so keep it off the path of a request that does not need it.

use std::time::Duration;

use crate::host;

/// Adds `delta` to the counter `key`, which begins at 0, and gives its new value. From now on it lives without end.
pub fn add(key: &str, delta: i64) -> i64 {
    host::add(key, delta, None)
}

/// The same for a counter that is forgotten when nobody has added to it for `lifetime`.
pub fn add_for(key: &str, delta: i64, lifetime: Duration) -> i64 {
    host::add(key, delta, Some(lifetime_ms(lifetime)))
}

/// The value kept under `key`. Counters have keys of their own and are not seen here.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::get(key)
}

/// Keeps `value` under `key`. The host bounds both the number of keys and the size of a value.
pub fn set(key: &str, value: &[u8]) {
    host::set(key, value, None);
}

/// The same for a value that is forgotten after `lifetime`.
pub fn set_for(key: &str, value: &[u8], lifetime: Duration) {
    host::set(key, value, Some(lifetime_ms(lifetime)));
}

fn lifetime_ms(lifetime: Duration) -> u32 {
    // At least one, so that a lifetime that rounds to nothing is not mistaken for none.
    u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn counters_begin_at_zero_and_are_forgotten_after_their_lifetime() {
        let host = FakeHost::new();
        assert_eq!(add_for("seen", 2, Duration::from_secs(1)), 2);
        host.advance(Duration::from_millis(999));
        assert_eq!(add_for("seen", 1, Duration::from_secs(1)), 3);
        host.advance(Duration::from_secs(1));
        assert_eq!(add("seen", 1), 1);
    }

    #[test]
    fn values_are_kept_until_their_lifetime_ends() {
        let host = FakeHost::new();
        set("forever", b"a");
        set_for("soon", b"b", Duration::from_millis(5));
        assert_eq!(get("soon").as_deref(), Some(&b"b"[..]));
        host.advance(Duration::from_millis(5));
        assert_eq!((get("soon"), get("forever")), (None, Some(b"a".to_vec())));
    }
}
