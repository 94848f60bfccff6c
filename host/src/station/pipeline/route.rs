//! A pipeline as it is walked: a flat list of steps, made once from what a scenario says.
//!
//! Steps name others by their index. A walk begins at the first; each branch of a fork is a walk of its own that ends at the
//! fork's join.

use crate::clock::Nanos;

/// The way of one model's requests.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Route {
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Names of the stages, by [`Stage::index`].
    pub stages: Vec<String>,
}

/// One step of a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Goes through a stage.
    Stage(Stage),
    /// Goes several ways at once. The walk goes on after `join` once so many branches as `need` says have arrived there.
    Fork {
        /// The first step of each branch.
        branches: Box<[u16]>,
        /// The step at which they meet.
        join: u16,
        /// How many must arrive; the others are given up then.
        need: u16,
        /// Where to go on when so many cannot arrive any more; the request is refused without one.
        on_failure: Option<u16>,
    },
    /// The end of a branch.
    Join,
    /// Goes one of several ways: the plan has decided which.
    Switch {
        /// Index in the plan's choices.
        choice: u16,
        /// The first step of each way.
        ways: Box<[u16]>,
    },
    /// Goes on elsewhere.
    Jump(u16),
    /// The end of the way.
    End,
}

/// One stage: what a request waits for, passes through, and how long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stage {
    /// Index in [`Route::stages`], and of the times that the plan has drawn.
    pub index: u16,
    /// The station that it goes through: index in [`super::Site`]'s stations. Without one nobody waits.
    pub through: Option<u16>,
    /// The circuit breaker that it is behind.
    pub guard: Option<u16>,
    /// What may be retried, and the budget for that.
    pub retry: Option<StageRetry>,
    /// The time within which it must be done, or the reply begun, from entering; 0 if there is none.
    pub within_ns: Nanos,
    /// The share of attempts that fail after their time.
    pub fails: f64,
    /// Not even tried while so many wait for its station or more.
    pub skip_waiting: Option<u32>,
    /// Where to go on when it fails; the request is refused without one.
    pub on_failure: Option<u16>,
    /// For caches: where to go on after a hit.
    pub on_hit: Option<u16>,
    /// Does it change what it works on? Decides between a pool's shares for reads and writes.
    pub writes: bool,
    /// Is the reply written here, and how?
    pub reply: Option<ReplyBy>,
}

/// How a reply is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyBy {
    /// As the plan's latency model says.
    Timing,
    /// By the replica that the stage goes through, step by step.
    Replica,
    /// All at once: it was there already.
    Instant,
    /// All at once, and it is another text: the index of it in the model's prepared texts.
    Prepared(u16),
}

/// What a stage does about failures before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageRetry {
    /// Attempts after the first.
    pub times: u8,
    /// Where the times begin that the plan has drawn for them.
    pub takes_from: u16,
    /// The retry budget that each of them needs: index in [`super::Site`]'s stations.
    pub budget: Option<u16>,
}
