//! The queue M/M/8 in two peers, so that what Simwright does a second can be compared in one run.

pub mod nexosim;
pub mod simpy;

/// Servers of the queue.
pub const SERVERS: u32 = 8;
/// Arrivals a second; each server serves one a second.
pub const ARRIVALS: f64 = 7.2;
/// The exact mean wait in seconds (Erlang C).
pub const WAIT_S: f64 = 0.876_916;

/// What a run of the queue gave.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Arrivals and ends of service.
    pub events: u64,
    /// CPU time of the run, in seconds.
    pub cpu_s: f64,
    /// The mean wait of those who were served, in seconds of the simulation.
    pub wait_s: f64,
}
