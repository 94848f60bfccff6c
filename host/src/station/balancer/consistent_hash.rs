//! The same key to the same backend, as long as that is not too busy: a ring of hashes with several points for each backend (Karger
//! et al., 1997), and bounded loads (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016).
//!
//! A key belongs to the first point at or after its own. A backend that is closed, or has as much to do as the bound allows, is passed
//! over: so its keys alone move, and they scatter over all others.

use super::{Ask, Choose};
use crate::random::Key;

/// Points and keys are hashed below this, alike in every run.
const RING: Key = Key::of_seed(0).named("ring");

/// The ring.
#[derive(Debug)]
pub(super) struct ConsistentHash {
    points: u32,
    bound_percent: Option<u32>,
    /// Backends that are on the ring: those from 0.
    count: usize,
    /// Points with their backends, in order.
    ring: Vec<(u64, u32)>,
}

impl ConsistentHash {
    pub(super) fn new(points: u32, bound_percent: Option<u32>, count: usize) -> Self {
        let mut new = Self { points, bound_percent, count: 0, ring: Vec::new() };
        new.grow(count);
        new
    }

    fn grow(&mut self, count: usize) {
        let point = |backend: usize, point: u32| RING.named("point").with(backend as u64).with(u64::from(point)).bits();
        for backend in self.count..count {
            self.ring.extend((0..self.points).map(|index| (point(backend, index), backend as u32)));
        }
        self.ring.sort_unstable();
        self.count = count;
    }

    /// How much the busiest may have to do, the request in question included. Some backend always has less.
    fn bound(&self, ask: &Ask<'_>) -> u64 {
        let Some(percent) = self.bound_percent else { return u64::MAX };
        let (open, busy) = ask.open().fold((0, 0), |(open, busy), place| (open + 1, busy + ask.view[place].busy()));
        (u128::from(busy + 1) * u128::from(percent)).div_ceil(u128::max(open * 100, 1)) as u64
    }
}

impl Choose for ConsistentHash {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        if ask.view.len() > self.count {
            self.grow(ask.view.len());
        }
        let bound = self.bound(ask);
        let hash = RING.named("key").with(ask.key).bits();
        let start = self.ring.partition_point(|(point, _)| *point < hash);
        let (before, after) = self.ring.split_at(start);
        let takes = |place: &usize| ask.view.get(*place).is_some_and(|backend| backend.is_open() && backend.busy() < bound);
        after.iter().chain(before).map(|(_, backend)| *backend as usize).find(takes)
    }
}

#[cfg(test)]
mod tests {
    use crate::station::balancer::{Backend, Balancer, Rule};

    const KEYS: u64 = 20_000;
    const RULE: Rule = Rule::ConsistentHash { points: 100, bound_percent: None };

    fn owners(balancer: &mut Balancer, view: &[Backend]) -> Vec<usize> {
        (0..KEYS).map(|key| balancer.pick(0, view, key, &[], 0.0).expect("an open backend")).collect()
    }

    #[test]
    fn a_new_backend_takes_its_share_of_the_keys_and_no_other_key_moves() {
        let mut balancer = Balancer::new(RULE, 8);
        let before = owners(&mut balancer, &[Backend::default(); 8]);
        let after = owners(&mut balancer, &[Backend::default(); 9]);
        let moved: Vec<usize> = before.iter().zip(&after).filter(|(old, new)| old != new).map(|(_, new)| *new).collect();
        assert!(moved.iter().all(|backend| *backend == 8));
        // With 100 points a share has a standard deviation of a tenth of its mean.
        let share = moved.len() as f64 / KEYS as f64 * 9.0;
        assert!((0.6..1.4).contains(&share), "{share} of a ninth");
        assert_eq!(owners(&mut Balancer::new(RULE, 9), &[Backend::default(); 9]), after);
    }

    #[test]
    fn when_a_backend_fails_its_keys_scatter_and_come_back() {
        let mut balancer = Balancer::new(RULE, 5);
        let mut view = [Backend::default(); 5];
        let before = owners(&mut balancer, &view);
        view[3].healthy = false;
        let without = owners(&mut balancer, &view);
        assert!(before.iter().zip(&without).all(|(old, new)| if *old == 3 { *new != 3 } else { old == new }));
        let scattered = |to: usize| before.iter().zip(&without).any(|(old, new)| *old == 3 && *new == to);
        assert!([0, 1, 2, 4].into_iter().all(scattered));
        view[3].healthy = true;
        assert_eq!(owners(&mut balancer, &view), before);
    }

    #[test]
    fn a_hot_key_fills_no_backend_beyond_the_bound() {
        let mut balancer = Balancer::new(Rule::ConsistentHash { points: 50, bound_percent: Some(125) }, 10);
        let mut view = [Backend::default(); 10];
        for asked in 1..=1_000_u64 {
            let key = if asked % 2 == 0 { 7 } else { asked };
            let place = balancer.pick(0, &view, key, &[], 0.0).expect("an open backend");
            view[place].running += 1;
            let bound = (asked * 125).div_ceil(1_000);
            assert!(view.iter().all(|backend| backend.busy() <= bound), "after {asked}: {view:?}");
        }
        // Without the bound the hot key's backend would have half of all.
        assert!(view.iter().any(|backend| backend.busy() == 125));
    }

    #[test]
    fn nothing_open_takes_nothing() {
        let view = [Backend { healthy: false, ..Backend::default() }; 3];
        assert_eq!(Balancer::new(RULE, 3).pick(0, &view, 1, &[], 0.0), None);
    }
}
