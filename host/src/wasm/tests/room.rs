//! Room for instances: who holds some, who gives them back, and who must not make them.

use std::sync::Arc;

use serde_json::json;

use crate::behavior::catalog::Setting;
use crate::behavior::fault::{Fault, Verdict};
use crate::types::limits;
use crate::wasm::adapter::PluginFault;
use crate::wasm::instance::Instance;
use crate::wasm::maker::PluginMaker;
use crate::wasm::pool::Pool;
use crate::wasm::tests::forge::{Forged, ask};
use crate::wasm::tests::support::small_host;
use crate::wasm::{Cause, LoadSpec, Meter, Plugin, PluginError};

fn pool(plugin: &Arc<Plugin>) -> Arc<Pool> {
    PluginMaker(Arc::clone(plugin)).pool(&json!({}), &Setting::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn an_instance_of_many_modules_takes_the_room_of_one() {
    let host = small_host(Meter::Cpu, 4);
    let many = crate::wasm::tests::hostile::of_modules(&Forged::default().component(), 20);
    let plugin = host.load(LoadSpec::new("modular", &many)).expect("a good plugin");
    let start = |_| plugin.mould.start(0);
    let held: Vec<Instance> = (0..4).map(start).collect::<Result<_, PluginError>>().expect("room for four");
    assert_eq!(plugin.mould.start(0).err().map(|error| error.cause), Some(Cause::Room));
    drop(held);
}

#[test]
fn a_plugin_at_rest_makes_room_for_another_and_is_ready_when_it_comes_back() {
    crate::worker::enter(0);
    let most = limits::PLUGIN_SPARES as u32 + 2;
    let host = small_host(Meter::Cpu, most);
    let component = Forged::default().component();
    let load = |name| host.load(LoadSpec::new(name, &component)).expect("a good plugin");
    let (first, second) = (load("rests"), load("takes-over"));
    let own = pool(&first);
    let full = PluginMaker(Arc::clone(&second)).pool(&json!({}), &Setting::default());
    assert!(full.err().is_some_and(|problems| problems[0].message.contains("no room")), "the first holds all there is");
    first.rest();
    own.tend();
    let other = pool(&second);
    assert_eq!(ask(&PluginFault(Arc::clone(&other)), 1), Ok(Verdict::Pass));
    drop((other, second));
    first.resume();
    let made = own.made();
    assert_eq!(ask(&PluginFault(Arc::clone(&own)), 1), Ok(Verdict::Pass));
    assert_eq!(own.made(), made, "it had one before it was asked");
    first.resume();
    assert_eq!(own.made(), made, "nothing was missing");
}

#[test]
fn a_worker_never_sets_up_what_takes_long_to_set_up() {
    crate::worker::enter(0);
    // Ten million rounds, which are milliseconds on any machine.
    let configure = "(local $left i32) (local.set $left (i32.const 10000000))
        (loop $on (br_if $on (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";
    let plugin = Forged { configure, ..Forged::default() }.load("slow-starter").expect("a good plugin");
    let own = pool(&plugin);
    let fault = PluginFault(Arc::clone(&own));
    assert!(!fault.is_slow(), "its calls are quick, and there is an instance");
    assert_eq!(ask(&fault, 1), Ok(Verdict::Pass));
    // At rest nobody makes up for what is gone, so there is none for certain.
    plugin.rest();
    own.tend();
    assert!(fault.is_slow(), "to the slow lane with it");
    assert_eq!(ask(&fault, 2).expect_err("no instance").cause, "slow");
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| ask(&fault, 3)).join().expect("no panic"));
    assert_eq!(elsewhere, Ok(Verdict::Pass), "who may wait sets one up");
    plugin.resume();
    assert!(!fault.is_slow());
    assert_eq!(ask(&fault, 4), Ok(Verdict::Pass));
}

#[test]
fn a_worker_sets_up_what_is_quick_to_set_up() {
    crate::worker::enter(0);
    let plugin = Forged::default().load("quick-starter").expect("a good plugin");
    let own = pool(&plugin);
    let fault = PluginFault(Arc::clone(&own));
    plugin.rest();
    own.tend();
    assert!(!fault.is_slow());
    assert_eq!(ask(&fault, 1), Ok(Verdict::Pass));
}

#[test]
fn a_plugin_that_is_tried_apart_holds_one_instance() {
    let plugin = Forged::default().load("apart").expect("a good plugin");
    for fresh_per_call in [false, true] {
        let apart = plugin.apart(fresh_per_call).expect("linked");
        let own = pool(&apart);
        // One more for the rehearsal, which is gone.
        assert_eq!(own.made(), 2);
        own.tend();
        assert_eq!(own.made(), 2, "nobody makes spares");
    }
}
