//! Maps by `u64` that hash alike in every process. They are looked up and never walked, because their order says nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::random::Stream;

/// A map from keys to places.
pub(super) type KeyMap = HashMap<u64, u32, BuildHasherDefault<KeyHasher>>;

/// Mixes a key as a draw does: neighbouring numbers land apart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = Stream::of(self.0 ^ key).bits();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
