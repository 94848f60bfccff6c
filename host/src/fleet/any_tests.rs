//! What must hold holds in every run: random scenarios with all kinds of stations, in all shapes that a pipeline can have.
//!
//! A scenario follows from one number, so a failure is played again by that number. `SIMWRIGHT_FULL=1` plays 4,000 of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::fleet::{Ended, Fate, Fleet, Limits, Report, Watch};
use crate::plan::build::testing::generation;
use crate::random::{Key, Stream};
use crate::station::Cause;

/// Writes a scenario by lot.
struct Lot {
    draws: Stream,
    /// Stages so far: each has a name of its own.
    stages: u32,
}

/// A choice and its weight.
type Choice<T> = (u32, fn(&mut Lot) -> T);

impl Lot {
    fn one_in(&mut self, many: u32) -> bool {
        self.draws.below(many) == 0
    }

    fn from(&mut self, least: u32, most: u32) -> u32 {
        least + self.draws.below(most - least + 1)
    }

    fn ms(&mut self, most: u32) -> Value {
        json!(format!("{}ms", self.from(1, most)))
    }

    fn percent(&mut self, most: u32) -> Value {
        json!(format!("{}%", self.from(1, most)))
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.draws.below(of.len() as u32) as usize]
    }

    fn any<T>(&mut self, choices: &[Choice<T>]) -> T {
        let mut at = self.draws.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, make) in choices {
            if at < *weight {
                return make(self);
            }
            at -= weight;
        }
        unreachable!("the weights are those that were summed up")
    }

    /// `fields`, and those of `optional` that the lot falls on.
    fn fields(&mut self, mut fields: Value, optional: Vec<(&str, Value)>) -> Value {
        for (name, value) in optional {
            if self.one_in(2) {
                fields[name] = value;
            }
        }
        fields
    }

    fn name(&mut self, word: &str) -> String {
        self.stages += 1;
        format!("{word}{}", self.stages)
    }

    fn stations(&mut self) -> Value {
        let balancers =
            ["least-busy", "round-robin", "weighted", "two-choices", "consistent-hash", "latency", "prefix-affinity", "random"];
        let queue = |lot: &mut Self| vec![("queue", json!(lot.from(2, 9))), ("wait", lot.ms(30))];
        let (places, optional) = (json!({ "places": self.from(1, 2), "fair": self.one_in(2) }), queue(self));
        let lobby = self.fields(places, optional);
        let (size, mut optional) = (self.from(1, 4), queue(self));
        optional.extend([("reads", json!(self.from(1, size))), ("writes", json!(self.from(1, size)))]);
        let database = self.fields(json!({ "size": size }), optional);
        let mut levels = Vec::new();
        for _ in 0..self.from(1, 2) {
            let policy = self.pick(&["lru", "lfu", "fifo"]);
            let optional = vec![("bytes", json!(self.from(200, 9_000))), ("ttl", self.ms(3_000)), ("latency", self.ms(5))];
            let level = json!({ "entries": self.from(1, 9), "policy": policy });
            levels.push(self.fields(level, optional));
        }
        let path =
            vec![("bandwidth", json!("200kB")), ("loss", self.percent(20)), ("jitter", self.ms(9)), ("retransmit", self.ms(90))];
        let wan = json!({ "latency": self.ms(20) });
        let wan = self.fields(wan, path);
        let gather = json!({ "size": self.from(1, 5), "wait": self.ms(40) });
        let tokens = vec![("tokens", json!(self.from(100, 3_000)))];
        let gather = self.fields(gather, tokens);
        let guard = if self.one_in(2) {
            json!({ "failures": self.from(1, 4), "open": self.ms(900), "trials": self.from(1, 3) })
        } else {
            json!({ "share": self.percent(60), "window": self.ms(2_000), "at-least": self.from(1, 9), "open": self.ms(900) })
        };
        let spare = json!({ "share": self.percent(50), "free": self.from(0, 3), "for": "2s" });
        let mut group = || {
            let count = self.from(1, 3);
            let group = json!({
                "preset": self.pick(&["llama-3.1-8b-h100", "llama-3.1-8b-rtx-4090"]), "count": count, "balancer": self.pick(&balancers),
                "kv-blocks": self.from(256, 400), "sequences": self.from(1, 12), "batch-tokens": self.pick(&[64, 512, 2_048]),
                "prefix-cache": self.one_in(2),
            });
            let weights: Vec<u32> = (0..count).map(|_| self.from(1, 3)).collect();
            let autoscale = self.autoscale(count);
            let optional = vec![("queue", json!(self.from(1, 9))), ("weights", json!(weights)), ("autoscale", autoscale)];
            self.fields(group, optional)
        };
        let (gpu, other) = (group(), group());
        json!({
            "lobby": { "admission": lobby }, "database": { "pool": database }, "answers": { "cache": { "levels": levels } },
            "near": { "cache": { "levels": [{ "entries": 3 }], "flush-every": "700ms" } }, "wan": { "link": wan }, "gather": { "batcher": gather },
            "guard": { "breaker": guard }, "spare": { "retry": spare }, "gpu": { "replicas": gpu }, "gpu-other": { "replicas": other },
        })
    }

    /// How many replicas a group of `count` shall have.
    fn autoscale(&mut self, count: u32) -> Value {
        let rule = match self.from(0, 4) {
            0 => json!({ "target": { "busy": self.percent(90) } }),
            1 => json!({ "target": { "requests": self.from(1, 9), "tolerance": "0%" } }),
            2 => json!({ "target": { "waiting": self.from(1, 5), "kv": "40%" } }),
            3 => json!("keep"),
            _ => json!({ "schedule": { "period": "2s", "steps": [
                { "from": "0s", "replicas": self.from(1, 6) }, { "from": self.ms(1_500), "replicas": self.from(1, 6) },
            ] } }),
        };
        let autoscale = json!({ "min": u32::from(count > 1), "max": count + self.from(0, 3), "every": "250ms", "rule": rule });
        let mut pace = || json!({ "after": self.ms(900), "step": self.from(1, 3), "pause": self.ms(700) });
        let (up, down) = (pace(), pace());
        let optional = vec![("boot", self.ms(900)), ("drain", self.ms(400)), ("up", up), ("down", down)];
        self.fields(autoscale, optional)
    }

    /// What any stage can have, and `may_fail` if it must be able to.
    fn common(&mut self, stage: &mut Value, must_fail: bool) {
        let retry = if self.one_in(2) { json!({ "times": self.from(1, 3), "budget": "spare" }) } else { json!({ "times": 1 }) };
        let optional = vec![("within", self.ms(300)), ("guard", json!("guard")), ("retry", retry)];
        *stage = self.fields(stage.take(), optional);
        if stage.get("through").is_some_and(|station| station != "wan") && self.one_in(3) {
            stage["unless-waiting"] = json!(self.from(1, 5));
        }
        // Only what can fail is tried again.
        if (must_fail || stage.get("retry").is_some()) && stage.get("within").is_none() {
            stage["within"] = self.ms(500);
        }
    }

    /// A stage that writes nothing.
    fn plain(&mut self) -> Value {
        let mut stage = json!({});
        if self.one_in(2) {
            stage["through"] = json!(self.pick(&["lobby", "database", "wan", "gather"]));
        }
        stage["takes"] = self.any::<Value>(&[
            (2, |_| json!("0ms")),
            (3, |lot| lot.ms(12)),
            (2, |lot| json!({ "exponential": { "first": { "mean": lot.ms(15) }, "between": { "mean": "1ms" } } })),
        ]);
        if self.one_in(3) {
            stage["fails"] = self.percent(40);
        }
        stage["writes"] = json!(self.one_in(3));
        if self.one_in(2) {
            self.common(&mut stage, false);
        }
        named(self.name("s"), stage)
    }

    /// A list of what writes nothing, `depth` levels deep at most.
    fn before(&mut self, depth: u32) -> Vec<Value> {
        (0..self.from(1, 3)).map(|_| self.node(depth)).collect()
    }

    fn node(&mut self, depth: u32) -> Value {
        if depth == 0 || self.one_in(2) {
            return self.plain();
        }
        let deeper = depth - 1;
        match self.from(0, 2) {
            0 => {
                let branches: Vec<Value> = (0..self.from(2, 3)).map(|_| json!(self.before(deeper))).collect();
                let need = self.pick(&[json!("all"), json!("any"), json!(2)].each_ref()).clone();
                json!({ "fork": { "need": need, "branches": branches } })
            }
            1 => {
                let first = self.failing();
                json!({ "first-of": [[self.plain(), first], self.before(deeper)] })
            }
            _ => json!({ "route": [
                { "when": self.condition(), "stages": self.before(deeper) },
                { "stages": if self.one_in(2) { json!([]) } else { json!(self.before(deeper)) } },
            ] }),
        }
    }

    /// A plain stage that can fail.
    fn failing(&mut self) -> Value {
        named(self.name("f"), json!({ "takes": self.ms(9), "fails": self.percent(80) }))
    }

    fn condition(&mut self) -> Value {
        let share = self.percent(60);
        self.pick(&[json!({ "share": share }), json!({ "prompt-tokens": ">= 300" }), json!({ "attempt": "2.." })].each_ref())
            .clone()
    }

    /// What writes the reply, `depth` levels deep at most.
    fn reply(&mut self, depth: u32, must_fail: bool) -> Value {
        if depth == 0 || must_fail || self.one_in(2) {
            let mut stage = self.any::<Value>(&[
                (3, |lot| json!({ "through": lot.pick(&["gpu", "gpu-other"]) })),
                (1, |lot| json!({ "through": lot.pick(&["lobby", "database"]), "reply": true })),
                (1, |lot| json!({ "takes": lot.ms(5), "reply": true })),
            ]);
            self.common(&mut stage, must_fail);
            return named(self.name("r"), stage);
        }
        let deeper = depth - 1;
        if self.one_in(2) {
            let (first, second) = (self.reply(0, true), self.reply(0, true));
            let template = named(self.name("t"), json!({ "text": "We are busy." }));
            return json!({ "first-of": [first, [self.plain(), second], template] });
        }
        let condition = self.condition();
        json!({ "route": [{ "when": condition, "stages": [self.plain(), self.reply(deeper, false)] }, { "stages": self.reply(deeper, false) }] })
    }

    fn pipeline(&mut self, depth: u32) -> Vec<Value> {
        let mut items = self.before(depth);
        if self.one_in(2) {
            items.push(named(self.name("c"), json!({ "through": "answers" })));
            if self.one_in(3) {
                items.push(named(self.name("c"), json!({ "through": "near" })));
            }
            if self.one_in(2) {
                items.extend(self.before(depth));
            }
        }
        items.push(self.reply(depth, false));
        if self.one_in(2) {
            items.extend(self.before(depth));
        }
        items
    }

    fn model(&mut self, name: &str, depth: u32) -> Value {
        let law =
            json!({ "log-normal": { "first": { "p50": "40ms", "p99": "400ms" }, "between": { "p50": "5ms", "p99": "20ms" } } });
        let faults = [
            json!({ "cut": { "at": "50%" } }),
            json!({ "cut": { "at": "30ms" } }),
            json!({ "stall": { "at": "token 2", "for": "300ms" } }),
            json!({ "hang": { "for": "400ms" } }),
            json!({ "error-event": { "at": "token 1" } }),
            json!({ "http-error": { "status": 429, "retry-after": "1s" } }),
        ];
        let mut struck = self.pick(&faults.each_ref()).clone();
        struck["when"] = json!({ "share": "10%" });
        let mut model = json!({ "match": name, "latency": law, "context-window": 4_096, "faults": [struck] });
        if self.one_in(3) {
            model["rate-limits"] = json!({ "requests": "40/s", "tokens": "20_000/s", "concurrency": 12 });
        }
        if !self.one_in(8) {
            model["pipeline"] = json!(self.pipeline(depth));
        }
        model
    }

    fn workload(&mut self, requests: u32) -> Value {
        let rate = self.pick(&[5, 40, 200]);
        let arrivals = self.any::<Value>(&[
            (1, |lot| json!({ "every": lot.ms(60) })),
            (1, |lot| json!({ "gamma": { "rate": 40, "cv": lot.from(2, 5) } })),
            (1, |lot| json!({ "bursty": { "calm": { "rate": 5, "for": "1s" }, "burst": { "rate": 300, "for": lot.ms(500) } } })),
        ]);
        let think = json!({ "exponential": { "mean": self.ms(300) } });
        let client = json!({ "retries": self.from(0, 3), "timeout": self.ms(1_500), "backoff": { "first": "20ms" } });
        let budget = vec![("retry-budget", json!("30%"))];
        let client = self.fields(client, budget);
        json!({
            "requests": requests, "client": client,
            "classes": [
                { "model": "a", "name": "long", "input": { "log-normal": { "p50": 200, "p99": 2_500 } }, "output": 30, "arrivals": arrivals,
                  "tenants": { "acme": 2, "free": 1 } },
                { "model": "b", "name": "same", "prompt": "Is anybody there?", "output": { "exponential": { "mean": 40 } },
                  "arrivals": { "poisson": { "rate": rate } }, "tenants": ["free"] },
                { "model": "a", "name": "shared", "input": 600, "output": 8, "stream": false, "prefix": { "share": "60%", "groups": 3, "tokens": 200 },
                  "arrivals": { "closed": { "users": self.from(1, 20), "think": think } } },
            ],
        })
    }

    fn scenario(&mut self, depth: u32, requests: u32) -> Value {
        let tiers = json!([
            { "name": "free", "tenants": ["free"], "requests": [format!("{}/s", self.from(1, 60))], "concurrency": self.from(1, 9) },
            { "name": "paid", "tokens": "30_000/s", "priority": 3 },
        ]);
        let (stations, workload) = (self.stations(), self.workload(requests));
        let models = json!([self.model("a", depth), self.model("b", depth)]);
        let scenario = json!({ "simwright": 1, "stations": stations, "models": models, "workload": workload });
        let tiers = vec![("tiers", tiers)];
        self.fields(scenario, tiers)
    }
}

