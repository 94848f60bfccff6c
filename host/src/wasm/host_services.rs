//! What a guest may call, apart from the empty WASI next door: the request in hand, its plugin's state, its log.
//!
//! Every function is short and bounded, since an epoch that ends does not interrupt the host. What it takes and hands over is charged
//! to the call. Outside a behaviour's call there is no request; in a rehearsal nothing is kept or said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::Counter;
use wasmtime::component::{HasSelf, Linker};

use crate::telemetry::metrics as names;
use crate::types::limits;
use crate::wasm::bindings::simwright::plugin::{log, request, state, types};
use crate::wasm::error::{Cause, Refusal};
use crate::wasm::guest::Guest;
use crate::wasm::journal::Journal;
use crate::wasm::state::State;

pub(super) use crate::types::printable::printable;

/// What all instances of one plugin share.
#[derive(Debug)]
pub(super) struct Home {
    /// The plugin's name in the scenario.
    pub(super) name: String,
    pub(super) state: Arc<State>,
    counters: Mutex<HashMap<String, Counter>>,
    /// What the plugin says, if somebody keeps it; else it goes to the program's log and metrics.
    pub(super) journal: Option<Journal>,
}

impl Home {
    /// The home of plugin `name` with its `state`.
    pub(super) fn new(name: &str, state: Arc<State>) -> Self {
        Self { name: name.to_owned(), state, counters: Mutex::default(), journal: None }
    }

    /// A home apart from the world: with an empty state, and what the plugin says stays there.
    pub(super) fn apart(name: &str) -> Self {
        Self { journal: Some(Journal::default()), ..Self::new(name, Arc::default()) }
    }

    /// Says a line of the plugin's, without control characters.
    pub(super) fn say(&self, level: log::Level, line: &str) {
        let plugin = &self.name;
        if let Some(journal) = &self.journal {
            return journal.say(level_word(level), line);
        }
        match level {
            log::Level::Debug => tracing::debug!(plugin, "{line}"),
            log::Level::Info => tracing::info!(plugin, "{line}"),
            log::Level::Warn => tracing::warn!(plugin, "{line}"),
            log::Level::Error => tracing::error!(plugin, "{line}"),
        }
    }

    /// Adds to a counter of the plugin's own. Names beyond [`limits::PLUGIN_COUNTERS_MAX`] are not counted: each would be a
    /// series.
    fn count(&self, name: &str, by: u64) {
        if let Some(journal) = &self.journal {
            return journal.count(&printable(name), by);
        }
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get(name) {
            counter.increment(by);
        } else if counters.len() < limits::PLUGIN_COUNTERS_MAX && name.len() <= limits::PLUGIN_NAME_BYTES {
            let label = printable(name).into_owned();
            let counter = names::counter(names::PLUGIN_COUNTS, &[("plugin", &self.name), ("name", &label)]);
            counter.increment(by);
            counters.insert(name.to_owned(), counter);
        }
    }
}

/// Gives guests the services of the contract.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    request::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    state::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    log::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

impl types::Host for Guest {}

impl request::Host for Guest {
    fn body(&mut self) -> wasmtime::Result<Vec<u8>> {
        let Some(request) = self.request.clone() else { return Ok(Vec::new()) };
        self.charge(request.body.len())?;
        Ok(request.body.to_vec())
    }

    fn header(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        self.charge(name.len())?;
        // To look at each letter of a long name would take longer than a host function may.
        let Some(request) = self.request.clone().filter(|_| name.len() <= limits::PLUGIN_NAME_BYTES) else { return Ok(None) };
        let Some(value) = request.header(&name) else { return Ok(None) };
        self.charge(value.len())?;
        Ok(Some(value.to_owned()))
    }

    fn last_user_text(&mut self) -> wasmtime::Result<String> {
        let Some(request) = self.request.clone() else { return Ok(String::new()) };
        let text = request.last_user_text();
        self.charge(text.len())?;
        Ok(text.to_owned())
    }

    fn attribute(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        use crate::types::request::Role;
        self.charge(name.len())?;
        let Some(request) = self.request.clone() else { return Ok(None) };
        let value = match name.as_str() {
            "model" => request.model.to_string(),
            "tools" => request.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>().join(","),
            "system" => {
                let system = request.messages.iter().filter(|message| message.role == Role::System);
                system.map(|message| &*message.text).collect::<Vec<_>>().join("\n")
            }
            "tool-result" => match request.tool_result() {
                Some(result) => result,
                None => return Ok(None),
            },
            // Stands for a mistake of ours in a host function; nothing else can make one fail like this.
            #[cfg(test)]
            "a panic in the host" => panic!("a test of the net below host functions"),
            _ => return Ok(None),
        };
        self.charge(value.len())?;
        Ok(Some(value))
    }
}

impl state::Host for Guest {
    fn add(&mut self, key: String, delta: i64, ttl_ms: Option<u32>) -> wasmtime::Result<i64> {
        self.charge(key.len())?;
        if self.rehearsal {
            return Ok(delta);
        }
        self.home.state.add(&key, delta, ttl_ms, self.now).map_err(refused)
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.charge(key.len())?;
        if self.rehearsal {
            return Ok(None);
        }
        let value = self.home.state.get(&key, self.now);
        self.charge(value.as_ref().map_or(0, |value| value.len()))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u32>) -> wasmtime::Result<()> {
        self.charge(key.len() + value.len())?;
        if self.rehearsal {
            return Ok(());
        }
        self.home.state.set(&key, &value, ttl_ms, self.now).map_err(refused)
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.charge(message.len())?;
        if !self.may_log() {
            return Ok(());
        }
        let end = message.floor_char_boundary(limits::GUEST_LOG_LINE_BYTES);
        let line = printable(&message[..end]);
        self.home.say(level, &line);
        Ok(())
    }

    fn count(&mut self, metric: String, by: u64) -> wasmtime::Result<()> {
        self.charge(metric.len())?;
        if !self.rehearsal {
            self.home.count(&metric, by);
        }
        Ok(())
    }
}

/// The contract's word for `level`.
fn level_word(level: log::Level) -> &'static str {
    match level {
        log::Level::Debug => "debug",
        log::Level::Info => "info",
        log::Level::Warn => "warn",
        log::Level::Error => "error",
    }
}

fn refused(message: String) -> wasmtime::Error {
    Refusal::raise(Cause::State, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_a_greatest_number_of_names() {
        let home = Home::new("p", Arc::default());
        (0..1_000).for_each(|i| home.count(&i.to_string(), 1));
        assert_eq!(home.counters.lock().expect("whole").len(), limits::PLUGIN_COUNTERS_MAX);
    }
}
