//! What a caller may still ask for: the numbers that vendors tell in their answers' headers.

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
