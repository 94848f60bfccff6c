//! Simwright simulates LLM services: behaviours decide, machines act.
//!
//! Reading order, from the floor up: [`types`], [`clock`], [`random`] and [`worker`] are the words. [`behavior`] holds the
//! contracts that native behaviours and plugins fulfil; [`scenario`] is what a person writes; [`dialect`] knows vendors' JSON.

pub mod behavior;
pub mod builtin;
pub mod clock;
pub mod dialect;
pub mod random;
pub mod scenario;
pub mod telemetry;
pub mod types;
pub mod worker;
