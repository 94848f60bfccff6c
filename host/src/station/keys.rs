//! Maps by `u64` that hash alike in every process. They are looked up and never walked, because their order says nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from keys to places.
pub(super) type KeyMap = HashMap<u64, u32, BuildHasherDefault<KeyHasher>>;

/// Spreads keys that may be as plain as 0, 1, 2.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = spread(self.0 ^ key);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Fibonacci hashing (Knuth 6.4): multiply, then fold, because tables look at the highest and the lowest bits.
pub(super) const fn spread(key: u64) -> u64 {
    let product = (key as u128) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_keys_land_apart() {
        // Tables take places by the low bits and tags by the seven highest.
        for of in [|hash: u64| hash & 0xff, |hash: u64| hash >> 57] {
            let found: std::collections::BTreeSet<u64> = (0..4_096).map(|key| of(spread(key))).collect();
            assert!(found.len() >= 127, "{}", found.len());
        }
    }
}
