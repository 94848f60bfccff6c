//! One after the other.

use super::{Ask, Choose};

/// Remembers where it stands.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    next: usize,
}

impl Choose for RoundRobin {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let place = ask.open().find(|place| *place >= self.next).or_else(|| ask.open().next())?;
        self.next = place + 1;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use crate::station::balancer::{Backend, Balancer, Rule};

    #[test]
    fn each_healthy_backend_has_its_turn() {
        let mut view = [Backend::default(); 4];
        let mut balancer = Balancer::new(Rule::RoundRobin, 4);
        let mut turns = |view: &[Backend]| (0..5).map(|_| balancer.pick(0, view, 0, &[], 0.0)).collect::<Vec<_>>();
        assert_eq!(turns(&view), [0, 1, 2, 3, 0].map(Some));
        view[2].healthy = false;
        view[3].weight = 0;
        assert_eq!(turns(&view), [1, 0, 1, 0, 1].map(Some));
        view.fill(Backend { healthy: false, ..Backend::default() });
        assert_eq!(turns(&view), [None; 5]);
    }
}
