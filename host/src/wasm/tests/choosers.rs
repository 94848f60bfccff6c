//! Balancers and autoscalers through the plugin host. `plugins/test-choosers` does the deed that its option names.

use std::sync::Arc;

use serde_json::json;

use crate::behavior::catalog::{Catalog, Setting};
use crate::random::Key;
use crate::station::Unanswered;
use crate::station::autoscaler::{self, Pace, Rule, Scaler, Wish, Wished};
use crate::station::balancer::chooser::{Asker, Choice, Chooser, Question, Sight};
use crate::types::problem::Problem;
use crate::wasm::tests::support::{choosers, host, new_host, request};
use crate::wasm::{Kind, LoadSpec, Meter, PluginHost};

type Made = (Result<Arc<dyn Chooser>, Vec<Problem>>, Result<Arc<dyn Scaler>, Vec<Problem>>);

/// Both behaviours of the plugin, loaded as `name`, that do `deed`.
fn make_in(host: &PluginHost, name: &str, deed: &str) -> Made {
    let plugin = host.load(LoadSpec::new(name, choosers())).expect("a good plugin");
    assert_eq!(plugin.kinds(), [Kind::Balancer, Kind::Autoscaler]);
    let mut catalog = Catalog::default();
    plugin.register(&mut catalog);
    let (options, setting) = (json!({ "deed": deed }), Setting::default());
    (catalog.balancer[name].make(&options, &setting), catalog.autoscaler[name].make(&options, &setting))
}

fn chooser(deed: &str) -> Arc<dyn Chooser> {
    make_in(host(), &format!("chooser-{deed}"), deed).0.unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn scaler(deed: &str) -> Arc<dyn Scaler> {
    make_in(host(), &format!("scaler-{deed}"), deed).1.unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The same as [`picked`] without the reason why there is no choice.
fn pick(chooser: &Arc<dyn Chooser>, identity: u64, backends: &[Sight]) -> Option<Choice> {
    picked(chooser, identity, backends).ok()
}

/// What `chooser` picks at 5 s from `backends` for the request `identity`.
fn picked(chooser: &Arc<dyn Chooser>, identity: u64, backends: &[Sight]) -> Result<Choice, Unanswered> {
    let asker = Asker {
        choosers: Arc::new([]),
        model: 0,
        tenant: 0,
        attempt: 0,
        occurrence: 0,
        max_output_tokens: 100,
        stages: Arc::new([]),
        request: request(),
    };
    let seed = Key::of_seed(identity).bits();
    let now = 5_000_000_000;
    chooser.pick(&Question { now, seed, asker: &asker, identity, stage: 0, input_tokens: 10, prefix: 0, priority: 0, backends })
}

const OPEN: Sight = Sight {
    open: true,
    weight: 1,
    running: 0,
    waiting: 0,
    pending_tokens: 0,
    cached_tokens: 0,
    kv_used: 0.0,
    first_token_ns: 0,
    gap_ns: 0,
};

#[test]
fn a_choice_depends_on_the_seed_and_on_what_is_to_be_seen_and_on_no_clock() {
    let live = chooser("well");
    let fuel = new_host(Meter::Fuel);
    let counted = make_in(&fuel, "counted-chooser", "well").0.expect("a chooser");
    let knows = |cached_tokens| Sight { cached_tokens, ..OPEN };
    let backends = [knows(16), Sight { open: false, ..knows(99) }, knows(32), knows(32), knows(0), knows(32)];
    let picks = |chooser| (0..60).map(|identity| pick(chooser, identity, &backends)).collect::<Vec<_>>();
    let picked = picks(&live);
    assert_eq!(picked, picks(&counted));
    for place in [2, 3, 5] {
        let share = picked.iter().filter(|choice| **choice == Some(Choice::Backend(place))).count();
        assert!(share >= 10, "{place}: {share} of 60");
    }
    assert!(picked.iter().all(|choice| matches!(choice, Some(Choice::Backend(2 | 3 | 5)))));
}

#[test]
fn a_choice_that_makes_no_sense_is_none() {
    let backends = [OPEN, Sight { open: false, ..OPEN }];
    for deed in ["beyond", "closed", "unknown", "refuse for ever", "panic"] {
        let error = picked(&chooser(deed), 1, &backends).expect_err("no choice").to_string();
        assert!(error.starts_with(&format!("balancer `chooser-{deed}`: ")), "{error}");
    }
    assert_eq!(pick(&chooser("refuse"), 1, &backends), Some(Choice::Refuse(1_500_000_000)));
    assert_eq!(pick(&chooser("header"), 1, &backends), Some(Choice::Any), "the request names no backend");
}

#[test]
fn state_goes_from_one_choice_to_the_next() {
    let counting = chooser("count");
    let turns: Vec<_> = (0..5).map(|identity| pick(&counting, identity, &[OPEN; 3])).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1].map(|place| Some(Choice::Backend(place))));
}

