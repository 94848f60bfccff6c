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
        let waiting = f64::from(sight.waiting);
        let loads = [
            (sight.busy, self.busy),
            (f64::from(sight.running) + waiting, self.requests),
            (waiting, self.waiting),
            (sight.kv, self.kv),
        ];
        let wishes = loads.into_iter().filter_map(|(load, target)| {
            let ratio = load / (target? * f64::from(sight.wanted));
            let is_near = (ratio - 1.0).abs() <= self.tolerance;
            // A load that is a sum of shares may be off by the last bit: 2.1 / 0.7 is not to be 4.
            let enough = (load / target? - 1e-9).ceil().max(0.0);
            Some(if is_near { sight.wanted } else { enough as u32 })
        });
        wishes.max().unwrap_or(sight.wanted)
    }
}
