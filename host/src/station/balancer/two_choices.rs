//! The less busy of two that are drawn: nearly as short queues as with the least busy of all, and no herd when the view is old
//! (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001).

use super::{Ask, Choose};

/// Needs no memory.
#[derive(Debug)]
pub(super) struct TwoChoices;

impl Choose for TwoChoices {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        ask.cheaper_of_two(|place| ask.view[place].burden())
    }
}

#[cfg(test)]
mod tests {
    use crate::station::balancer::{Backend, Balancer, Rule};

    #[test]
    fn each_pair_of_healthy_backends_is_drawn_alike() {
        let mut view = [Backend::default(); 5];
        (0..5).for_each(|place| view[place].running = place as u32);
        view[1].healthy = false;
        let mut balancer = Balancer::new(Rule::TwoChoices, 5);
        // Four are open, so 12 ordered pairs. The less busy of a pair is 0 in 6 of them, 2 in 4, 3 in 2, and never 4.
        let mut taken = [0; 5];
        for pair in 0..12 {
            let draw = (f64::from(pair) + 0.5) / 12.0;
            taken[balancer.pick(0, &view, 0, &[], draw).expect("an open backend")] += 1;
        }
        assert_eq!(taken, [6, 0, 4, 2, 0]);
    }

    #[test]
    fn a_lone_backend_takes_all() {
        let mut view = [Backend { healthy: false, ..Backend::default() }; 3];
        let mut balancer = Balancer::new(Rule::TwoChoices, 3);
        assert_eq!(balancer.pick(0, &view, 0, &[], 0.7), None);
        view[1].healthy = true;
        assert_eq!(balancer.pick(0, &view, 0, &[], 0.7), Some(1));
    }
}