fn named(name: String, stage: Value) -> Value {
    Value::Object(Map::from_iter([(name, stage)]))
}

/// The scenario of `number`.
fn scenario(number: u64, depth: u32, requests: u32) -> String {
    let mut lot = Lot { draws: Key::of_seed(number).stream(), stages: 0 };
    lot.scenario(depth, requests).to_string()
}

#[derive(Default)]
struct Seen(Vec<Ended>);

impl Watch for Seen {
    fn ended(&mut self, ended: &Ended) {
        self.0.push(*ended);
    }
}

/// Plays `text` until it is over, or until so many events have been.
fn play(text: &str, events_max: u64) -> (Report, Vec<Ended>) {
    let generation = generation(text, |_| {});
    let workload = generation.scenario.workload.clone().expect("a workload");
    let mut fleet = Fleet::begin(&generation, &Arc::clone(&workload)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut seen = Seen::default();
    fleet.play(Limits { events_max }, &mut seen);
    (fleet.report(), seen.0)
}

/// Cases of the property below.
fn cases() -> u32 {
    if std::env::var_os("SIMWRIGHT_FULL").is_some_and(|value| value == "1") { 4_000 } else { 60 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn what_must_hold_holds_whatever_stations_there_are(number in any::<u64>(), depth in 0_u32..3, requests in 1_u32..250, cut in 1_u64..4_000) {
        let text = scenario(number, depth, requests);
        let (report, seen) = play(&text, Limits::default().events_max);
        prop_assert_eq!(&report.broken, &Vec::<String>::new(), "{}", text);
        prop_assert_eq!((report.requests, report.in_flight), (u64::from(requests), 0));
        prop_assert_eq!(seen.len() as u64, report.attempts.came);
        prop_assert!(seen.windows(2).all(|pair| pair[0].end <= pair[1].end), "ends are told in order");
        for ended in &seen {
            prop_assert!(ended.first_token.is_none_or(|first| ended.arrival <= first && first <= ended.end), "{:?}\n{}", ended, text);
            let is_answered = ended.fate != Fate::Whole || ended.output_tokens > 0 && ended.first_token.is_some();
            prop_assert!(is_answered, "{:?}\n{}", ended, text);
        }
        // Equal runs are equal, and one that is stopped anywhere holds together, too.
        let (again, _) = play(&text, Limits::default().events_max);
        prop_assert_eq!((report.digest, report.json()), (again.digest, again.json()));
        let (stopped, _) = play(&text, cut);
        prop_assert_eq!(&stopped.broken, &Vec::<String>::new(), "stopped after {}\n{}", cut, text);
    }
}

/// Otherwise the property says little.
#[test]
fn random_scenarios_meet_every_end_and_every_cause_of_a_refusal() {
    let (mut causes, mut fates) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..60 {
        let (report, seen) = play(&scenario(number, 2, 150), Limits::default().events_max);
        causes.extend(report.refused.into_iter().map(|(cause, _)| cause));
        fates.extend(seen.iter().map(|ended| match ended.fate {
            Fate::Whole => "whole",
            Fate::Truncated => "truncated",
            Fate::Broken => "broken",
            Fate::Lost => "lost",
            Fate::Abandoned => "abandoned",
            Fate::Refused(..) => "refused",
        }));
    }
    // Every prompt fits a replica, or the scenario has a mistake.
    let never = [Cause::TooLong];
    let expected = Cause::ALL.iter().filter(|cause| !never.contains(cause)).map(|cause| cause.name());
    let unseen: Vec<&str> = expected.filter(|cause| !causes.contains(*cause)).collect();
    assert_eq!(unseen, Vec::<&str>::new(), "seen are {causes:?}");
    assert_eq!(fates.len(), 6, "{fates:?}");
}
