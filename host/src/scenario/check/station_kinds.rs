//! The kinds of stations that are no pools and no replicas, and what chooses between replicas.

use serde_json::Value;

use super::autoscale::plugin_with_fallback;
use super::stations::{places, time_ns};
use crate::scenario::BehaviorUse;
use crate::station::balancer::Rule;
use crate::station::pipeline::Settings;
use crate::station::{admission, batcher, breaker, cache, link, retry};
use crate::stats::law::Law;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{CACHE_ENTRIES, CACHE_LEVELS_MAX, RING_BOUND_MAX, RING_POINTS_MAX, STATION_MEMBERS_MAX};
use crate::types::problem::{Problem, did_you_mean};

pub(super) fn admission(fields: &mut Fields<'_>) -> Settings {
    fields.require("places");
    Settings::Admission(admission::Settings {
        places: places(fields, "places", 1).unwrap_or(1),
        queue_max: places(fields, "queue", 0).unwrap_or(u32::MAX),
        wait_max_ns: time_ns(fields, "wait").unwrap_or(0),
        fair: fields.flag("fair").unwrap_or(false),
    })
}

pub(super) fn cache(fields: &mut Fields<'_>) -> Settings {
    let pointer = fields.pointer("levels");
    let written = fields.list("levels");
    if written.is_empty() {
        let problem = Problem::new(&pointer, "expected at least one level");
        fields.extend(vec![problem.hint("write for example `levels: [{ entries: 1_000, ttl: 10m }]`")]);
    }
    if written.len() > CACHE_LEVELS_MAX {
        fields.problem("levels", format!("there are {} levels, and a cache may have {CACHE_LEVELS_MAX}", written.len()));
    }
    let mut levels = Vec::new();
    for (index, value) in written.iter().enumerate() {
        let mut level = Fields::of(value, format!("{pointer}/{index}"));
        let policy = match level.word("policy", &["lru", "lfu", "fifo"]) {
            Some("lfu") => cache::Policy::Lfu,
            Some("fifo") => cache::Policy::Fifo,
            _ => cache::Policy::Lru,
        };
        let bytes = level.bytes("bytes");
        if bytes == Some(0) {
            level.problem("bytes", "expected a size such as `64MiB`, found no room at all");
        }
        levels.push(cache::Level {
            entries_max: places(&mut level, "entries", 1).unwrap_or(CACHE_ENTRIES),
            bytes_max: bytes.unwrap_or(0),
            ttl_ns: time_ns(&mut level, "ttl").unwrap_or(0),
            latency_ns: level.duration_us("latency").map_or(0, |us| us.saturating_mul(1_000)),
            policy,
        });
        fields.extend(level.finish());
    }
    Settings::Cache(cache::Settings { levels, flush_ns: time_ns(fields, "flush-every").unwrap_or(0) })
}

pub(super) fn link(fields: &mut Fields<'_>) -> Settings {
    let loss = fields.share("loss").unwrap_or(0.0);
    if loss >= 1.0 {
        fields.problem("loss", "a link that loses everything is no link; let its stage fail with `fails: 100%`");
    }
    let jitter = time_ns(fields, "jitter");
    let bandwidth = fields.bytes("bandwidth");
    if bandwidth == Some(0) {
        fields.problem("bandwidth", "expected bytes a second such as `100MB`, found none at all");
    }
    Settings::Link(link::Settings {
        latency_ns: fields.duration_us("latency").map_or(0, |us| us.saturating_mul(1_000)),
        bandwidth_bytes_per_s: bandwidth.unwrap_or(0),
        loss,
        jitter: jitter.map(|most| Law::uniform(0.0, most as f64)),
        retransmit_ns: time_ns(fields, "retransmit").unwrap_or(0),
    })
}

pub(super) fn batcher(fields: &mut Fields<'_>) -> Settings {
    fields.require("size");
    if fields.value("size").is_some() {
        // Nobody may come to fill the batch.
        fields.require("wait");
    }
    Settings::Batcher(batcher::Settings {
        size_max: places(fields, "size", 1).unwrap_or(1),
        wait_max_ns: time_ns(fields, "wait").unwrap_or(0),
        tokens_max: places(fields, "tokens", 1).map_or(0, u64::from),
    })
}

pub(super) fn breaker(fields: &mut Fields<'_>) -> Settings {
    let in_a_row = places(fields, "failures", 1);
    let share = fields.share("share");
    if share.is_some_and(|share| share < 0.001) {
        fields.problem("share", "expected a share of at least 0.1%");
    }
    let (window_ns, at_least) = (time_ns(fields, "window"), places(fields, "at-least", 1));
    if in_a_row.is_none() && fields.value("failures").is_none() && fields.value("share").is_none() {
        fields.require("failures");
    }
    if fields.value("share").is_none() {
        for name in ["window", "at-least"] {
            if fields.value(name).is_some() {
                fields.problem(name, "this says of which requests the `share` of failures is taken, and there is no `share`");
            }
        }
    }
    Settings::Breaker(breaker::Settings {
        in_a_row,
        share: share.map(|share| breaker::Share {
            per_mille: (share * 1_000.0).round() as u32,
            window_ns: window_ns.unwrap_or(10_000_000_000),
            at_least: at_least.unwrap_or(20),
        }),
        open_ns: time_ns(fields, "open").unwrap_or(30_000_000_000),
        trials: places(fields, "trials", 1).unwrap_or(1),
    })
}

pub(super) fn retry(fields: &mut Fields<'_>) -> Settings {
    Settings::Retry(retry::Settings {
        per_mille: (fields.share("share").unwrap_or(0.2) * 1_000.0).round() as u32,
        free_per_s: places(fields, "free", 0).unwrap_or(10),
        ttl_ns: time_ns(fields, "for").unwrap_or(10_000_000_000),
    })
}

