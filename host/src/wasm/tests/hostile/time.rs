//! P1 and P10: guests that never end, in their own code or in ours.

use std::sync::Arc;

use serde_json::json;

use crate::behavior::catalog::Setting;
use crate::behavior::fault::Verdict;
use crate::types::limits;
use crate::wasm::adapter::PluginFault;
use crate::wasm::maker::PluginMaker;
use crate::wasm::tests::forge::{Forged, LOOP, Service, ask};
use crate::wasm::tests::support::{PATIENCE_US, eventually, small_host};
use crate::wasm::ticker::Timer;
use crate::wasm::{Cause, LoadSpec, Meter};

/// Each call of the plugin fails for `cause`, twice, so that what the first left is no better and no worse.
#[track_caller]
fn fails(name: &str, forged: &Forged<'_>, cause: &str) {
    // To move much takes longer than a call usually has where this program is not optimised, and time is not what ends it.
    let time_us = if cause == "timeout" { limits::GUEST_TIME_US } else { PATIENCE_US };
    let fault = forged.fault_with_time(name, time_us);
    for number in 1..3 {
        let error = ask(&*fault, number).expect_err("it never ends");
        assert_eq!(error.cause, cause, "{error}");
    }
}

// P1: a tight loop.
#[test]
fn a_loop_ends_when_its_time_is_used_up() {
    fails("loops", &Forged { decide: LOOP, ..Forged::default() }, "timeout");
}

// P1: each turn is one long instruction.
#[test]
fn a_loop_over_long_instructions_ends_too() {
    let decide = "(loop $for_ever (memory.copy (i32.const 0) (i32.const 8192) (i32.const 57344)) (br $for_ever))";
    fails("copies", &Forged { decide, ..Forged::default() }, "timeout");
}

// P1: a loop that grows its stack and its memory a little each time would end by itself; one that calls does not.
#[test]
fn a_loop_of_calls_ends_too() {
    let fields = "(func $nothing) (table 1 1 funcref) (elem (i32.const 0) $nothing)";
    let decide = "(loop $for_ever (call_indirect (i32.const 0)) (br $for_ever))";
    fails("calls-itself", &Forged { fields, decide, ..Forged::default() }, "timeout");
}

// P1: nobody has called for a while, so nobody counts epochs.
#[test]
fn a_loop_that_begins_while_the_ticker_sleeps_ends_too() {
    let host = small_host(Meter::Cpu, limits::PLUGIN_SPARES as u32 + 4);
    let bytes = Forged { decide: LOOP, ..Forged::default() }.component();
    let plugin = host.load(LoadSpec { time_us: limits::GUEST_TIME_US, ..LoadSpec::new("wakes", &bytes) }).expect("a good plugin");
    let pool = PluginMaker(plugin).pool(&json!({}), &Setting::default()).expect("room");
    let Timer::Cpu(pulse) = host.threads.timer() else { panic!("it has no ticker") };
    for number in 1..3 {
        eventually("the ticker sleeps", || pulse.is_asleep());
        let error = ask(&PluginFault(Arc::clone(&pool)), number).expect_err("it never ends");
        assert_eq!(error.cause, "timeout", "{error}");
    }
}

// P1: in post-return, after the answer is there.
#[test]
fn a_loop_after_the_answer_ends_too() {
    fails("dawdles", &Forged { post: LOOP, ..Forged::default() }, "timeout");
}

// P1: in `start`, before anything could be asked.
#[test]
fn a_loop_at_the_start_is_refused_when_the_plugin_is_loaded() {
    let fields = format!("(func $begin {LOOP}) (start $begin)");
    let error = Forged { fields: &fields, ..Forged::default() }.load("starts").err().expect("a refusal");
    assert_eq!(error.cause, Cause::Timeout, "{error}");
    assert!(error.to_string().contains("`start` used up its 2000 ms of time"), "{error}");
}

// P1: in `cabi_realloc`, where the host asks the guest for room.
#[test]
fn a_loop_where_the_host_asks_for_room_is_a_mistake_of_the_options() {
    let plugin = Forged { realloc: LOOP, ..Forged::default() }.load("hoards").expect("`describe` asks for no room");
    let mut catalog = crate::behavior::catalog::Catalog::default();
    plugin.register(&mut catalog);
    let made = catalog.fault["hoards"].make(&serde_json::json!({}), &Setting::default());
    let problems = made.err().expect("a refusal");
    assert!(problems[0].message.contains("`configure` used up its 2000 ms of time"), "{problems:?}");
}

