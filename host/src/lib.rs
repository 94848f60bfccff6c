//! Simwright simulates LLM services: behaviours decide, machines act.
//!
//! Reading order, from the floor up. [`types`], [`clock`], [`random`], [`stats`] and [`worker`] are the words. [`grammar`] is what
//! people write that is more than a word. [`behavior`] holds the contracts that native behaviours ([`builtin`]) and plugins ([`wasm`]) fulfil; [`scenario`] is what a person writes, [`workload`] who asks
//! what and when; [`telemetry`] is what the program says about itself, [`pack`] what teams share. [`dialect`] knows vendors' JSON, [`project`] makes plugins of sources, [`station`]s are what requests pass through, and [`report`]
//! judges a run. [`plan`] turns a request into a plan, once, and [`engine`] plays plans in real time, [`fleet`] in virtual time. [`vectors`] are tests of plugins. [`http`] and [`admin`] are the
//! doors, both made of [`connection`]s. [`app`] knows every part, and [`cli`] is the command line.

pub mod admin;
pub mod app;
pub mod behavior;
pub mod builtin;
pub mod cli;
pub mod clock;
pub mod connection;
pub mod dialect;
pub mod engine;
pub mod fleet;
pub mod grammar;
pub mod http;
pub mod interest;
pub mod pack;
pub mod plan;
pub mod project;
pub mod random;
pub mod report;
pub mod scenario;
pub mod station;
pub mod stats;
pub mod telemetry;
pub mod types;
pub mod vectors;
pub mod wasm;
pub mod worker;
pub mod workload;
