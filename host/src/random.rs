//! Randomness without order: every draw is keyed by what it is for, so that adding or skipping one shifts no other.
//!
//! A [`Key`] is a point in a tree of names: run seed → request → attempt → name of the draw. Two processes that ask for the
//! same point get the same number, in any order and at any concurrency. A [`Stream`] is a generator that starts at such a point,
//! for draws that come in a row (the words of a reply, the gaps of a stream).

use std::cell::RefCell;

/// A point in the tree of draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The root for one run.
    pub const fn of_seed(seed: u64) -> Self {
        Self(mix(seed ^ 0x51_6d77_7269_6768))
    }

    /// The child called `name`. Names are literals, whose hashes are computed at compile time where this is inlined.
    #[must_use]
    #[inline(always)]
    pub const fn named(self, name: &str) -> Self {
        self.with(hash_name(name))
    }

    /// The child with number `part`: a request's identity, an attempt, an index.
    #[must_use]
    pub const fn with(self, part: u64) -> Self {
        Self(mix(self.0.rotate_left(23) ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// The draw at this point: 64 uniform bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The draw at this point as a number in [0, 1).
    pub fn unit(self) -> f64 {
        unit_of(self.0)
    }

    /// A generator that starts at this point.
    pub fn stream(self) -> Stream {
        Stream { state: self.0 }
    }
}

/// The draws of one plan by name, in the order in which they were made: what `explain` shows.
#[derive(Debug, Default)]
pub struct Draws {
    noted: RefCell<Vec<Draw>>,
    scope: RefCell<String>,
}

/// One draw that was noted.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// For whom it was made, for example `fault 2 cut`; empty for the plan itself.
    pub scope: String,
    /// What it is called.
    pub name: String,
    /// What it gave.
    pub value: Drawn,
    /// What follows from it, in a few words; empty if the value says all.
    pub meaning: String,
}

/// What a draw gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Drawn {
    /// A number in [0, 1).
    Unit(f64),
    /// A seed, from which more is drawn.
    Seed(u64),
}

impl Draws {
    /// Draws noted from now on belong to `scope`, for example `fault 2 cut`.
    pub fn enter(&self, scope: impl Into<String>) {
        *self.scope.borrow_mut() = scope.into();
    }

    /// Notes that the draw `name` gave `value`.
    pub fn note(&self, name: &str, value: f64) {
        self.add(name, Drawn::Unit(value), String::new());
    }

    /// Notes that the draw `name` gave `value`, and what follows from it.
    pub fn note_meaning(&self, name: &str, value: f64, meaning: impl Into<String>) {
        self.add(name, Drawn::Unit(value), meaning.into());
    }

    /// Notes that something is drawn from `seed`, and what is known of that.
    pub fn note_seed(&self, name: &str, seed: u64, meaning: impl Into<String>) {
        self.add(name, Drawn::Seed(seed), meaning.into());
    }

    fn add(&self, name: &str, value: Drawn, meaning: String) {
        let scope = self.scope.borrow().clone();
        self.noted.borrow_mut().push(Draw { scope, name: name.to_owned(), value, meaning });
    }

    /// All draws so far.
    pub fn take(&self) -> Vec<Draw> {
        self.noted.take()
    }
}

/// A portable generator (SplitMix64, Steele, Lea and Flood 2014): eight bytes of state, the same on every machine.
#[derive(Debug, Clone)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// A generator that starts from `seed`.
    pub const fn of(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 uniform bits.
    pub const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        finalise(self.state)
    }

    /// The next number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit_of(self.bits())
    }

    /// A whole number below `bound` (Lemire's multiplication; bias below 2^-32 for our bounds). 0 if `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(bound)) >> 32) as u32
    }
}

/// Lets `rand`'s own distributions and helpers draw from a [`Stream`].
impl rand::TryRng for Stream {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok((self.bits() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in target.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// A secret of 32 bytes from the operating system: for keys that others must not guess. Fails where there is no such source.
pub fn secret() -> std::io::Result<[u8; 32]> {
    use std::io::Read;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A seed for a run that named none. This and [`secret`] are the only places that ask the machine for randomness.
pub fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library keys its hash maps from the operating system's generator; that is all we need once a run.
    std::collections::hash_map::RandomState::new().build_hasher().finish() >> 16
}

const fn mix(bits: u64) -> u64 {
    finalise(bits.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

const fn finalise(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[inline(always)]
const fn hash_name(name: &str) -> u64 {
    // FNV-1a, 64 bits.
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}

fn unit_of(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_its_key_alone() {
        let request = Key::of_seed(7).with(0xfeed).with(1);
        assert_eq!(request.named("fault").bits(), request.named("fault").bits());
        assert_ne!(request.named("fault").bits(), request.named("latency").bits());
        assert_ne!(Key::of_seed(7).with(1).with(2).bits(), Key::of_seed(7).with(2).with(1).bits());
    }

    #[test]
    fn units_are_uniform_within_three_sigma() {
        let mut stream = Key::of_seed(1).named("units").stream();
        let count = 100_000;
        let mean = (0..count).map(|_| stream.unit()).sum::<f64>() / f64::from(count);
        assert!((mean - 0.5).abs() < 3.0 * (1.0 / 12.0_f64 / f64::from(count)).sqrt(), "mean {mean}");
    }

    #[test]
    fn neighbouring_keys_are_independent() {
        let root = Key::of_seed(3).named("rate");
        let hits = (0..100_000).filter(|i| root.with(*i).unit() < 0.05).count() as f64;
        assert!((hits - 5_000.0).abs() < 3.0 * (100_000.0_f64 * 0.05 * 0.95).sqrt(), "hits {hits}");
    }
}