const LOG: Service = Service {
    interface: "log",
    name: "write",
    types: r#"(type $level' (enum "debug" "info" "warn" "error")) (export "level" (type $level (eq $level')))"#,
    ty: r#"(param "level" $level) (param "message" string)"#,
    core: "(param i32 i32 i32)",
};
const COUNT: Service = Service {
    interface: "log",
    name: "count",
    types: "",
    ty: r#"(param "metric" string) (param "by" u64)"#,
    core: "(param i32 i32 i64)",
};
const ADD: Service = Service {
    interface: "state",
    name: "add",
    types: "",
    ty: r#"(param "key" string) (param "delta" s64) (param "ttl-ms" (option u32)) (result s64)"#,
    core: "(param i32 i32 i64 i32 i32) (result i64)",
};
const SET: Service = Service {
    interface: "state",
    name: "set",
    types: "",
    ty: r#"(param "key" string) (param "value" (list u8)) (param "ttl-ms" (option u32))"#,
    core: "(param i32 i32 i32 i32 i32 i32)",
};
const GET: Service = Service {
    interface: "state",
    name: "get",
    types: "",
    ty: r#"(param "key" string) (result (option (list u8)))"#,
    core: "(param i32 i32 i32)",
};
const HEADER: Service = Service {
    interface: "request",
    name: "header",
    types: "",
    ty: r#"(param "name" string) (result (option string))"#,
    core: "(param i32 i32 i32)",
};

/// Calls `service` for ever; `arguments` are in WebAssembly text, and what comes back is `dropped`.
#[track_caller]
fn floods(name: &str, service: Service, arguments: &str, dropped: &str, cause: &str) {
    let decide = format!("(loop $for_ever (call $service {arguments}) {dropped} (br $for_ever))");
    fails(name, &Forged { service: Some(service), decide: &decide, ..Forged::default() }, cause);
}

// P10: no host function waits for anything, and none does more than its arguments are long. So a flood of small calls ends by time.
#[test]
fn a_flood_of_small_host_calls_ends_when_the_guests_time_is_used_up() {
    floods("logs", LOG, "(i32.const 1) (i32.const 0) (i32.const 0)", "", "timeout");
    floods("counts", COUNT, "(i32.const 0) (i32.const 0) (i64.const 1)", "", "timeout");
    floods("adds", ADD, "(i32.const 0) (i32.const 0) (i64.const 1) (i32.const 0) (i32.const 0)", "drop", "timeout");
    floods("gets", GET, "(i32.const 0) (i32.const 0) (i32.const 2048)", "", "timeout");
    floods("asks-for-headers", HEADER, "(i32.const 0) (i32.const 0) (i32.const 2048)", "", "timeout");
}

// P10: and one of large ones by what it moves, on both clocks: fuel does not count what the host does.
#[test]
fn a_flood_of_large_host_calls_ends_when_they_have_moved_too_much() {
    floods("logs-much", LOG, "(i32.const 1) (i32.const 0) (i32.const 60000)", "", "transfer");
    floods("counts-much", COUNT, "(i32.const 0) (i32.const 60000) (i64.const 1)", "", "transfer");
    floods("gets-much", GET, "(i32.const 0) (i32.const 60000) (i32.const 2048)", "", "transfer");
    floods("asks-for-long-headers", HEADER, "(i32.const 0) (i32.const 60000) (i32.const 2048)", "", "transfer");
    let same_key = "(i32.const 0) (i32.const 1) (i32.const 0) (i32.const 60000) (i32.const 0) (i32.const 0)";
    floods("sets-much", SET, same_key, "", "transfer");
}

// P10: keys that differ fill the plugin's own state, and nothing else.
#[test]
fn a_flood_of_keys_ends_when_the_plugins_state_is_full() {
    let fields = "(global $key (mut i64) (i64.const 0))";
    // The key is the number itself, in the range where its bytes are text: seven bits in each of four.
    let next = r#"
        (global.set $key (i64.add (global.get $key) (i64.const 1)))
        (i32.store8 (i32.const 512) (i32.wrap_i64 (i64.and (global.get $key) (i64.const 127))))
        (i32.store8 (i32.const 513) (i32.wrap_i64 (i64.and (i64.shr_u (global.get $key) (i64.const 7)) (i64.const 127))))
        (i32.store8 (i32.const 514) (i32.wrap_i64 (i64.and (i64.shr_u (global.get $key) (i64.const 14)) (i64.const 127))))
        (i32.store8 (i32.const 515) (i32.wrap_i64 (i64.and (i64.shr_u (global.get $key) (i64.const 21)) (i64.const 127))))"#;
    // Each instance begins where none of the others has been.
    let decide = format!(
        "(global.set $key (i64.shl (local.get 0) (i64.const 14)))
         (loop $for_ever {next}
            (drop (call $service (i32.const 512) (i32.const 4) (i64.const 1) (i32.const 0) (i32.const 0)))
            (br $for_ever))"
    );
    let plugin = Forged { service: Some(ADD), fields, decide: &decide, ..Forged::default() };
    // A hundred thousand keys take longer than a call has, so it may take several, each in a new instance.
    let fault = plugin.fault("fills");
    let causes: Vec<_> = (1..200).map(|number| ask(&*fault, number).expect_err("it never ends").cause).collect();
    let full = causes.iter().position(|cause| *cause == "state").unwrap_or_else(|| panic!("never full: {causes:?}"));
    assert!(causes[..full].iter().all(|cause| *cause == "timeout"), "{causes:?}");
    assert_eq!(ask(&*Forged::default().fault("bystander-of-a-full-state"), 1), Ok(Verdict::Pass));
}
