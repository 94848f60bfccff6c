//! Any of those that are open, each alike.

use super::{Ask, Choose, below};

/// Needs no memory.
#[derive(Debug)]
pub(super) struct Random;

impl Choose for Random {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let count = ask.open_count();
        ask.open_at(below(ask.draw, count), count)
    }
}

#[cfg(test)]
mod tests {
    use crate::station::balancer::{Backend, Balancer, Rule};

    #[test]
    fn the_draw_alone_decides_among_those_that_are_open() {
        let mut view = [Backend::default(); 4];
        view[1].healthy = false;
        let mut balancer = Balancer::new(Rule::Random, 4);
        let taken = [0.0, 0.33, 0.34, 0.66, 0.67, 0.999].map(|draw| balancer.pick(0, &view, 0, &[], draw));
        assert_eq!(taken, [0, 0, 2, 2, 3, 3].map(Some));
    }
}
