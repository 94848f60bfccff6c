//! Draws that are the same on every machine: keyed by name, or in a row from a generator that starts at a key.
//!
//! A [`Key`] is a point in a tree of names, so that adding or skipping one draw shifts no other. An [`Rng`] is for draws that
//! come in a row. Both begin at [`Call::key`](crate::call::Call::key), which the host derives from the run's seed.

/// A point in the tree of draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The root for one seed.
    pub const fn of_seed(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The child called `name`.
    #[must_use]
    pub const fn named(self, name: &str) -> Self {
        self.with(hash_name(name))
    }

    /// The child with number `part`: an index, an identity, an hour.
    #[must_use]
    pub const fn with(self, part: u64) -> Self {
        Self(mix(self.0.rotate_left(23) ^ mix(part)))
    }

    /// The draw at this point: 64 uniform bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The draw at this point as a number in [0, 1).
    pub fn unit(self) -> f64 {
        unit_of(self.0)
    }

    /// True with this probability, from 0 to 1.
    pub fn chance(self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A generator that starts at this point.
    pub const fn rng(self) -> Rng {
        Rng { state: self.0 }
    }
}

/// A portable generator (SplitMix64, Steele, Lea and Flood 2014): eight bytes of state.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The next 64 uniform bits.
    pub const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        finalise(self.state)
    }

    /// The next number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit_of(self.bits())
    }

    /// True with this probability, from 0 to 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number below `bound`; 0 if `bound` is 0.
    pub const fn below(&mut self, bound: u32) -> u32 {
        (((self.bits() >> 32) * bound as u64) >> 32) as u32
    }

    /// A number from `low` up to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// One of `items`, each as likely; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(u32::try_from(items.len()).unwrap_or(u32::MAX)) as usize)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(bits: u64) -> u64 {
    finalise(bits.wrapping_add(GOLDEN))
}

const fn finalise(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

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
        let call = Key::of_seed(7);
        assert_eq!(call.named("rate").bits(), call.named("rate").bits());
        assert_ne!(call.named("rate").bits(), call.named("length").bits());
        assert_ne!(call.with(1).with(2).bits(), call.with(2).with(1).bits());
    }

    #[test]
    fn a_keyed_draw_is_the_one_that_the_contract_writes_down() {
        // `wit/README.md`, for SDKs in other languages.
        let draw = Key::of_seed(7).named("rate");
        assert_eq!((draw.bits(), draw.unit()), (9913772925194695601, 0.5374267071512031));
    }

    #[test]
    fn the_generator_gives_the_published_sequence() {
        // The first three outputs of SplitMix64 from 1234567, as its reference implementation prints them.
        let mut rng = Rng { state: 1_234_567 };
        assert_eq!([rng.bits(), rng.bits(), rng.bits()], [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn chances_and_ranges_hold_within_three_sigma() {
        let mut rng = Key::of_seed(1).rng();
        let hits = (0..100_000).filter(|_| rng.chance(0.05)).count() as f64;
        assert!((hits - 5_000.0).abs() < 3.0 * (100_000.0_f64 * 0.05 * 0.95).sqrt(), "hits {hits}");
        assert!((0..1_000).all(|_| (2.0..3.0).contains(&rng.between(2.0, 3.0))));
        assert_eq!(rng.pick::<u8>(&[]), None);
        assert_eq!(rng.pick(&[5]), Some(&5));
    }
}
