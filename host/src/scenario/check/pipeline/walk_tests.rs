//! That every walk through a pipeline ends with one reply.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::tests::read;
use crate::random::{Key, Stream};
use crate::station::pipeline::route::{Route, Step};
use crate::station::pipeline::{Happened, Settings, Site, What as Event, Work};
use crate::station::{Cause, pool, replica};

/// Random pipelines, most of which have no mistakes: each list writes the reply or does not, as it is asked to.
struct Maker {
    draws: Stream,
    names: u32,
}

impl Maker {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("s{}", self.names)
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.draws.below(bound)
    }

    fn plain(&mut self) -> Value {
        let fields = [
            json!({}),
            json!({ "takes": "3ms" }),
            json!({ "takes": "2ms", "fails": "50%" }),
            json!({ "through": "db", "takes": "1ms", "fails": 0.3, "retry": { "times": 1 } }),
            json!({ "takes": "7ms", "within": "5ms" }),
            json!({ "through": "busy", "takes": "4ms" }),
        ];
        let index = self.below(fields.len() as u32) as usize;
        json!({ self.name(): fields[index].clone() })
    }

    fn writer(&mut self, may_fail: bool) -> Value {
        let mut fields = match self.below(3) {
            0 if may_fail => json!({ "through": "gpu", "within": "1ms" }),
            1 => json!({ "text": "hi" }),
            _ => json!({ "reply": true, "takes": "2ms" }),
        };
        if may_fail && fields.get("within").is_none() {
            fields["fails"] = json!("40%");
        }
        json!({ self.name(): fields })
    }

    /// A list that writes the reply if `writes`, with caches if `caches`.
    fn list(&mut self, writes: bool, caches: bool, depth: u32) -> Value {
        let mut list = Vec::new();
        for _ in 0..self.below(3) {
            list.push(self.item(depth));
        }
        if writes {
            if caches && self.below(3) == 0 {
                list.push(json!({ self.name(): { "through": "answers" } }));
                list.push(self.plain());
            }
            list.push(self.writing(caches, depth));
            for _ in 0..self.below(2) {
                list.push(json!({ self.name(): { "takes": "1ms" } }));
            }
        } else {
            list.push(self.plain());
        }
        json!(list)
    }

    fn item(&mut self, depth: u32) -> Value {
        match self.below(5) {
            0 if depth > 0 => {
                let need = [json!("all"), json!("any"), json!(2)][self.below(3) as usize].clone();
                let branches: Vec<_> = (0..2 + self.below(2)).map(|_| self.list(false, false, depth - 1)).collect();
                json!({ "fork": { "need": need, "branches": branches } })
            }
            1 if depth > 0 => {
                let first = json!({ self.name(): { "takes": "2ms", "fails": "50%" } });
                json!({ "first-of": [first, self.list(false, false, depth - 1)] })
            }
            2 if depth > 0 => {
                json!({ "route": [{ "when": { "stream": true }, "stages": self.list(false, false, depth - 1) }, { "stages": [] }] })
            }
            _ => self.plain(),
        }
    }

    fn writing(&mut self, caches: bool, depth: u32) -> Value {
        match self.below(3) {
            0 if depth > 0 => {
                let mut first = self.list(true, caches, depth - 1).as_array().cloned().expect("a list");
                first.insert(0, json!({ self.name(): { "takes": "1ms", "fails": "30%" } }));
                json!({ "first-of": [first, self.writer(true), self.writer(false)] })
            }
            1 if depth > 0 => {
                let (one, other) = (self.list(true, caches, depth - 1), self.list(true, caches, depth - 1));
                json!({ "route": [{ "when": { "stream": true }, "stages": one }, { "stages": other }] })
            }
            _ => {
                let may_fail = self.below(2) == 0;
                self.writer(may_fail)
            }
        }
    }
}

fn random(seed: u64, caches: bool) -> Value {
    let mut maker = Maker { draws: Key::of_seed(seed).stream(), names: 0 };
    maker.list(true, caches, 3)
}

/// One walk over the steps alone: each stage that can passes, fails or has the answer, as the draws say. Gives how many replies were
/// written, and whether it came to its end.
fn walk(steps: &[Step], mut at: u16, replies: &mut u32, draws: &mut Stream) -> Option<u16> {
    for _ in 0..10_000 {
        let fails = draws.below(3) == 0;
        at = match &steps[usize::from(at)] {
            Step::Stage(stage) if fails && stage.on_failure.is_some() => stage.on_failure?,
            Step::Stage(stage) => {
                let is_hit = stage.on_hit.is_some() && draws.below(2) == 0;
                *replies += u32::from(is_hit || stage.reply.is_some());
                stage.on_hit.filter(|_| is_hit).unwrap_or(at + 1)
            }
            Step::Fork { branches, join, on_failure, .. } => {
                for branch in branches {
                    assert_eq!(walk(steps, *branch, replies, draws), Some(*join), "branches meet at their join");
                }
                on_failure.filter(|_| fails).unwrap_or(join + 1)
            }
            Step::Switch { ways, .. } => ways[draws.below(ways.len() as u32) as usize],
            Step::Jump(to) => *to,
            Step::Join | Step::End => return Some(at),
        };
    }
    None
}

