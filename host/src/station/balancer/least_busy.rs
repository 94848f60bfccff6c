//! The one with the least to do for its weight ("least connections"; with weights, the shortest expected delay).

use super::{Ask, Choose};

/// Needs no memory: what the backends have to do stands in the view.
#[derive(Debug)]
pub(super) struct LeastBusy;

impl Choose for LeastBusy {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        ask.cheapest(|place| ask.view[place].burden())
    }
}

#[cfg(test)]
mod tests {
    use crate::station::balancer::{Backend, Balancer, Rule};

    fn busy(running: u32, waiting: u32) -> Backend {
        Backend { running, waiting, ..Backend::default() }
    }

    #[test]
    fn the_least_busy_takes_it_and_ties_go_by_the_draw() {
        let mut balancer = Balancer::new(Rule::LeastBusy, 4);
        let view = [busy(2, 0), busy(1, 3), busy(2, 0), busy(1, 2)];
        assert_eq!(balancer.pick(0, &view, 0, &[], 0.49), Some(0));
        assert_eq!(balancer.pick(0, &view, 0, &[], 0.5), Some(2));
        let gone = Backend { healthy: false, ..busy(0, 0) };
        assert_eq!(balancer.pick(0, &[gone, busy(1, 0), busy(9, 9)], 0, &[], 0.99), Some(1));
    }

    #[test]
    fn a_backend_of_twice_the_weight_may_have_twice_as_much_to_do() {
        let mut balancer = Balancer::new(Rule::LeastBusy, 2);
        let view = |running| [Backend { weight: 2, ..busy(running, 0) }, busy(1, 0)];
        assert_eq!(balancer.pick(0, &view(2), 0, &[], 0.9), Some(0));
        assert_eq!(balancer.pick(0, &view(4), 0, &[], 0.9), Some(1));
    }
}
