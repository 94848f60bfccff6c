//! P4 and P5: guests that trap now and then, and a host function that fails itself.

use std::sync::Arc;

use super::size;
use crate::behavior::catalog::Setting;
use crate::behavior::fault::{Fault, Verdict};
use crate::random::Key;
use crate::wasm::adapter::PluginFault;
use crate::wasm::maker::PluginMaker;
use crate::wasm::tests::forge::{Forged, Service, ask};
use crate::wasm::tests::support::{call, load, request};

/// Traps if the call's seed says so, in one of three ways; else counts the calls that this instance has answered, and traps in a
/// fourth way if it was asked before and has trapped since.
const TRAPS: &str = "
    (if (global.get $spoilt) (then (loop $for_ever (br $for_ever))))
    (if (i64.eq (local.get 3) (i64.const 1)) (then (global.set $spoilt (i32.const 1)) unreachable))
    (if (i64.eq (local.get 3) (i64.const 2)) (then (global.set $spoilt (i32.const 1))
        (drop (i32.div_s (i32.const 1) (i32.wrap_i64 (i64.const 0))))))
    (if (i64.eq (local.get 3) (i64.const 3)) (then (global.set $spoilt (i32.const 1)) (drop (i32.load (i32.const -4)))))";

// P4: of those that do not trap every one succeeds, and no instance is asked again after it trapped: it would loop.
#[test]
fn calls_between_traps_all_succeed_and_no_instance_outlives_a_trap() {
    crate::worker::enter(0);
    let forged = Forged { fields: "(global $spoilt (mut i32) (i32.const 0))", decide: TRAPS, ..Forged::default() };
    for (name, percent, calls) in
        [("one", 1, size(20_000, 100_000)), ("half", 50, size(2_000, 100_000)), ("all", 100, size(500, 100_000))]
    {
        let fault = forged.fault(&format!("traps-{name}"));
        let request = request();
        let (mut good, mut trapped) = (0, 0);
        for number in 0..calls {
            let draw = Key::of_seed(percent).with(number).bits();
            let traps = draw % 100 < percent;
            let mut call = call(number, &request);
            // Far apart in plan time, so that the breaker stays closed however large the share.
            call.now = number * 10_000_000_000;
            call.seed = if traps { 1 + draw / 100 % 3 } else { 0 };
            match fault.decide(&call) {
                Ok(Verdict::Pass) if !traps => good += 1,
                Err(error) if traps && error.cause == "trap" => trapped += 1,
                other => panic!("call {number}, which {} trap: {other:?}", if traps { "must" } else { "must not" }),
            }
        }
        // The draws are fixed, and so is how many trap: about as many as the share says.
        let expected = calls * percent / 100;
        assert!(good + trapped == calls && trapped.abs_diff(expected) * 5 <= expected, "{name}: {trapped} of {calls} trapped");
    }
}

// P4: one call in a hundred that traps opens no breaker, however many calls there are.
#[test]
fn a_share_of_one_percent_opens_no_breaker() {
    crate::worker::enter(1);
    let forged = Forged { fields: "(global $spoilt (mut i32) (i32.const 0))", decide: TRAPS, ..Forged::default() };
    let (fault, request) = (forged.fault("traps-often"), request());
    for number in 0..5_000 {
        let mut call = call(number, &request);
        call.seed = u64::from(number % 100 == 99);
        assert_eq!(fault.decide(&call).is_ok(), call.seed == 0, "call {number}");
    }
}

// P5: a host function that panics costs its own call.
#[test]
fn a_panic_of_the_host_is_caught_at_the_call() {
    crate::worker::enter(0);
    let name = "a panic in the host";
    let attribute = Service {
        interface: "request",
        name: "attribute",
        types: "",
        ty: r#"(param "name" string) (result (option string))"#,
        core: "(param i32 i32 i32)",
    };
    let fields = format!(r#"(data (i32.const 512) "{name}")"#);
    let decide = format!(
        "(if (i64.eq (local.get 3) (i64.const 1)) (then (call $service (i32.const 512) (i32.const {}) (i32.const 2048))))",
        name.len()
    );
    let forged = Forged { service: Some(attribute), fields: &fields, decide: &decide, ..Forged::default() };
    let fault = forged.fault("host-panics");
    let request = request();
    for number in 0..1_000 {
        let mut call = call(number, &request);
        call.now = number * 10_000_000_000;
        call.seed = 1;
        let error = fault.decide(&call).expect_err("a panic");
        assert_eq!(error.cause, "host", "{error}");
        call.seed = 0;
        assert_eq!(fault.decide(&call), Ok(Verdict::Pass));
    }
}

// P4: a spare is there before the next request, wherever the janitor is.
#[test]
fn a_lost_instance_is_replaced_once_however_many_tend_the_pool() {
    crate::worker::enter(0);
    let maker = PluginMaker(load("replaced-once"));
    let pool = maker.pool(&serde_json::json!({}), &Setting::default()).expect("a pool");
    let fault = PluginFault(Arc::clone(&pool));
    let request = request();
    for round in 1..50 {
        let mut bad = call(6, &request);
        bad.now = round * 10_000_000_000;
        fault.decide(&bad).expect_err("a trap");
        // The janitor has been woken and is at it, too.
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| pool.tend()))));
        pool.tend();
        let made = pool.made();
        bad.identity = 0;
        assert_eq!(fault.decide(&bad), Ok(Verdict::Pass));
        pool.tend();
        assert_eq!(pool.made(), made, "round {round}: one was made though none was missing");
    }
    let fault = Forged::default().fault("replaced-bystander");
    assert_eq!(ask(&*fault, 1), Ok(Verdict::Pass));
}
