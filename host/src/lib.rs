//! Simwright simulates LLM services: behaviours decide, machines act.
//!
//! Reading order, from the floor up: [`types`], [`clock`], [`random`] and [`worker`] are the words. [`behavior`] holds the
//! contracts that native behaviours and plugins fulfil; [`scenario`] is what a person writes; [`dialect`] knows vendors' JSON.

pub mod admin;
pub mod behavior;
pub mod clock;
pub mod connection;
pub mod dialect;
pub mod engine;
pub mod http;
pub mod plan;
pub mod random;
pub mod scenario;
pub mod stats;
pub mod telemetry;
pub mod types;
pub mod worker;
