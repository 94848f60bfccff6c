//! A plugin apart from the world, to try it out: what it keeps, says and counts is seen by who tries it and by nobody else.
//!
//! `plugin test`, `plugin run` and the vectors that a reload runs use it, so that a trial beside a live plugin of the same name
//! leaves no trace in that one's state, log, metrics or breaker.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

pub use crate::wasm::journal::Said;

use metrics::Gauge;
use serde_json::Value;

use crate::behavior::catalog::Setting;
use crate::clock::Nanos;
use crate::clock::real::monotonic_ns;
use crate::types::problem::Problem;
use crate::wasm::breaker::Breaker;
use crate::wasm::chooser::{PluginChooser, PluginScaler};
use crate::wasm::error::{Cause, PluginError};
use crate::wasm::host_services::Home;
use crate::wasm::instance::SetupError;
use crate::wasm::maker::PluginMaker;
use crate::wasm::usage::Usage;
use crate::wasm::{Plugin, maker};

/// What one instance of a plugin takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Nanoseconds to make one, the quickest of several.
    pub instantiate_ns: u64,
    /// Nanoseconds to configure it, the quickest of several.
    pub configure_ns: u64,
    /// Its linear memory in bytes, once it is configured.
    pub memory_bytes: usize,
}

/// Instances that are made to see what one takes.
const INSTANCES: usize = 16;

impl Plugin {
    /// What an instance with `options` takes. Fails where it cannot be set up with them.
    pub fn room(&self, options: &Value) -> Result<Room, PluginError> {
        let mut room = Room { instantiate_ns: u64::MAX, configure_ns: u64::MAX, memory_bytes: 0 };
        let options = if options.is_null() { "{}".to_owned() } else { options.to_string() };
        for _ in 0..INSTANCES {
            let begun = monotonic_ns();
            let mut instance = self.mould.start(0)?;
            let made = monotonic_ns();
            let configured = instance.configure(&self.mould, &options, &Setting::default(), &Gauge::noop(), u32::MAX);
            let done = monotonic_ns();
            configured.map_err(|error| match error {
                SetupError::Plugin(error) => error,
                SetupError::Options(problems) => {
                    let said = problems.first().map_or_else(String::new, ToString::to_string);
                    PluginError::new(&self.name, Cause::Setup, format!("it does not accept its options: {said}"))
                }
            })?;
            room.instantiate_ns = room.instantiate_ns.min(made.saturating_sub(begun));
            room.configure_ns = room.configure_ns.min(done.saturating_sub(made));
            room.memory_bytes = room.memory_bytes.max(instance.memory_bytes());
        }
        Ok(room)
    }

    /// The same plugin to try it out, for one thread: with an empty state of its own, and asked however often it has failed. It shares
    /// the compiled code, so this is quick. `fresh_per_call` gives each call an instance of its own.
    pub fn apart(&self, fresh_per_call: bool) -> Result<Arc<Self>, PluginError> {
        let mould = self.mould.linked_to(Arc::new(Home::apart(&self.name)))?;
        let (schema, properties) =
            maker::schema(&self.about.options_schema).map_err(|message| PluginError::new(&self.name, Cause::Setup, message))?;
        Ok(Arc::new(Self {
            name: self.name.clone(),
            key: self.key.clone(),
            about: self.about.clone(),
            mould: Arc::new(mould),
            capabilities: self.capabilities,
            schema,
            properties,
            fresh_per_call,
            workers: 1,
            pools: Mutex::default(),
            breaker: Arc::new(Breaker::closed()),
            usage: Arc::new(Usage::of(1)),
            threads: Arc::clone(&self.threads),
        }))
    }

    /// Its balancer with `options`. The error is what is wrong with them.
    pub fn chooser(self: &Arc<Self>, options: &Value, setting: &Setting) -> Result<PluginChooser, Vec<Problem>> {
        PluginMaker(Arc::clone(self)).pool(options, setting).map(PluginChooser::of)
    }

    /// Its autoscaler with `options`. The error is what is wrong with them.
    pub fn scaler(self: &Arc<Self>, options: &Value, setting: &Setting) -> Result<PluginScaler, Vec<Problem>> {
        PluginMaker(Arc::clone(self)).pool(options, setting).map(PluginScaler)
    }

    /// The options that it knows.
    pub fn options(&self) -> &[String] {
        &self.properties
    }

    /// Instructions of its latest call, where these are counted and not time ([`crate::wasm::Meter::Fuel`]).
    pub fn fuel_used(&self) -> Option<u64> {
        (!self.mould.timer.is_cpu()).then(|| self.mould.fuel_used.load(Ordering::Relaxed))
    }

    /// Forgets its state.
    pub fn forget_state(&self) {
        self.mould.home().state.forget();
    }

    /// Its state at `now`: keys with what is kept under them, in order.
    pub fn state(&self, now: Nanos) -> Vec<(String, String)> {
        self.mould.home().state.list(now)
    }

    /// What it has said since this was asked last; of a plugin that is not [`Plugin::apart`], nothing.
    pub fn take_said(&self) -> Said {
        self.mould.home().journal.as_ref().map(|journal| journal.take()).unwrap_or_default()
    }

    /// Has it looked at a clock of WASI's while it decided? Of a plugin that is not [`Plugin::apart`], nobody knows.
    pub fn looked_at_clock(&self) -> bool {
        self.mould.home().journal.as_ref().is_some_and(|journal| journal.looked_at_clock())
    }
}
