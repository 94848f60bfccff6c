//! `stations:` of a scenario: each by its name, and what kind of station it is.

use serde_json::{Map, Value};

use crate::scenario::BehaviorUse;
use crate::scenario::check::{autoscale, fault_of_name, station_kinds};
use crate::scenario::stations::StationEntry;
use crate::station::balancer::Rule;
use crate::station::pipeline::{Replicas, Role, Settings};
use crate::station::replica::presets;
use crate::station::{pool, replica};
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::{
    BLOCK_TOKENS_MAX, CHOOSER_BACKENDS_MAX, COST_MAX, SCENARIO_BLOCK_TOKENS_MAX, SCENARIO_REPLICAS_MAX, SCENARIO_RING_POINTS_MAX,
    STATION_MEMBERS_MAX, STATION_PLACES_MAX, STATIONS_MAX,
};
use crate::types::problem::{Problem, did_you_mean};
use crate::types::quantity::parse_duration_ps;

/// A station as pipelines see it.
#[derive(Debug, Clone)]
pub(super) struct Known<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its index in the scenario's stations.
    pub station: u16,
    /// What it can be for a stage; `None` if it could not be read, which has been said.
    pub role: Option<Role>,
    /// Does anybody wait there, so that it can be seen how many do?
    pub has_queue: bool,
    /// Are there visitors that it turns away?
    pub may_refuse: bool,
    /// Tokens of the longest prompt and reply that fit, if it has such a limit.
    pub tokens_max: Option<u64>,
    /// Tokens of one block of what it remembers of prompts, if it does.
    pub prefix_block: Option<u32>,
}

/// A kind of station: its name, and what reads its fields.
type Kind = (&'static str, fn(&mut Fields<'_>) -> Settings);

/// The names of balancers that are rules of this program.
pub fn balancer_rules() -> &'static [&'static str] {
    &station_kinds::WORDS
}

/// The names of autoscalers that are rules of this program.
pub fn scaling_rules() -> &'static [&'static str] {
    &autoscale::RULES
}

/// The kinds. A new one is a line here, one in `scenario/schema/stations.rs` and one in docs/stations.md.
const KINDS: [Kind; 8] = [
    ("pool", pool),
    ("replicas", replicas),
    ("admission", station_kinds::admission),
    ("cache", station_kinds::cache),
    ("link", station_kinds::link),
    ("batcher", station_kinds::batcher),
    ("breaker", station_kinds::breaker),
    ("retry", station_kinds::retry),
];

/// The kinds of what is rented or run; the others are rules.
pub(in crate::scenario) const COSTLY: [&str; 3] = ["pool", "replicas", "cache"];

/// Reads `stations:` of the scenario in `fields`. Pipelines may name all of them; those with mistakes are only known.
pub(super) fn check<'a>(fields: &mut Fields<'a>) -> (Vec<StationEntry>, Vec<Known<'a>>) {
    let (mut stations, mut known) = (Vec::new(), Vec::new());
    let pointer = fields.pointer("stations");
    let map = match fields.value("stations") {
        None => return (stations, known),
        Some(Value::Object(map)) => map,
        Some(other) => {
            let message = format!("expected a map from names to stations, found {}", kind_of(other));
            let problem = Problem::new(pointer, message).hint("write for example `database: { pool: { size: 20 } }`");
            fields.extend(vec![problem]);
            return (stations, known);
        }
    };
    if map.len() > STATIONS_MAX {
        fields.problem("stations", format!("there are {} stations, and a scenario may have {STATIONS_MAX}", map.len()));
        return (stations, known);
    }
    let mut sizes = Sizes::default();
    for (name, value) in map {
        let pointer = format!("{pointer}/{}", escape(name));
        let (entry, problems) = station(name, value, pointer.clone());
        fields.extend(problems);
        if let Some(StationEntry { settings: Settings::Replicas(group), .. }) = &entry {
            fields.extend(sizes.add(group, &format!("{pointer}/replicas")));
        }
        known.push(Known::of(name, stations.len() as u16, entry.as_ref().map(|entry| &entry.settings)));
        stations.extend(entry);
    }
    (stations, known)
}

impl<'a> Known<'a> {
    fn of(name: &'a str, station: u16, settings: Option<&Settings>) -> Self {
        let tokens_max = match settings {
            Some(Settings::Replicas(group)) => Some(u64::from(group.replica.kv_blocks) * u64::from(group.replica.block_tokens)),
            _ => None,
        };
        let has_queue = settings.is_none_or(Settings::has_queue);
        let may_refuse = settings.is_none_or(Settings::may_refuse);
        let prefix_block = settings.and_then(Settings::prefix_block);
        Self { name, station, role: settings.map(Settings::role), has_queue, may_refuse, tokens_max, prefix_block }
    }
}

/// What all replicas of a scenario have together, and hold before anybody comes.
#[derive(Default)]
struct Sizes {
    replicas: u64,
    ring_points: u64,
    block_tokens: u64,
}

