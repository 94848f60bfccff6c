//! Guests that behave badly: each costs nobody else anything, and the error names the plugin and what to do.
//!
//! The adversary's numbers below 100 are its misdeeds. After each the same behaviour must answer a good call.

use std::sync::Arc;

use serde_json::json;

use crate::behavior::fault::Verdict;
use crate::behavior::responder::Item;
use crate::types::limits;
use crate::wasm::tests::support::{Scene, adversary, call, load, new_host, request};
use crate::wasm::{LoadSpec, Meter};

/// Deed `number` fails for `cause`, the error says `words`, and the next call is answered.
#[track_caller]
fn fails(name: &str, number: u64, cause: &str, words: &str) {
    fails_in(&Scene::new(name), name, number, cause, words);
}

#[track_caller]
fn fails_in(scene: &Scene, name: &str, number: u64, cause: &str, words: &str) {
    let error = scene.decide(number).expect_err("a misdeed");
    let text = error.to_string();
    assert_eq!(error.cause, cause, "{text}");
    assert!(text.contains(&format!("`{name}`")) && text.contains("fault.decide") && text.contains(words), "{text}");
    assert_eq!(scene.decide(0).expect("a new instance"), Verdict::Pass);
}

#[test]
fn a_guest_that_prints_is_answered_as_always() {
    let plugin = load("printer").apart(false).expect("linked");
    let scene = Scene::of(&plugin, &json!({}));
    assert_eq!(scene.decide(1).expect("printing is no crime"), Verdict::Pass);
    assert_eq!(scene.decide(10).expect("complaining is none either"), Verdict::Pass);
    let said = [("info", "hello from the guest\\u{1b}[2J"), ("warn", "a complaint without a panic")];
    assert_eq!(plugin.take_said().lines, said.map(|(level, line)| (level, line.to_owned())));
}

#[test]
fn a_guest_may_print_and_panic_inside_a_runtime_that_is_running() {
    let scene = Scene::new("printer-inside");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(scene.decide(1).expect("an answer"), Verdict::Pass);
        assert_eq!(scene.decide(2).expect_err("a panic").cause, "panic");
        assert_eq!(scene.decide(1).expect("an answer"), Verdict::Pass);
    });
}

#[test]
fn a_panic_is_reported_in_the_guests_own_words() {
    fails("panicker", 2, "panic", "the dog ate my plan");
}

#[test]
fn an_endless_loop_is_stopped_when_its_time_is_used_up() {
    fails_in(
        &Scene::hasty("looper"),
        "looper",
        3,
        "timeout",
        "20 ms of time; find the loop, or give the plugin more with `time:`",
    );
}

#[test]
fn a_guest_that_eats_memory_ends_at_its_limit() {
    fails("glutton", 4, "memory", "16 MiB of memory");
}

#[test]
fn four_gibibytes_at_once_are_refused_and_the_guest_may_go_on() {
    assert_eq!(Scene::new("greedy").decide(12).expect("it minds no refusal"), Verdict::Pass);
}

#[test]
fn endless_recursion_ends_with_the_guests_own_stack() {
    let scene = Scene::new("mirror");
    // One recursion uses the host's stack, the other the one inside the guest's memory.
    for number in [5, 13, 5, 13, 5, 13] {
        let error = scene.decide(number).expect_err("too deep");
        assert_eq!(error.cause, "stack", "{error}");
    }
    assert_eq!(scene.decide(0).expect("a new instance"), Verdict::Pass);
}

#[test]
fn a_string_of_a_gibibyte_is_refused_unread() {
    let scene = Scene::new("liar");
    let request = request();
    let error = scene.responder.respond(&call(110, &request), 1).expect_err("a lie");
    assert_eq!(error.cause, "bad-answer", "{error}");
    assert!(error.to_string().contains("`liar`: `responder.respond`"), "{error}");
    assert!(scene.responder.respond(&call(0, &request), 1).is_ok());
}

