//! What a caller may still ask for within a minute: the numbers that vendors tell in their answers' headers.

/// What is left of both budgets, as a request has just been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests.
    pub requests: Left,
    /// Tokens, of prompts and replies together.
    pub tokens: Left,
}

/// What is left of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The whole budget of a minute.
    pub limit: u32,
    /// How much of it could be used at once now.
    pub remaining: u32,
    /// Time until all of it is there again, in nanoseconds.
    pub reset_ns: u64,
}