impl Sizes {
    /// Adds the `group` at `pointer`, and says what it has become too much of with it.
    fn add(&mut self, group: &Replicas, pointer: &str) -> Vec<Problem> {
        let count = u64::from(group.most());
        let points = if let Rule::ConsistentHash { points, .. } = group.balancer { u64::from(points) } else { 0 };
        let block_tokens = u64::from(group.replica.block_tokens);
        let mut problems = Vec::new();
        for (sum, more, most, what, hint) in [
            (&mut self.replicas, 1, SCENARIO_REPLICAS_MAX, "replicas", "lower `count`"),
            (&mut self.ring_points, points, SCENARIO_RING_POINTS_MAX, "points on rings", "lower `count` or `points`"),
            (
                &mut self.block_tokens,
                block_tokens,
                SCENARIO_BLOCK_TOKENS_MAX,
                "tokens in a block of each replica",
                "lower `count` or `block-tokens`",
            ),
        ] {
            let before = *sum;
            *sum += count * more;
            // Said once, where it becomes too much.
            if before <= most && *sum > most {
                let message =
                    format!("up to here the stations have {sum} {what}, and those of a scenario may have {most} together");
                problems.push(Problem::new(pointer, message).at_key().hint(hint));
            }
        }
        problems
    }
}

/// One station; `None` if it has mistakes.
fn station(name: &str, value: &Value, pointer: String) -> (Option<StationEntry>, Vec<Problem>) {
    let mut problems = Vec::new();
    problems.extend(fault_of_name(name).map(|message| Problem::new(&pointer, message).at_key()));
    let names = || KINDS.iter().map(|(name, _)| *name);
    let form = || format!("write `{name}: {{ kind: {{ … }} }}` with one of the kinds {}", names().collect::<Vec<_>>().join(", "));
    let mut written = value.as_object().into_iter().flat_map(Map::iter);
    let Some((kind, options)) = written.next() else {
        problems.push(Problem::new(pointer, "expected the kind of this station with its fields").hint(form()));
        return (None, problems);
    };
    for (second, _) in written {
        let message = format!("`{second}` is a second kind beside `{kind}`, and a station is one thing");
        let problem = Problem::new(format!("{pointer}/{}", escape(second)), message).at_key();
        problems.push(problem.hint("make it a station of its own, and go through both, one stage after the other"));
    }
    let pointer = format!("{pointer}/{}", escape(kind));
    let Some((_, read)) = KINDS.iter().find(|(known, _)| known == kind) else {
        let problem = Problem::new(pointer, format!("there is no kind of station `{kind}`")).at_key();
        problems.push(problem.hint(match did_you_mean(kind, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => form(),
        }));
        return (None, problems);
    };
    let mut fields = Fields::of(options, pointer);
    let (mut settings, mut choosers) = (read(&mut fields), (None, None));
    if let Settings::Replicas(group) = &mut settings {
        choosers = chosen_and_scaled(&mut fields, group);
    }
    let cost_per_hour = COSTLY.contains(&kind.as_str()).then(|| fields.number("cost-per-hour", 0.0..=COST_MAX)).flatten();
    problems.extend(fields.finish());
    let (chooser, scaler) = choosers;
    let entry = || StationEntry { name: name.to_owned(), settings, cost_per_hour, chooser, scaler };
    (problems.is_empty().then(entry), problems)
}

/// A whole number from `least` to what any station may have.
pub(super) fn places(fields: &mut Fields<'_>, name: &'static str, least: u64) -> Option<u32> {
    fields.integer(name, least..=u64::from(STATION_PLACES_MAX)).map(|number| number as u32)
}

/// A time that must be longer than none, in nanoseconds.
pub(super) fn time_ns(fields: &mut Fields<'_>, name: &'static str) -> Option<u64> {
    let us = fields.duration_us(name)?;
    if us == 0 {
        fields.problem(name, "expected a time, found none at all");
    }
    Some(us.saturating_mul(1_000))
}

fn pool(fields: &mut Fields<'_>) -> Settings {
    fields.require("size");
    let size = places(fields, "size", 1).unwrap_or(1);
    let mut share = |name| {
        let share = places(fields, name, 1);
        if share.is_some_and(|share| share > size) {
            fields.problem(name, format!("expected at most the pool's size of {size}"));
        }
        share
    };
    let (reads, writes) = (share("reads"), share("writes"));
    Settings::Pool(pool::Settings {
        reads,
        writes,
        wait_max_ns: time_ns(fields, "wait").unwrap_or(0),
        queue_max: places(fields, "queue", 0).unwrap_or(u32::MAX),
        ..pool::Settings::of(size)
    })
}

