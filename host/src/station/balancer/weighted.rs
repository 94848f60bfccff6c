//! In turn, each as often as its weight says, and spread evenly: nginx's smooth weighted round robin (nginx commit 52327e0627f4, 2012).
//!
//! At each pick every backend gains its weight, the one that has most is taken and pays the sum of all weights.

use super::{Ask, Choose};

/// What each backend has gained.
#[derive(Debug, Default)]
pub(super) struct Weighted {
    gained: Vec<i64>,
}

impl Choose for Weighted {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        self.gained.resize(ask.view.len(), 0);
        let mut sum = 0;
        let mut most = None;
        for place in ask.open() {
            let weight = i64::from(ask.view[place].weight);
            self.gained[place] += weight;
            sum += weight;
            if most.is_none_or(|most: usize| self.gained[place] > self.gained[most]) {
                most = Some(place);
            }
        }
        self.gained[most?] -= sum;
        most
    }
}

#[cfg(test)]
mod tests {
    use crate::station::balancer::{Backend, Balancer, Rule};

    fn turns(balancer: &mut Balancer, weights: &[u32], count: usize) -> Vec<usize> {
        let view: Vec<Backend> = weights.iter().map(|weight| Backend { weight: *weight, ..Backend::default() }).collect();
        (0..count).map(|_| balancer.pick(0, &view, 0, &[], 0.0).expect("an open backend")).collect()
    }

    #[test]
    fn turns_are_spread_as_nginx_spreads_them() {
        assert_eq!(turns(&mut Balancer::new(Rule::Weighted, 3), &[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn over_a_round_each_has_exactly_its_share() {
        let weights = [7, 3, 0, 2];
        let mut balancer = Balancer::new(Rule::Weighted, 4);
        for _ in 0..3 {
            let round = turns(&mut balancer, &weights, 12);
            let shares = [0, 1, 2, 3].map(|place| round.iter().filter(|taken| **taken == place).count() as u32);
            assert_eq!(shares, weights);
        }
    }
}