#[test]
fn a_balancer_for_which_others_would_wait_long_is_refused_where_somebody_waits() {
    let problems = make_in(host(), "slow-chooser", "slow").0.err().expect("it is too slow");
    assert!(problems[0].message.contains("`slow-chooser` takes more than 100 us for `balancer`"), "{problems:?}");
    let fuel = new_host(Meter::Fuel);
    let counted = make_in(&fuel, "slow-chooser", "slow").0.expect("nobody waits in virtual time");
    assert_eq!(pick(&counted, 1, &[OPEN]), None, "and it may compute as much as 5 ms are worth");
}

#[test]
fn a_balancer_that_hangs_is_stopped_once_and_left_out_from_then_on() {
    let hanging = chooser("loop later");
    assert_eq!(pick(&hanging, 1, &[OPEN]), Some(Choice::Backend(0)));
    assert_eq!(pick(&hanging, 1_000, &[OPEN]), None, "stopped");
    assert_eq!(pick(&hanging, 1, &[OPEN]), None, "left out");
    // Where time is counted in instructions nobody was held up, and it is asked again.
    let fuel = new_host(Meter::Fuel);
    let counted = make_in(&fuel, "hanging-chooser", "loop later").0.expect("a chooser");
    let picks = [1, 1_000, 1].map(|identity| pick(&counted, identity, &[OPEN]));
    assert_eq!(picks, [Some(Choice::Backend(0)), None, Some(Choice::Backend(0))]);
}

fn wished(scaler: &Arc<dyn Scaler>, running: u32) -> Option<Wished> {
    let settings = autoscaler::Settings {
        least: 1,
        most: 4,
        every_ns: 10_000_000_000,
        boot_ns: 30_000_000_000,
        drain_ns: 0,
        rule: Rule::Keep,
        up: Pace::FREE,
        down: Pace::FREE,
    };
    let sight = autoscaler::Sight {
        now: 20_000_000_000,
        interval_ns: 10_000_000_000,
        wanted: 3,
        ready: 2,
        starting: 1,
        running,
        arrivals: 25,
        busy: 1.5,
        busy_share: 0.75,
        kv: 0.5,
        first_token_ns: 1_234_567,
        ..autoscaler::Sight::default()
    };
    scaler.wish("gpus", 1, &settings, &sight).ok()
}

fn wish(scaler: &Arc<dyn Scaler>, running: u32) -> Option<Wish> {
    wished(scaler, running).map(|wished| wished.wish)
}

#[test]
fn a_wish_is_judged_by_the_bounds_of_the_scenario() {
    let good = scaler("well");
    assert_eq!([5, 0, 99].map(|running| wish(&good, running)), [3, 1, 4].map(|wish| Some(Wish::Replicas(wish))));
    assert_eq!(wished(&good, 5).map(|wished| wished.reason).as_deref(), Some("two for each"));
    assert_eq!(wish(&scaler("keep"), 5), Some(Wish::Keep));
    for deed in ["beyond", "below", "unknown", "lines", "panic"] {
        assert_eq!(wish(&scaler(deed), 5), None, "{deed}");
    }
}