fn replicas(fields: &mut Fields<'_>) -> Settings {
    let preset = fields.text("preset").and_then(|name| {
        let found = presets::find(name);
        if found.is_none() {
            let names = || presets::ALL.iter().map(|preset| preset.name);
            let hint = match did_you_mean(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known: {}", names().collect::<Vec<_>>().join(", ")),
            };
            fields.extend(vec![Problem::new(fields.pointer("preset"), format!("there is no preset `{name}`")).hint(hint)]);
        }
        found
    });
    if fields.value("preset").is_none() {
        ["step", "kv-blocks"].into_iter().for_each(|name| fields.require(name));
    }
    let base = preset.map_or(BARE, |preset| preset.settings.clone());
    let step = step(fields, base.step);
    let sequences_max = places(fields, "sequences", 1).unwrap_or(base.sequences_max);
    let batch_tokens = places(fields, "batch-tokens", 1).unwrap_or(base.batch_tokens);
    if batch_tokens < sequences_max {
        let message = format!("a step of {batch_tokens} tokens has no room for {sequences_max} sequences with one token each");
        let culprit = if fields.value("batch-tokens").is_some() { "batch-tokens" } else { "sequences" };
        fields.problem(culprit, message);
    }
    let replica = replica::Settings {
        step,
        sequences_max,
        batch_tokens,
        kv_blocks: places(fields, "kv-blocks", 1).unwrap_or(base.kv_blocks),
        block_tokens: fields
            .integer("block-tokens", 1..=u64::from(BLOCK_TOKENS_MAX))
            .map_or(base.block_tokens, |tokens| tokens as u32),
        queue_max: places(fields, "queue", 1).unwrap_or(base.queue_max),
        prefix_cache: fields.flag("prefix-cache").unwrap_or(base.prefix_cache),
        ahead: fields.flag("async-scheduling").unwrap_or(base.ahead),
    };
    Settings::Replicas(Replicas::of(1, replica, Rule::LeastBusy))
}

/// How many replicas `group` has, what chooses between them, and plugins that do either.
fn chosen_and_scaled(fields: &mut Fields<'_>, group: &mut Replicas) -> (Option<BehaviorUse>, Option<BehaviorUse>) {
    let count = fields.integer("count", 0..=u64::from(STATION_MEMBERS_MAX)).map(|count| count as u32);
    let mut scaler = None;
    group.count = count.unwrap_or(1);
    if let Some((autoscale, used)) = autoscale::autoscale(fields) {
        group.count = count.unwrap_or(autoscale.least);
        if !(autoscale.least..=autoscale.most).contains(&group.count) {
            let message = format!("expected {} to {}, as `autoscale` says", autoscale.least, autoscale.most);
            fields.problem("count", message);
        }
        (group.autoscale, scaler) = (Some(Box::new(autoscale)), used);
    } else if count == Some(0) {
        fields.problem("count", "expected at least 1; only with `autoscale: { min: 0, … }` may there be none");
    }
    let (balancer, weights, chooser) = station_kinds::balancer(fields, group.most(), group.replica.kv_blocks);
    (group.balancer, group.weights, group.has_chooser) = (balancer, weights, chooser.is_some());
    if chooser.is_some() && group.most() > CHOOSER_BACKENDS_MAX {
        let message =
            format!("a plugin chooses between {CHOOSER_BACKENDS_MAX} replicas at most, and there may be {}", group.most());
        fields.problem("balancer", message);
    }
    (chooser, scaler)
}

/// What a replica has that says nothing else: the defaults of vLLM 0.19. The step and the KV cache must be said.
const BARE: replica::Settings = replica::Settings {
    step: replica::StepTime {
        base_ps: 0,
        per_prefill_token_ps: 0,
        per_sequence_ps: 0,
        per_kv_token_ps: 0,
        per_prefill_pair_ps: 0,
    },
    sequences_max: 256,
    batch_tokens: 8_192,
    kv_blocks: 1,
    block_tokens: 16,
    queue_max: u32::MAX,
    prefix_cache: true,
    ahead: true,
};

/// `step:`, the coefficients; what it leaves open is as in `preset`.
fn step(outer: &mut Fields<'_>, preset: replica::StepTime) -> replica::StepTime {
    let Some(value) = outer.value("step") else { return preset };
    let mut fields = Fields::of(value, outer.pointer("step"));
    if preset.base_ps == 0 {
        fields.require("base");
    }
    let base = picoseconds(&mut fields, "base");
    if base == Some(0) {
        fields.problem("base", "expected a time: steps that take none would never end");
    }
    let mut time = |name, preset| picoseconds(&mut fields, name).unwrap_or(preset);
    let step = replica::StepTime {
        base_ps: base.unwrap_or(preset.base_ps),
        per_prefill_token_ps: time("prefill-token", preset.per_prefill_token_ps),
        per_sequence_ps: time("sequence", preset.per_sequence_ps),
        per_kv_token_ps: time("kv-token", preset.per_kv_token_ps),
        per_prefill_pair_ps: time("prefill-pair", preset.per_prefill_pair_ps),
    };
    outer.extend(fields.finish());
    step
}

/// A short time such as `49.9ns`, in picoseconds; `0` alone is allowed.
fn picoseconds(fields: &mut Fields<'_>, name: &'static str) -> Option<u64> {
    let text = match fields.value(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => {
            fields.problem(name, format!("expected a time such as `49.9ns`, found {}", kind_of(other)));
            return None;
        }
    };
    parse_duration_ps(&text).map_err(|message| fields.problem(name, message)).ok()
}
