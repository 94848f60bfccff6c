//! Zipf's law: the thing of rank n is asked for in proportion to 1/n^s. Words, pages, videos and questions are, with s from 0.6 to 1.

use std::sync::Arc;

/// A choice among things by their popularity. Eight bytes a thing, shared by clones.
#[derive(Debug, Clone, PartialEq)]
pub struct Zipf {
    /// Of each rank, the share of it and all before it.
    shares: Arc<[f64]>,
}

impl Zipf {
    /// Among `things`, at least 1, with the exponent `s`, 0 or more; at 0 all are alike.
    pub fn of(things: u32, s: f64) -> Self {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=things.max(1))
            .map(|rank| {
                sum += libm::pow(f64::from(rank), -s);
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Self { shares: shares.into() }
    }

    /// How many things there are.
    pub fn things(&self) -> u32 {
        self.shares.len() as u32
    }

    /// The thing, from 0 for the most popular one, that belongs to `draw`, a number in [0, 1).
    pub fn choose(&self, draw: f64) -> u32 {
        (self.shares.partition_point(|share| *share <= draw) as u32).min(self.things() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_has_its_share_of_the_draws() {
        let zipf = Zipf::of(4, 1.0);
        // 1, 1/2, 1/3 and 1/4 of 25/12: 48 %, 24 %, 16 % and 12 %.
        let mut counts = [0; 4];
        (0..100).for_each(|draw| counts[zipf.choose((f64::from(draw) + 0.5) / 100.0) as usize] += 1);
        assert_eq!(counts, [48, 24, 16, 12]);
        assert_eq!((zipf.choose(0.0), zipf.choose(1.0 - f64::EPSILON / 2.0)), (0, 3));
    }

    #[test]
    fn without_an_exponent_all_are_alike() {
        let alike = Zipf::of(8, 0.0);
        let chosen: Vec<u32> = (0..8).map(|draw| alike.choose((f64::from(draw) + 0.5) / 8.0)).collect();
        assert_eq!(chosen, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(Zipf::of(0, 1.0).choose(0.9), 0);
    }
}