#[test]
fn more_than_the_transfer_limit_is_refused_though_it_is_there() {
    let scene = Scene::new("carrier");
    let error = scene.responder.respond(&call(117, &request()), 1).expect_err("nine of eight MiB");
    assert_eq!(error.cause, "transfer", "{error}");
    let mut request = request();
    Arc::get_mut(&mut request).expect("not shared").body = vec![b'x'; 1 << 20].into();
    let error = scene.fault.decide(&call(9, &request)).expect_err("reads for ever");
    assert_eq!(error.cause, "transfer", "{error}");
    assert!(error.to_string().contains("moved more than 8 MiB through the host"), "{error}");
}

#[test]
fn traps_and_exits_are_named() {
    fails("trapper", 6, "trap", "unreachable");
    fails("quitter", 8, "panic", "ended its process");
}

#[test]
fn a_flood_of_log_lines_is_cut_and_answered() {
    let plugin = load("chatterbox").apart(false).expect("linked");
    let scene = Scene::of(&plugin, &json!({}));
    for _ in 0..2 {
        assert_eq!(scene.decide(7).expect("only words"), Verdict::Pass);
        let lines = plugin.take_said().lines;
        let (last, before) = lines.split_last().expect("lines");
        assert_eq!((before.len(), &before[99]), (limits::GUEST_LOG_LINES as usize, &("info", "line 99".to_owned())));
        assert!(last.0 == "warn" && last.1.contains("the rest of this call's log is dropped"), "{last:?}");
    }
}

#[test]
fn sockets_trap_by_name() {
    fails("networker", 210, "import", "which no plugin is given");
}

#[test]
fn loops_on_all_workers_delay_no_bystander_for_ever() {
    let bad = Scene::hasty("sixteen-loops");
    let good = Scene::new("bystander");
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..8)
            .map(|worker| {
                let bad = &bad;
                scope.spawn(move || {
                    crate::worker::enter(worker % 2);
                    [bad.decide(3).expect_err("a loop").cause, bad.decide(3).expect_err("a loop").cause]
                })
            })
            .collect();
        assert!((0..1_000).all(|_| good.decide(0).is_ok()));
        for looped in loops {
            assert_eq!(looped.join().expect("no panic"), ["timeout", "timeout"]);
        }
    });
    assert!(bad.fault.is_slow());
    assert!(!good.fault.is_slow());
}

#[test]
fn good_calls_between_traps_all_succeed() {
    crate::worker::enter(0);
    let scene = Scene::new("now-and-then");
    let request = request();
    for round in 0..200 {
        let mut bad = call(6, &request);
        // Far apart in plan time, so that the breaker stays closed.
        bad.now = round * 10_000_000_000;
        assert_eq!(scene.fault.decide(&bad).expect_err("a trap").cause, "trap");
        let mut good = call(0, &request);
        good.now = bad.now;
        assert!((0..10).all(|_| scene.fault.decide(&good).is_ok()));
    }
}

#[test]
fn the_breaker_opens_after_many_faults_and_names_itself() {
    let scene = Scene::new("hopeless");
    let causes: Vec<_> = (0..limits::PLUGIN_BREAKER_FAULTS + 1).map(|_| scene.decide(6).expect_err("a trap").cause).collect();
    let (last, before) = causes.split_last().expect("some");
    assert!(before.iter().all(|cause| *cause == "trap"), "{causes:?}");
    assert_eq!(*last, "breaker");
    let request = request();
    let mut later = call(0, &request);
    later.now += limits::PLUGIN_BREAKER_OPEN_MS * 1_000_000;
    assert!(scene.fault.decide(&later).is_ok(), "a probe is let through");
    assert!(scene.decide(0).is_ok(), "and closes it");
}

#[test]
fn where_time_is_counted_in_instructions_a_loop_ends_at_the_same_one() {
    let host = new_host(Meter::Fuel);
    let plugin = host.load(LoadSpec { time_us: 1_000, ..LoadSpec::new("counted", adversary()) }).expect("a plugin");
    let scene = Scene::of(&plugin, &serde_json::json!({}));
    assert_eq!(scene.decide(3).expect_err("a loop").cause, "timeout");
    assert_eq!(scene.decide(11).expect_err("more than a million instructions").cause, "timeout");
    assert_eq!(scene.decide(0).expect("an answer"), Verdict::Pass);
    let answers = scene.responder.respond(&call(0, &request()), 1).expect("an answer");
    assert!(matches!(&answers[0].items[..], [Item::Generate(order)] if order.tokens == 37));
}
