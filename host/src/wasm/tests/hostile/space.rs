//! P2 and P3: guests that want more memory, more parts and more stack than there is.

use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection, ComponentInstanceSection,
};
use wasm_encoder::{ComponentSectionId, InstanceSection, ModuleArg, ModuleSection, RawSection};

use super::size;
use crate::behavior::fault::Verdict;
use crate::types::limits;
use crate::wasm::contract::CONTRACT;
use crate::wasm::tests::forge::{Forged, ask};
use crate::wasm::tests::support::host;
use crate::wasm::{Cause, LoadSpec};

/// The plugin is refused before it is asked anything, for `cause` and with `words`.
#[track_caller]
fn refused(name: &str, bytes: &[u8], cause: Cause, words: &str) {
    let error = host().load(LoadSpec::new(name, bytes)).err().expect("a refusal");
    assert_eq!(error.cause, cause, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

// P2: the instructions themselves say no, and a guest that minds no refusal goes on.
#[test]
fn memory_and_tables_that_do_not_fit_do_not_grow() {
    let fields = "(table $many 0 funcref)";
    let decide = "
        (if (i32.ne (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 256)) (i32.const -1)) (then unreachable))
        (if (i32.ne (table.grow $many (ref.null func) (i32.const -1)) (i32.const -1)) (then unreachable))";
    let fault = Forged { fields, decide, ..Forged::default() }.fault("grows");
    assert!((1..100).all(|number| ask(&*fault, number) == Ok(Verdict::Pass)));
}

// P2: memory at the start beyond what a plugin is given, beyond what any plugin may be given, and all there is.
#[test]
fn a_plugin_that_starts_larger_than_its_limit_is_refused() {
    let pages = limits::GUEST_MEMORY_BYTES / 65_536 + 1;
    for (name, pages, cause) in
        [("large", pages, Cause::Memory), ("larger", 5_000, Cause::Size), ("largest", 65_536, Cause::Size)]
    {
        let memory = format!(r#"(memory (export "memory") {pages})"#);
        refused(name, &Forged { memory: &memory, ..Forged::default() }.component(), cause, "memory");
    }
}

// P2: a hundred memories.
#[test]
fn a_plugin_of_many_memories_is_refused() {
    let fields = "(memory 1)".repeat(99);
    let plugin = Forged { memory: r#"(memory (export "memory") 1)"#, fields: &fields, ..Forged::default() };
    refused("many-memories", &plugin.component(), Cause::File, "multiple memories");
}

// P2: ten megabytes of globals, and as many as the format allows at all.
#[test]
fn a_plugin_of_many_globals_is_refused() {
    for (name, number, cause) in [("globals", 640_000, Cause::Size), ("more-globals", 1_000_001, Cause::File)] {
        let fields = "(global (mut i64) (i64.const 0))".repeat(number);
        refused(name, &Forged { fields: &fields, ..Forged::default() }.component(), cause, "");
    }
}

/// A component around `inner` that exports what it exports, and has `modules` instances of a core module of its own besides.
pub(in crate::wasm::tests) fn around(inner: &[u8], modules: u32) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&RawSection { id: ComponentSectionId::Component as u8, data: inner });
    let mut instances = ComponentInstanceSection::new();
    instances.instantiate(0, [] as [(&str, ComponentExportKind, u32); 0]);
    component.section(&instances);
    if modules > 0 {
        component.section(&ModuleSection(&wasm_encoder::Module::new()));
        let mut own = InstanceSection::new();
        for _ in 0..modules {
            own.instantiate(0, [] as [(&str, ModuleArg); 0]);
        }
        component.section(&own);
    }
    let names = ["lifecycle", "fault"].map(|interface| format!("simwright:plugin/{interface}@{CONTRACT}"));
    let mut aliases = ComponentAliasSection::new();
    for name in &names {
        aliases.alias(Alias::InstanceExport { instance: 0, kind: ComponentExportKind::Instance, name });
    }
    component.section(&aliases);
    let mut exports = ComponentExportSection::new();
    for (index, name) in (1..).zip(&names) {
        exports.export(name.as_str(), ComponentExportKind::Instance, index, None);
    }
    component.section(&exports);
    component.finish()
}

// P2: a thousand core instances.
#[test]
fn a_plugin_of_many_instances_is_refused() {
    let good = Forged::default().component();
    host().load(LoadSpec::new("nested", &around(&good, 10))).expect("a few are fine");
    refused("many-instances", &around(&good, 900), Cause::Size, "instances");
    // More than the format itself allows.
    refused("more-instances", &around(&good, 1_000), Cause::File, "instances");
}

// P15: components within components.
#[test]
fn a_plugin_that_is_nested_deeply_is_loaded_or_refused() {
    let mut bytes = Forged::default().component();
    for depth in 1..=2_000 {
        bytes = around(&bytes, 0);
        if [1, 10, 100, 1_000, 2_000].contains(&depth)
            && let Err(error) = host().load(LoadSpec::new("deep", &bytes))
        {
            assert!([Cause::File, Cause::Size].contains(&error.cause), "{depth}: {error}");
        }
    }
}

/// Recursion without end: of one function, of two by turns, and with large frames. None goes through the host: no host function
/// ever calls a guest.
fn recursions() -> [(&'static str, String); 3] {
    let locals = 2_000;
    let set = |i| format!("(local.set {i} (i64.load (i32.const {})))", 2_048 + i);
    let get = |i| format!("(local.set 0 (i64.xor (local.get 0) (local.get {i})))");
    let large = format!(
        "(func $deep (local {}) {} (call $deep) {} (i64.store (i32.const 2048) (local.get 0)))",
        "i64 ".repeat(locals),
        (0..locals).map(set).collect::<String>(),
        (0..locals).map(get).collect::<String>()
    );
    [
        ("self", "(func $deep (call $deep) (i32.store (i32.const 2048) (i32.const 1)))".to_owned()),
        ("mutual", "(func $deep (call $deeper) nop) (func $deeper (call $deep) nop)".to_owned()),
        ("large", large),
    ]
}

// P3: the guest's stack ends before the host's, however often.
#[test]
fn endless_recursion_overflows_the_guests_own_stack_again_and_again() {
    for (name, fields) in recursions() {
        let plugin = Forged { fields: &fields, decide: "(call $deep)", ..Forged::default() };
        let fault = plugin.fault(&format!("recursion-{name}"));
        for number in 1..=size(100, 10_000) {
            let error = ask(&*fault, number).expect_err("too deep");
            assert_eq!(error.cause, "stack", "{name}: {error}");
        }
    }
}
