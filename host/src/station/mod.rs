//! What a request waits for or passes through: state machines that are told the time. No clock, no I/O, no randomness of their own,
//! so that real and virtual time use the same ones.
//!
//! [`quota`] counts requests and tokens against a minute's budget.

pub mod quota;
