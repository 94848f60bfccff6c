//! So many replicas that each has its share of the load: the load divided by what one shall bear, rounded up. Of several loads the one
//! counts that asks for most. This is the formula of Kubernetes' horizontal pod autoscaler for values that are sums, with its tolerance
//! (`kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale`, "algorithm details").

use crate::station::autoscaler::Sight;

/// What one replica shall bear. Each is above 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Target {
    /// The share of its time that it computes.
    pub busy: Option<f64>,
    /// Its requests, waiting ones included.
    pub requests: Option<f64>,
    /// The requests that wait for it.
    pub waiting: Option<f64>,
    /// The share of its KV cache in use.
    pub kv: Option<f64>,
    /// How far the load may be from the target, as a share of it, before anything is wished.
    pub tolerance: f64,
}

impl Target {
    pub(super) fn wish(&self, sight: &Sight) -> u32 {
        self.wishes(sight).map(|(wish, ..)| wish).max().unwrap_or(sight.wanted)
    }

    /// Which load asks for most, and what one replica shall bear of it.
    pub(super) fn reason(&self, sight: &Sight) -> String {
        let asks_most = self.wishes(sight).reduce(|most, next| if next.0 > most.0 { next } else { most });
        asks_most.map_or_else(String::new, |(_, name, load, target)| {
            format!("`{name}` is {load:.2}, and one replica shall have {target:.2}")
        })
    }

    /// What each load that has a target asks for, with its name and both.
    fn wishes(&self, sight: &Sight) -> impl Iterator<Item = (u32, &'static str, f64, f64)> {
        let waiting = f64::from(sight.waiting);
        let loads = [
            ("busy", sight.busy, self.busy),
            ("requests", f64::from(sight.running) + waiting, self.requests),
            ("waiting", waiting, self.waiting),
            ("kv", sight.kv, self.kv),
        ];
        let (wanted, tolerance) = (sight.wanted, self.tolerance);
        loads.into_iter().filter_map(move |(name, load, target)| {
            let target = target?;
            let ratio = load / (target * f64::from(wanted));
            let is_near = (ratio - 1.0).abs() <= tolerance;
            // A load that is a sum of shares may be off by the last bit: 2.1 / 0.7 is not to be 4.
            let enough = (load / target - 1e-9).ceil().max(0.0);
            Some((if is_near { wanted } else { enough as u32 }, name, load, target))
        })
    }
}
