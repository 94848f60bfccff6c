//! P12: what one guest left is not there for the next.
//!
//! All instances come from one place in the pool, so the next guest is exactly where the last one was. A guest's locals are zero by
//! the rules of the language, and compiled code that broke them would be a fault of the engine; memory, globals and tables are what a
//! pool could hand on. Calls of one plugin do share an instance unless `isolation: per-call` says otherwise, and that is tested, too.

use super::size;
use crate::behavior::fault::Verdict;
use crate::wasm::engine_config::{Room, engine_in};
use crate::wasm::instance::Kind;
use crate::wasm::tests::forge::{Forged, ask};
use crate::wasm::tests::support::{call, request};
use crate::wasm::{Compiler, LoadSpec, Meter, Plugin, PluginHost, PluginHostConfig};

/// Memory, a global and a table that both guests have: 4 MiB once they have grown.
const PLACES: &str = "
    (global $kept (mut i64) (i64.const 0))
    (table $functions 64 funcref)
    (func $left)
    (elem declare func $left)";

/// Leaves a mark in all of them, from behind what the host reads up to the end.
const LEAVES: &str = "
    (local $at i32)
    (drop (memory.grow (i32.const 63)))
    (local.set $at (i32.const 8192))
    (loop $on
        (i64.store (local.get $at) (i64.const 0x4341_4e41_5259_2121))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $on (i32.lt_u (local.get $at) (i32.const 4194304))))
    (global.set $kept (i64.const 0x4341_4e41_5259_2121))
    (table.fill $functions (i32.const 0) (ref.func $left) (i32.const 64))";

/// Traps if anything but zero is anywhere.
const LOOKS: &str = "
    (local $at i32)
    (if (i64.ne (global.get $kept) (i64.const 0)) (then unreachable))
    (loop $on
        (if (i32.eqz (ref.is_null (table.get $functions (local.get $at)))) (then unreachable))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $on (i32.lt_u (local.get $at) (i32.const 64))))
    (if (i32.ne (memory.grow (i32.const 63)) (i32.const 1)) (then unreachable))
    (local.set $at (i32.const 8192))
    (loop $on
        (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $on (i32.lt_u (local.get $at) (i32.const 4194304))))";

/// Memory with something in it at the start, which the engine maps instead of copying.
const WITH_DATA: &str = r#"(memory (export "memory") 1) (data (i32.const 6000) "something of its own")"#;

/// A new instance of `plugin` answers one call and is gone.
fn once(plugin: &Plugin) {
    let request = request();
    let mut instance = plugin.mould.start(0).expect("room for one");
    let call = call(0, &request);
    let verdict = instance
        .call(&plugin.mould, Kind::Fault, (&call).into(), |instance| instance.decide(crate::wasm::adapter::record(&call)));
    assert!(verdict.is_ok(), "{:?}", verdict.err());
}

#[test]
fn nothing_that_a_guest_leaves_is_there_for_the_next_in_its_place() {
    for keep_resident in [0, 8 << 20] {
        let engine = engine_in(Meter::Cpu, Room { instances: 1, keep_resident }).expect("an engine");
        let config = PluginHostConfig { cache_dir: None, workers: 0, meter: Meter::Cpu, compiler: Compiler::InProcess };
        let host = PluginHost::with_engine(config, engine).expect("a host");
        let plain = Forged::default().memory;
        let guest = |name: &str, memory: &str, decide: &str| {
            let forged = Forged { memory, fields: PLACES, decide, ..Forged::default() }.component();
            // What is tested here takes its time on machines where fresh memory is slow.
            host.load(LoadSpec { time_us: 500_000, ..LoadSpec::new(name, &forged) }).expect("a good plugin")
        };
        let leaves = [guest("leaves", plain, LEAVES), guest("leaves-more", WITH_DATA, LEAVES)];
        let looks = [guest("looks", plain, LOOKS), guest("looks-with-data", WITH_DATA, LOOKS)];
        for round in 0..size(25, 25_000) {
            once(&leaves[round % 2]);
            once(&looks[round / 2 % 2]);
        }
    }
}

#[test]
fn calls_that_ask_for_isolation_see_nothing_of_each_other() {
    // One guest that does both: it looks first, then leaves its mark.
    let both = format!("{LOOKS} {}", LEAVES.replace("(local $at i32)", "").replace("$on", "$fill"));
    let forged = Forged { fields: PLACES, decide: &both, ..Forged::default() }.component();
    let spec = |name, fresh_per_call| LoadSpec { time_us: 500_000, fresh_per_call, ..LoadSpec::new(name, &forged) };
    let fault = |spec: LoadSpec<'_>| {
        let plugin = crate::wasm::tests::support::host().load(spec).expect("a good plugin");
        let mut catalog = crate::behavior::catalog::Catalog::default();
        plugin.register(&mut catalog);
        catalog.fault[plugin.name()].make(&serde_json::json!({}), &crate::behavior::catalog::Setting::default()).expect("a fault")
    };
    crate::worker::enter(0);
    let alone = fault(spec("alone", true));
    assert!((0..size(50, 5_000)).all(|number| ask(&*alone, number) == Ok(Verdict::Pass)));
    // The test can tell: where calls share an instance the second sees what the first left.
    let shared = fault(spec("shared", false));
    assert_eq!(ask(&*shared, 1), Ok(Verdict::Pass));
    assert_eq!(ask(&*shared, 2).expect_err("a mark").cause, "trap");
}
