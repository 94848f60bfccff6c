//! Files, versions, options, pools.
//!
//! Broken components are made from the adversary: cut short, or with one text put in place of another.

use std::sync::Arc;

use serde_json::json;

use crate::behavior::catalog::{Catalog, Setting};
use crate::types::problem::Problem;
use crate::wasm::contract::CONTRACT;
use crate::wasm::maker::PluginMaker;
use crate::wasm::tests::support::{Scene, adversary, call, host, load, request};
use crate::wasm::{Cause, Compiler, Kind, LoadSpec, Meter, PluginError, PluginHost, PluginHostConfig};

fn refused(bytes: &[u8]) -> PluginError {
    host().load(LoadSpec::new("broken", bytes)).err().expect("a refusal")
}

/// The adversary with one text put in place of another of the same length, wherever it stands.
fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = adversary().to_vec();
    let places: Vec<_> = memchr::memmem::find_iter(adversary(), from).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to.as_bytes()));
    bytes
}

fn problems(plugin: &str, options: &serde_json::Value) -> Vec<Problem> {
    let mut catalog = Catalog::default();
    load(plugin).register(&mut catalog);
    catalog.fault[plugin].make(options, &Setting::default()).err().expect("problems")
}

#[test]
fn a_plugin_says_what_it_is_and_decides() {
    let plugin = load("about");
    assert_eq!((plugin.about().name.as_str(), plugin.about().summary.as_str()), ("adversary", "misbehaves on request"));
    assert_eq!(plugin.kinds(), [Kind::Fault, Kind::Responder, Kind::Latency]);
}

#[test]
fn what_is_no_component_is_refused_with_what_to_do() {
    let core = refused(b"\0asm\x01\0\0\0");
    assert_eq!(core.cause, Cause::File);
    assert!(core.to_string().contains("core module") && core.to_string().contains("wasm-tools component new"), "{core}");
    assert!(refused(b"").to_string().contains("no WebAssembly"));
    assert!(refused(b"\0asm\x0d\0\x01\0").to_string().contains("exports nothing of `simwright:plugin`"));
}

#[test]
fn a_cut_file_is_always_refused() {
    let whole = adversary();
    for part in 0..32 {
        refused(&whole[..whole.len() * part / 32]);
    }
}

#[test]
fn another_version_of_the_contract_is_named_beside_the_expected_one() {
    let ours = format!("@{CONTRACT}");
    let other = ours.replacen('1', "9", 1);
    let error = refused(&patched(&ours, &other));
    assert_eq!(error.cause, Cause::Version, "{error}");
    assert!(error.to_string().contains(&other) && error.to_string().contains(&ours), "{error}");
}

#[test]
fn forbidden_imports_are_listed() {
    let error = refused(&patched("wasi:cli/exit@", "wasi:cli/evil@"));
    assert_eq!(error.cause, Cause::Import, "{error}");
    assert!(error.to_string().contains("`wasi:cli/evil@0.2."), "{error}");
}

#[test]
fn all_mistakes_in_options_are_found_at_once_with_their_places() {
    let found = problems("optional", &json!({ "configur": "well", "share": 2 }));
    let text: Vec<_> = found.iter().map(|problem| (problem.pointer.as_str(), problem.hint.as_deref())).collect();
    assert!(text.contains(&("/configur", Some("did you mean `configure`?"))), "{found:?}");
    assert!(text.contains(&("/share", None)), "{found:?}");
}

#[test]
fn a_plugin_may_refuse_options_that_fit_its_schema() {
    let found = problems("choosy", &json!({ "configure": "problem" }));
    assert_eq!(found, [Problem::new("/configure", "`problem` is a problem").hint("write `well`")]);
}

#[test]
fn a_plugin_that_fails_while_it_is_configured_is_a_problem_and_no_more() {
    let panicked = problems("moody", &json!({ "configure": "panic" }));
    assert!(panicked[0].message.contains("`configure` panicked") && panicked[0].message.contains("no taste"), "{panicked:?}");
}

#[test]
fn uses_with_equal_options_share_a_pool_and_others_do_not() {
    let maker = PluginMaker(load("sharer"));
    let setting = Setting::default();
    let pool = |options: serde_json::Value| maker.pool(&options, &setting).expect("a pool");
    let first = pool(json!({}));
    assert!(Arc::ptr_eq(&first, &pool(json!(null))));
    assert!(!Arc::ptr_eq(&first, &pool(json!({ "configure": "well" }))));
}

#[test]
fn a_fresh_instance_serves_each_call_where_that_is_asked_for() {
    let plugin = host().load(LoadSpec { fresh_per_call: true, ..LoadSpec::new("fresh", adversary()) }).expect("a plugin");
    let pool = PluginMaker(Arc::clone(&plugin)).pool(&json!({}), &Setting::default()).expect("a pool");
    let before = pool.made();
    let scene = crate::wasm::adapter::PluginFault(Arc::clone(&pool));
    let request = request();
    for _ in 0..20 {
        crate::behavior::fault::Fault::decide(&scene, &call(0, &request)).expect("an answer");
    }
    pool.tend();
    assert!(pool.made() >= before + 20);
}

#[test]
fn a_kind_that_fails_in_the_rehearsal_hides_nothing_of_the_others() {
    let scene = Scene::of(&load("clumsy"), &json!({ "configure": "clumsy" }));
    assert!(scene.latency.is_slow(), "measured although the fault, which comes before it, panics");
    assert!(!scene.fault.is_slow());
    assert_eq!(scene.decide(0).expect_err("a panic").cause, "panic");
}

#[test]
fn a_lost_instance_is_replaced_before_the_next_request() {
    crate::worker::enter(0);
    let maker = PluginMaker(load("replaced"));
    let pool = maker.pool(&json!({}), &Setting::default()).expect("a pool");
    let fault = crate::wasm::adapter::PluginFault(Arc::clone(&pool));
    let request = request();
    crate::behavior::fault::Fault::decide(&fault, &call(6, &request)).expect_err("a trap");
    pool.tend();
    let made = pool.made();
    crate::behavior::fault::Fault::decide(&fault, &call(0, &request)).expect("an answer");
    assert_eq!(pool.made(), made, "the spare was there already");
}

#[test]
fn behaviours_outlive_their_host_and_plugin() {
    let own = PluginHost::new(PluginHostConfig { cache_dir: None, workers: 1, meter: Meter::Cpu, compiler: Compiler::InProcess })
        .expect("a host");
    let plugin = own.load(LoadSpec::new("orphan", adversary())).expect("a plugin");
    let scene = Scene::of(&plugin, &json!({}));
    drop((own, plugin));
    assert!(scene.decide(0).is_ok());
    assert_eq!(scene.decide(3).expect_err("a loop").cause, "timeout");
}
