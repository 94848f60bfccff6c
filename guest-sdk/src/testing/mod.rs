//! Calls a plugin without a component: a call and a setting are built, the host is a fake that the test can look into.
//!
//! [`plugin`] makes an instance from options as a scenario would. [`call`] builds a call, [`ask`] with
//! [`backend`] and [`group`] what balancers and autoscalers are asked with, [`setting`] what the instance is told.
//! [`FakeHost`] answers what the plugin asks for (body, headers, state) and keeps what it says (logs, counters). It belongs to
//! the test's thread, and tests run on threads of their own, so they do not disturb each other.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod fake;
mod setters;
mod stations;

use std::time::Duration;

use crate::call::{Call, Traits};
use crate::options;
use crate::plugin::{Names, Plugin, Problem, Setting};

#[cfg(not(target_arch = "wasm32"))]
pub use fake::FakeHost;
pub use stations::{AskBuilder, BackendBuilder, GroupBuilder, ask, backend, group};

/// An instance made from options as JSON text, in the default [`setting`].
///
/// ```
/// use simwright_sdk::prelude::*;
/// use simwright_sdk::testing;
///
/// options! { pub struct Teapot { pub status: u32 = 418, in 400..=599; } }
///
/// impl Fault for Teapot {
///     fn decide(&self, _call: &Call) -> Verdict {
///         Verdict::http(self.status as u16)
///     }
/// }
///
/// let teapot: Teapot = testing::plugin(r#"{"status": 503}"#).unwrap();
/// assert_eq!(teapot.decide(&testing::call().attempt(1).build()), Verdict::http(503));
/// ```
pub fn plugin<T: Plugin>(options_json: &str) -> Result<T, Vec<Problem>> {
    plugin_in(options_json, &setting().build())
}

/// An instance made from options as JSON text, in a setting of the test's choice.
pub fn plugin_in<T: Plugin>(options_json: &str, setting: &Setting) -> Result<T, Vec<Problem>> {
    T::configure(options::parse(options_json)?, setting)
}

/// Begins a call: a streamed chat, first attempt, at the beginning of the run.
pub fn call() -> CallBuilder {
    CallBuilder(Call {
        identity: 1,
        attempt: 0,
        occurrence: 0,
        seed: 1,
        now_ns: 0,
        model: 0,
        tenant: 0,
        stage: 0,
        operation: 1,
        input_tokens: 100,
        max_output_tokens: 1_000,
        running: 0,
        waiting: 0,
        traits: Traits::STREAMING,
    })
}

/// Builds a [`Call`].
#[derive(Debug, Clone)]
pub struct CallBuilder(Call);

setters::asked!(CallBuilder);
setters::timed!(CallBuilder);
setters::loaded!(CallBuilder);

impl CallBuilder {
    /// How often this identity and attempt has been seen before.
    #[must_use]
    pub fn occurrence(mut self, occurrence: u32) -> Self {
        self.0.occurrence = occurrence;
        self
    }

    /// Index of the scenario's model entry.
    #[must_use]
    pub fn model(mut self, model: u32) -> Self {
        self.0.model = model;
        self
    }

    /// Tokens of the prompt, and the most that the reply may have.
    #[must_use]
    pub fn tokens(mut self, input: u32, max_output: u32) -> Self {
        self.0.input_tokens = input;
        self.0.max_output_tokens = max_output;
        self
    }

    /// Exactly these traits.
    #[must_use]
    pub fn traits(mut self, traits: Traits) -> Self {
        self.0.traits = traits;
        self
    }

    /// The call.
    pub fn build(self) -> Call {
        self.0
    }
}

/// Begins a setting: no names, an epoch of 0 (1970-01-01T00:00:00Z).
pub fn setting() -> SettingBuilder {
    SettingBuilder(Setting { names: Names { models: Vec::new(), tenants: Vec::new(), stages: Vec::new() }, epoch_unix_s: 0 })
}

/// Builds a [`Setting`].
#[derive(Debug, Clone)]
pub struct SettingBuilder(Setting);

impl SettingBuilder {
    /// Unix time in seconds at which the run begins.
    #[must_use]
    pub fn epoch(mut self, unix_s: u64) -> Self {
        self.0.epoch_unix_s = unix_s;
        self
    }

    /// Names of the scenario's model entries.
    #[must_use]
    pub fn models<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.0.names.models = names.map(str::to_owned).to_vec();
        self
    }

    /// Names of tenants or tiers.
    #[must_use]
    pub fn tenants<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.0.names.tenants = names.map(str::to_owned).to_vec();
        self
    }

    /// The setting.
    pub fn build(self) -> Setting {
        self.0
    }
}