/// `balancer:`, a rule of ours or a plugin, and `weights:`. `kv_blocks` is what one replica can remember. The use is that of a plugin,
/// which goes before the rule.
pub(super) fn balancer(fields: &mut Fields<'_>, count: u32, kv_blocks: u32) -> (Rule, Vec<u32>, Option<BehaviorUse>) {
    let mut problems = Vec::new();
    let (rule, used) = match fields.value("balancer") {
        None => (Rule::LeastBusy, None),
        Some(value) => whose_rule(value, &fields.pointer("balancer"), kv_blocks, &mut problems),
    };
    fields.extend(problems);
    let pointer = fields.pointer("weights");
    let mut weights = Vec::new();
    for (index, weight) in fields.list("weights").iter().enumerate() {
        match weight.as_u64().filter(|weight| *weight <= u64::from(STATION_MEMBERS_MAX)) {
            Some(weight) => weights.push(weight as u32),
            None => {
                let message = format!("expected a whole number from 0 to {STATION_MEMBERS_MAX}");
                fields.extend(vec![Problem::new(format!("{pointer}/{index}"), message)]);
            }
        }
    }
    if weights.len() > count as usize {
        fields.problem("weights", format!("there are {} weights for {count} replicas", weights.len()));
    } else if weights.len() == count as usize && weights.iter().all(|weight| *weight == 0) && !weights.is_empty() {
        fields.problem("weights", "a replica of weight 0 gets no work, and here none gets any");
    }
    (rule, weights, used)
}

/// A rule of ours, or a plugin with its fallback, which is one of ours.
fn whose_rule(value: &Value, pointer: &str, kv_blocks: u32, problems: &mut Vec<Problem>) -> (Rule, Option<BehaviorUse>) {
    let named = match value {
        Value::String(name) => Some(name.as_str()),
        Value::Object(map) => map.keys().map(String::as_str).find(|key| *key != "fallback"),
        _ => None,
    };
    match named {
        Some(name) if !WORDS.contains(&name) && !name.is_empty() => {
            let read = |value: &Value, pointer: &str, problems: &mut Vec<Problem>| own_rule(value, pointer, kv_blocks, problems);
            plugin_with_fallback(value, pointer, Rule::LeastBusy, problems, read)
        }
        _ => (own_rule(value, pointer, kv_blocks, problems), None),
    }
}

/// A word, or a map of one word to its fields.
fn own_rule(value: &Value, pointer: &str, kv_blocks: u32, problems: &mut Vec<Problem>) -> Rule {
    match value {
        Value::String(word) if WORDS.contains(&word.as_str()) => plain(word, kv_blocks),
        Value::String(word) => {
            let hint = match did_you_mean(word, WORDS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of: {}", WORDS.join(", ")),
            };
            problems.push(Problem::new(pointer, format!("`{word}` is no rule of this program")).hint(hint));
            Rule::LeastBusy
        }
        Value::Object(_) => {
            let mut outer = Fields::of(value, pointer);
            let rule = with_fields(&mut outer, kv_blocks);
            problems.extend(outer.finish());
            rule
        }
        other => {
            let message = format!("expected the name of a rule, found {}", kind_of(other));
            problems.push(Problem::new(pointer, message).hint(format!("one of: {}", WORDS.join(", "))));
            Rule::LeastBusy
        }
    }
}

/// The rules of this program; any other name is a plugin's.
pub(in crate::scenario) const WORDS: [&str; 8] =
    ["least-busy", "round-robin", "weighted", "two-choices", "consistent-hash", "latency", "prefix-affinity", "random"];

/// The rule called `word`, with what it has if nothing else is said.
fn plain(word: &str, kv_blocks: u32) -> Rule {
    match word {
        "round-robin" => Rule::RoundRobin,
        "weighted" => Rule::Weighted,
        "two-choices" => Rule::TwoChoices,
        "consistent-hash" => Rule::ConsistentHash { points: 100, bound_percent: None },
        "latency" => Rule::Latency { decay_ns: 10_000_000_000 },
        "prefix-affinity" => Rule::PrefixAffinity { blocks_max: kv_blocks, busy_blocks: 8 },
        "random" => Rule::Random,
        _ => Rule::LeastBusy,
    }
}

/// The rules that have fields of their own.
fn with_fields(outer: &mut Fields<'_>, kv_blocks: u32) -> Rule {
    if let Some(value) = outer.value("consistent-hash") {
        let mut fields = Fields::of(value, outer.pointer("consistent-hash"));
        let points = fields.integer("points", 1..=RING_POINTS_MAX).unwrap_or(100) as u32;
        let bound_percent = fields.number("bound", 1.0..=RING_BOUND_MAX).map(|bound| (bound * 100.0).round() as u32);
        outer.extend(fields.finish());
        return Rule::ConsistentHash { points, bound_percent };
    }
    if let Some(value) = outer.value("latency") {
        let mut fields = Fields::of(value, outer.pointer("latency"));
        let decay_ns = time_ns(&mut fields, "decay").unwrap_or(10_000_000_000);
        outer.extend(fields.finish());
        return Rule::Latency { decay_ns };
    }
    if let Some(value) = outer.value("prefix-affinity") {
        let mut fields = Fields::of(value, outer.pointer("prefix-affinity"));
        let blocks_max = places(&mut fields, "blocks", 1).unwrap_or(kv_blocks);
        let busy_blocks = places(&mut fields, "busy", 0).unwrap_or(8);
        outer.extend(fields.finish());
        return Rule::PrefixAffinity { blocks_max, busy_blocks };
    }
    Rule::LeastBusy
}
