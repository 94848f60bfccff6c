//! Forges plugins that no compiler would make: text, with whatever is wrong put in its place (`forged.wat`).
//!
//! Without any mischief the plugin is a good one: each function answers with a place in memory where all is zero, which reads as empty
//! texts, `ok`, and `pass`.

use std::sync::Arc;

use crate::behavior::call::BehaviorError;
use crate::behavior::catalog::{Catalog, Setting};
use crate::behavior::fault::{Fault, Verdict};
use crate::types::limits;
use crate::wasm::contract::CONTRACT;
use crate::wasm::tests::support::{PATIENCE_US, call, host, request};
use crate::wasm::{LoadSpec, Plugin, PluginError};

/// What differs from a good plugin, in WebAssembly text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forged<'a> {
    /// The module's memory, and what is in it at the start.
    pub(super) memory: &'a str,
    /// More fields of the module.
    pub(super) fields: &'a str,
    /// Done where the host asks for room.
    pub(super) realloc: &'a str,
    /// Done before each function answers.
    pub(super) describe: &'a str,
    pub(super) configure: &'a str,
    pub(super) decide: &'a str,
    /// Done when the answer of `decide` has been read.
    pub(super) post: &'a str,
    /// The function of the contract that it imports, if any; the module calls it `$service`.
    pub(super) service: Option<Service>,
}

/// A function that the host gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// Its interface.
    pub(super) interface: &'static str,
    /// Its name there.
    pub(super) name: &'static str,
    /// Types that it needs, in the text of an instance's type.
    pub(super) types: &'static str,
    /// Its own type.
    pub(super) ty: &'static str,
    /// The same as a core function.
    pub(super) core: &'static str,
}

/// Never ends.
pub(super) const LOOP: &str = "(loop $for_ever (br $for_ever))";

impl Default for Forged<'_> {
    fn default() -> Self {
        let memory = r#"(memory (export "memory") 1)"#;
        Self { memory, fields: "", realloc: "", describe: "", configure: "", decide: "", post: "", service: None }
    }
}

impl Forged<'_> {
    /// The plugin as a component.
    pub(super) fn component(&self) -> Vec<u8> {
        self.component_of(CONTRACT)
    }

    /// The same of another `version` of the contract.
    pub(super) fn component_of(&self, version: &str) -> Vec<u8> {
        let [mut imported, mut lowered, mut taken, mut given] = [const { String::new() }; 4];
        if let Some(Service { interface, name, types, ty, core }) = self.service {
            imported = format!(
                r#"(import "simwright:plugin/{interface}@{version}" (instance $service {types} (export "{name}" (func {ty}))))
                   (alias export $service "{name}" (func $service))"#
            );
            lowered =
                "(core func $service (canon lower (func $service) (memory $memory) (realloc $realloc) string-encoding=utf8))"
                    .to_owned();
            taken = format!(r#"(import "service" "call" (func $service {core}))"#);
            given = r#"(with "service" (instance (export "call" (func $service))))"#.to_owned();
        }
        let text = [
            ("version", version),
            ("services-imported", &imported),
            ("services-lowered", &lowered),
            ("services-taken", &taken),
            ("services-given", &given),
            ("memory", self.memory),
            ("fields", self.fields),
            ("realloc", self.realloc),
            ("describe", self.describe),
            ("configure", self.configure),
            ("decide", self.decide),
            ("post", self.post),
        ]
        .iter()
        .fold(include_str!("forged.wat").to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
        wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Loads it as the plugin `name`.
    pub(super) fn load(&self, name: &str) -> Result<Arc<Plugin>, PluginError> {
        host().load(LoadSpec::new(name, &self.component()))
    }

    /// Loads it and makes its fault. Panics if it is refused.
    pub(super) fn fault(&self, name: &str) -> Arc<dyn Fault> {
        self.fault_with_time(name, PATIENCE_US)
    }

    /// The same with another CPU time of one call, in microseconds.
    pub(super) fn fault_with_time(&self, name: &str, time_us: u64) -> Arc<dyn Fault> {
        let bytes = self.component();
        let spec = LoadSpec { time_us, ..LoadSpec::new(name, &bytes) };
        let plugin = host().load(spec).unwrap_or_else(|error| panic!("{error}"));
        let mut catalog = Catalog::default();
        plugin.register(&mut catalog);
        catalog.fault[name].make(&serde_json::json!({}), &Setting::default()).expect("a fault")
    }
}

/// What `fault` says to call `number`, far from the last in plan time, so that no breaker opens.
pub(super) fn ask(fault: &dyn Fault, number: u64) -> Result<Verdict, BehaviorError> {
    let request = request();
    let mut call = call(number, &request);
    call.now = number * limits::PLUGIN_BREAKER_WINDOW_MS * 1_000_000;
    fault.decide(&call)
}

#[test]
fn a_plugin_that_is_forged_without_mischief_is_a_good_one() {
    let fault = Forged::default().fault("forged");
    assert!((0..100).all(|number| ask(&*fault, number) == Ok(Verdict::Pass)));
}