#[test]
fn every_walk_over_a_random_pipeline_ends_with_one_reply() {
    let (mut good, mut shapes) = (0, HashSet::new());
    for seed in 0..400 {
        let value = random(seed, true);
        let Ok(made) = read(&value) else { continue };
        good += 1;
        let steps = &made.route.steps;
        shapes.insert(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let targets: Vec<u16> = match step {
                Step::Stage(stage) => [stage.on_failure, stage.on_hit].into_iter().flatten().collect(),
                Step::Fork { branches, join, on_failure, .. } => {
                    branches.iter().copied().chain([*join]).chain(*on_failure).collect()
                }
                Step::Switch { ways, .. } => ways.to_vec(),
                Step::Jump(to) => vec![*to],
                Step::Join | Step::End => Vec::new(),
            };
            // Only forwards: so every walk ends, and nothing that failed comes back into its chain.
            assert!(targets.iter().all(|to| usize::from(*to) > index && usize::from(*to) < steps.len()), "{value}\n{steps:?}");
        }
        for run in 0..50 {
            let mut replies = 0;
            let end = walk(steps, 0, &mut replies, &mut Key::of_seed(seed).with(run).stream());
            assert_eq!((end, replies), (Some(steps.len() as u16 - 1), 1), "{value}\n{steps:?}");
        }
    }
    assert!(good > 150 && shapes.len() > 20, "{good} pipelines of {} lengths", shapes.len());
}

/// What the named stations are, as far as walks need them.
fn site(route: &Route) -> Site {
    let pool = |size, queue_max| Settings::Pool(pool::Settings { queue_max, ..pool::Settings::of(size) });
    let gpu = replica::presets::find("llama-3.1-8b-h100").expect("a preset").settings.clone();
    let rule = crate::station::balancer::Rule::LeastBusy;
    let group = Settings::Replicas(crate::station::pipeline::Replicas::of(1, gpu, rule));
    Site::new(&[pool(2, u32::MAX), pool(1, 1), group], vec![route.clone()], false)
}

#[test]
fn whoever_is_walked_to_the_end_by_a_site_has_one_reply_and_whoever_is_refused_none_or_one() {
    let (mut done, mut refused, mut causes) = (0, 0, HashSet::new());
    for seed in 0..200 {
        let value = random(seed, false);
        let Ok(made) = read(&value) else { continue };
        let mut site = site(&made.route);
        let mut happened: Vec<Happened> = Vec::new();
        let mut visits = Vec::new();
        for number in 0..12 {
            let key = Key::of_seed(seed).with(number);
            let mut draws = key.stream();
            let work = Work {
                route: 0,
                tenant: 0,
                priority: 0,
                content: number,
                affinity: number,
                prompt_tokens: 10,
                output_tokens: 3,
                prefix: replica::Prefix::None,
                bytes: 100,
                reply_ns: 5_000_000,
                step: None,
                takes: (0..made.takes.len()).map(|_| 1_000_000 * u64::from(1 + draws.below(6))).collect(),
                choices: made.switches.iter().map(|ways| draws.below(ways.len() as u32) as u8).collect(),
                is_cut: false,
                draws: key,
                asker: None,
            };
            visits.push(site.enter(number * 500_000, work, &mut happened));
        }
        while let Some(at) = site.next_at() {
            assert!(at < 60_000_000_000, "walks end: {value}");
            site.advance(at, &mut happened);
        }
        for visit in visits {
            let own = || happened.iter().filter(|happened| happened.visit == visit);
            let replies = own().filter(|event| matches!(event.what, Event::Begun(_) | Event::FirstToken)).count();
            match site.end_of(visit) {
                Some((_, Ok(()))) => {
                    assert_eq!(replies, 1, "{value}");
                    done += 1;
                }
                Some((_, Err(refusal))) => {
                    assert!(replies <= 1, "{value}");
                    refused += 1;
                    causes.insert(refusal.cause);
                }
                None => panic!("a visit without an end: {value}"),
            }
        }
        assert_eq!(site.load(0), Default::default(), "nobody is left in a station: {value}");
    }
    assert!(done > 500 && refused > 100, "{done} done, {refused} refused");
    assert!([Cause::Budget, Cause::StageFailed, Cause::QueueFull].iter().all(|cause| causes.contains(cause)), "{causes:?}");
}
