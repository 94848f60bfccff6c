//! Forges plugins that no compiler would make: a core module as text, with whatever is wrong put in its place, made a component.
//!
//! Without any mischief the plugin is a good one: each function answers with a place in memory where all is zero, which reads as empty
//! texts, `ok`, and `pass`.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::behavior::fault::{Fault, Verdict};
use crate::types::limits;
use crate::wasm::instance::CONTRACT;
use crate::wasm::tests::support::{call, host, request};
use crate::wasm::{LoadSpec, PluginError};

/// What differs from a good plugin, in WebAssembly text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forged<'a> {
    /// The module's memory.
    pub(super) memory: &'a str,
    /// More fields of the module; imports of the contract among them stand first.
    pub(super) fields: &'a str,
    /// Done before each function answers.
    pub(super) realloc: &'a str,
    pub(super) describe: &'a str,
    pub(super) configure: &'a str,
    pub(super) decide: &'a str,
    /// Done when the answer of `decide` has been read.
    pub(super) post: &'a str,
}

/// Never ends.
pub(super) const LOOP: &str = "(loop $for_ever (br $for_ever))";

impl Default for Forged<'_> {
    fn default() -> Self {
        let memory = r#"(memory (export "memory") 1)"#;
        Self { memory, fields: "", realloc: "", describe: "", configure: "", decide: "", post: "" }
    }
}

impl Forged<'_> {
    /// The core module, as text.
    fn module(&self) -> String {
        let Self { memory, fields, realloc, describe, configure, decide, post } = self;
        let export = |interface: &str, function: &str| format!("simwright:plugin/{interface}@{CONTRACT}#{function}");
        let (say, set_up, ask) = (export("lifecycle", "describe"), export("lifecycle", "configure"), export("fault", "decide"));
        // Answers lie at 1024 and what the host hands over from 4096 on, so that nobody writes where zeros must be.
        format!(
            r#"(module
                {fields}
                {memory}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc} (i32.const 4096))
                (func (export "{say}") (result i32) {describe} (i32.const 1024))
                (func (export "{set_up}") (param i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32) {configure} (i32.const 1024))
                (func (export "{ask}") (param i64 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                    {decide} (i32.const 1024))
                (func (export "cabi_post_{ask}") (param i32) {post})
            )"#
        )
    }

    /// The plugin as a component. Mischief that the encoder itself would refuse is not for here.
    pub(super) fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).unwrap_or_else(|error| panic!("{error}"));
        let mut resolve = Resolve::default();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let (package, _) = resolve.push_dir(folder).expect("the contract");
        let world = resolve.select_world(&[package], Some("fault-plugin")).expect("a world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a module");
        ComponentEncoder::default().validate(false).module(&module).and_then(|mut encoder| encoder.encode()).expect("a component")
    }

    /// Loads it as the plugin `name`.
    pub(super) fn load(&self, name: &str) -> Result<std::sync::Arc<crate::wasm::Plugin>, PluginError> {
        host().load(LoadSpec::new(name, &self.component()))
    }

    /// Loads it and makes its fault. Panics if it is refused.
    pub(super) fn fault(&self, name: &str) -> std::sync::Arc<dyn Fault> {
        let plugin = self.load(name).unwrap_or_else(|error| panic!("{error}"));
        let mut catalog = crate::behavior::catalog::Catalog::default();
        plugin.register(&mut catalog);
        let setting = crate::behavior::catalog::Setting::default();
        catalog.fault[name].make(&serde_json::json!({}), &setting).expect("a fault")
    }
}

/// What `fault` says to call `number`, far from the last in plan time, so that no breaker opens.
pub(super) fn ask(fault: &dyn Fault, number: u64) -> Result<Verdict, crate::behavior::call::BehaviorError> {
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
