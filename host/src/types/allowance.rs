//! What a caller may ask for, and what is left of it: the numbers that vendors tell in their answers' headers.

/// A limit over a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests or tokens a period; at least 1.
    pub limit: u32,
    /// The period in nanoseconds; at least 1.
    pub period_ns: u64,
    /// How much may be used at once by who has used nothing for long; at least 1. Usually the limit itself.
    pub burst: u32,
}

impl Window {
    /// A window whose whole limit may be used at once.
    pub const fn whole(limit: u32, period_ns: u64) -> Self {
        Self { limit, period_ns, burst: limit }
    }
}

/// What is left of both budgets, as a request has just been counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests; `None` if nothing limits them.
    pub requests: Option<Left>,
    /// Tokens, of prompts and replies together; `None` if nothing limits them.
    pub tokens: Option<Left>,
}

/// What is left of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The whole budget of its window.
    pub limit: u32,
    /// How much of it could be used at once now.
    pub remaining: u32,
    /// Time until all of it is there again, in nanoseconds.
    pub reset_ns: u64,
}
