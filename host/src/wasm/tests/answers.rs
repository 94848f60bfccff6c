//! Values that make no sense, and what guests see of the world.
//!
//! The adversary's numbers from 100 return bad values; those from 200 tell, as an error's message, what the guest saw.

use crate::behavior::fault::Verdict;
use crate::behavior::latency::Delay;
use crate::behavior::responder::Item;
use crate::wasm::tests::support::{Scene, call, host, load, request};

#[test]
fn a_verdict_that_makes_no_sense_is_refused_by_field_and_value() {
    let scene = Scene::new("bad-verdicts");
    for (number, words) in [
        (100, "`error.status` is 99"),
        (101, "`position.share` is NaN"),
        (102, r#"`error.message` is "a\r\nb""#),
        (103, "`hang-ms` is 4294967295 ms"),
        (104, "`drip-bytes-per-s` is 0"),
        (105, r#"`error.code` is "x\ny""#),
    ] {
        let error = scene.decide(number).expect_err("a bad verdict");
        assert!(error.cause == "bad-answer" && error.to_string().contains(words), "{error}");
    }
    assert!(matches!(scene.decide(106), Ok(Verdict::Error(error)) if error.status == 529));
    assert!(matches!(scene.decide(999), Ok(Verdict::Other(named)) if named.kind == "meteor"));
}

#[test]
fn an_answer_that_makes_no_sense_is_refused_by_field_and_value() {
    let scene = Scene::new("bad-answers");
    let request = request();
    for (number, words) in [
        (111, "`answers` is an empty list"),
        (112, "`answers` is 3 long"),
        (113, "`generate` is 4294967295 tokens"),
        (114, "`items` is 100000 long"),
        (115, r#"`tool-call.name` is "a\nb""#),
    ] {
        let error = scene.responder.respond(&call(number, &request), 2).expect_err("a bad answer");
        assert!(error.cause == "bad-answer" && error.to_string().contains(words), "{error}");
    }
    let good = scene.responder.respond(&call(116, &request), 1).expect("a good answer");
    assert_eq!(good[0].items, [Item::Text("word ".repeat(64))]);
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused_by_field_and_value() {
    let scene = Scene::new("bad-schedules");
    let request = request();
    for (number, words) in [
        (120, "`first` is 4294967295 us"),
        (121, "`first` is uniform from 2 to 1 us"),
        (122, "`first` is log-normal with p50 2 and p99 1 us"),
        (123, "`first` is an empty list"),
        (124, "`pauses.after-token` is 0"),
    ] {
        let error = scene.latency.plan(&call(number, &request), 10).expect_err("a bad schedule");
        assert!(error.cause == "bad-answer" && error.to_string().contains(words), "{error}");
    }
    let sorted = scene.latency.plan(&call(125, &request), 10).expect("a schedule");
    assert_eq!(sorted.pauses.iter().map(|pause| pause.after_token).collect::<Vec<_>>(), [3, 9]);
    assert_eq!(sorted.first, Delay::Each([5, 6].into()));
    assert_eq!(scene.latency.plan(&call(0, &request), 10).expect("a schedule").first, Delay::Us(350_000));
}

#[test]
fn guests_read_the_request_in_hand() {
    let scene = Scene::new("readers");
    assert_eq!(scene.told(200), "where is my parcel?");
    assert_eq!(scene.told(201), "1000");
    assert_eq!(scene.told(202), "blue");
    assert_eq!(scene.told(212), "large-2");
    assert_eq!(scene.told(204), "small,large");
}

#[test]
fn guests_see_an_empty_world_and_plan_time() {
    let scene = Scene::new("hermit");
    assert_eq!(scene.told(205), "0", "environment variables");
    assert_eq!(scene.told(206), "1005000", "the run began at 1,000 s and it is 5 s later");
    assert!(!scene.told(207).is_empty(), "no file can be opened");
    assert_eq!(Scene::of(&load("hermit-2"), &serde_json::json!({})).told(211), scene.told(211), "nothing is random");
    assert_eq!(scene.decide(213).expect("logging is allowed"), Verdict::Pass);
}

#[test]
fn state_is_shared_by_instances_and_outlives_a_reload() {
    let first = Scene::new("counter");
    assert_eq!(first.told(203), "1");
    crate::worker::enter(1);
    assert_eq!(first.told(203), "2");
    let reloaded = Scene::new("counter");
    assert_eq!(reloaded.told(203), "3");
    assert_eq!(Scene::new("another-counter").told(203), "1");
}

#[test]
fn values_are_kept_until_their_lifetime_ends() {
    let scene = Scene::new("keeper");
    scene.decide(208).expect("kept for a second");
    assert_eq!(scene.told(209), "green");
    let request = request();
    let mut later = call(209, &request);
    later.now += 1_000_000_000;
    assert!(matches!(scene.fault.decide(&later), Ok(Verdict::Error(error)) if error.message.as_deref() == Some("")));
    assert!(host().load(crate::wasm::LoadSpec::new("x", b"")).is_err());
}
