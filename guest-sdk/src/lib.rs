//! Write Simwright plugins in Rust: behaviours that a simulated LLM service asks once a request.
//!
//! Reading order: [`plugin`] is how a plugin is set up, [`options`] how a scenario configures it. [`fault`], [`responder`] and
//! [`latency`] are the kinds of behaviour that a request asks, each a trait with the values that it answers; [`call`] is the request
//! in hand. [`balancer`] and [`autoscaler`] belong to a group of replicas: which of them takes a request, and how many there shall be.
//! [`random`] draws, [`state`] and [`log`](mod@log) talk to the host. [`export!`] makes a component of a type, [`testing`] calls
//! it without one, [`prelude`] brings what almost every plugin names. Everything compiles for the machine you work on, so a
//! plugin's tests are plain `cargo test`.

#[doc(hidden)]
pub mod bindings;

pub mod autoscaler;
pub mod balancer;
pub mod call;
pub mod export;
pub mod fault;
pub mod latency;
pub mod log;
pub mod options;
pub mod plugin;
pub mod random;
pub mod responder;
pub mod state;
pub mod testing;

mod host;

pub use serde_json as json;

/// What almost every plugin names. With it, a whole plugin is this long:
///
/// ```
/// use simwright_sdk::prelude::*;
///
/// options! {
///     /// Answers as fast as it is told.
///     pub struct Steady {
///         /// Time to the first token.
///         pub first: Duration = ms(200);
///     }
/// }
///
/// impl Latency for Steady {
///     fn plan(&self, _call: &Call, _output_tokens: u32) -> Schedule {
///         Schedule::steady(self.first, ms(20))
///     }
/// }
///
/// export!(Steady: latency);
/// ```
pub mod prelude {
    pub use std::time::Duration;

    pub use crate::autoscaler::{Autoscaler, Decision, Group, Wish};
    pub use crate::balancer::{Ask, Backend, Balancer, Choice};
    pub use crate::call::Call;
    pub use crate::fault::{Cut, Damage, Fault, HttpError, Position, Verdict};
    pub use crate::latency::{Delay, Latency, Schedule, ms, us};
    pub use crate::options::Share;
    pub use crate::plugin::{Clock, Plugin, Problem, Setting};
    pub use crate::random::{Key, Rng};
    pub use crate::responder::{Answer, Finish, Item, Responder};
    pub use crate::{export, log, options, state};
}
