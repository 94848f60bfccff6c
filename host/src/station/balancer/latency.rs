//! The one of two that has answered sooner and has less to do: Finagle's peak EWMA (`finagle-core`, `loadbalancer/PeakEwma.scala`).
//!
//! A backend's latency is remembered so that a slower answer counts at once and in full, and faster ones pull it down with time:
//! after `t` without an answer it has faded by exp(-t/decay). Its cost is that latency times what it would have to do. A backend never
//! heard of is tried when idle, and shunned while its first answer is out. Of two that are drawn the cheaper is taken, as in Finagle,
//! so that not all run to the same one.

use super::{Ask, Choose};
use crate::clock::Nanos;

/// The cost of a backend that has work and has never answered, above every latency: 2^47 ns are 39 hours, as in Finagle.
const UNHEARD: f64 = (1_u64 << 47) as f64;

#[derive(Debug, Clone, Copy, Default)]
struct Peak {
    latency_ns: f64,
    heard_at: Nanos,
}

impl Peak {
    fn kept(&self, now: Nanos, decay_ns: Nanos) -> f64 {
        libm::exp(-(now.saturating_sub(self.heard_at) as f64) / decay_ns as f64)
    }

    fn hear(&mut self, now: Nanos, decay_ns: Nanos, latency_ns: f64) {
        let kept = self.kept(now, decay_ns);
        let eased = self.latency_ns * kept + latency_ns * (1.0 - kept);
        // What has faded below the new answer is replaced by it: a peak counts in full.
        self.latency_ns = if latency_ns > self.latency_ns * kept { latency_ns } else { eased };
        self.heard_at = self.heard_at.max(now);
    }
}

/// What is remembered of each backend.
#[derive(Debug)]
pub(super) struct Latency {
    decay_ns: Nanos,
    peaks: Vec<Peak>,
}

impl Latency {
    pub(super) fn new(decay_ns: Nanos, count: usize) -> Self {
        Self { decay_ns, peaks: vec![Peak::default(); count] }
    }
}

impl Choose for Latency {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        if ask.view.len() > self.peaks.len() {
            self.peaks.resize(ask.view.len(), Peak::default());
        }
        let cost = |place: usize| {
            let (peak, busy) = (&self.peaks[place], ask.view[place].busy() as f64);
            match peak.latency_ns {
                0.0 if busy > 0.0 => UNHEARD + busy,
                latency_ns => latency_ns * peak.kept(ask.now, self.decay_ns) * (busy + 1.0),
            }
        };
        ask.cheaper_of_two(cost)
    }

    fn served(&mut self, now: Nanos, backend: usize, latency_ns: Nanos) {
        if let Some(peak) = self.peaks.get_mut(backend) {
            peak.hear(now, self.decay_ns, latency_ns as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::station::balancer::{Backend, Balancer, Rule};

    const S: Nanos = 1_000_000_000;
    const RULE: Rule = Rule::Latency { decay_ns: 10 * S };

    #[test]
    fn a_peak_counts_at_once_and_fades_with_time() {
        let mut peak = Peak::default();
        peak.hear(S, 10 * S, 5.0);
        assert_eq!(peak.latency_ns, 5.0);
        peak.hear(S, 10 * S, 80.0);
        assert_eq!(peak.latency_ns, 80.0);
        // Ten seconds later the old one counts 1/e.
        peak.hear(11 * S, 10 * S, 8.0);
        let kept = libm::exp(-1.0);
        assert!((peak.latency_ns - (80.0 * kept + 8.0 * (1.0 - kept))).abs() < 1e-9);
        // Faded to 10.9 by then, 12 is a peak again.
        peak.hear(22 * S, 10 * S, 12.0);
        assert_eq!(peak.latency_ns, 12.0);
    }

    #[test]
    fn the_faster_of_two_takes_it_until_it_has_too_much_to_do() {
        let mut balancer = Balancer::new(RULE, 2);
        balancer.served(S, 0, 100);
        balancer.served(S, 1, 350);
        let pick = |balancer: &mut Balancer, running, draw| {
            balancer.pick(S, &[Backend { running, ..Backend::default() }, Backend::default()], 0, &[], draw)
        };
        for draw in [0.2, 0.7] {
            assert_eq!(pick(&mut balancer, 2, draw), Some(0));
            assert_eq!(pick(&mut balancer, 3, draw), Some(1));
        }
    }

    #[test]
    fn an_unknown_backend_is_tried_once_and_then_waited_for() {
        let mut balancer = Balancer::new(RULE, 2);
        balancer.served(S, 0, 100 * S);
        let busy = Backend { running: 1, ..Backend::default() };
        assert_eq!(balancer.pick(S, &[busy, Backend::default()], 0, &[], 0.0), Some(1));
        assert_eq!(balancer.pick(S, &[busy, busy], 0, &[], 0.9), Some(0));
    }
}
