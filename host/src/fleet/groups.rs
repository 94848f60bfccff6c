//! How groups of replicas grew and shrank, and how often plugins chose between them, for people and programs.

use serde_json::{Value, json};

use crate::clock::Nanos;
use crate::fleet::report::Station;
use crate::station::autoscaler::Decision;
use crate::station::pipeline::{Choices, Size, Sizes};

/// So many decisions of each group are told to people.
const SHOWN: usize = 5;

/// Hours of all replicas together, from their starts until they were gone.
pub(super) fn hours(sizes: &Sizes) -> f64 {
    sizes.areas.iter().sum::<u128>() as f64 / 3.6e12
}

/// The sizes of a group in a run of `virtual_ns`.
pub(super) fn sizes_json(sizes: &Sizes, virtual_ns: Nanos) -> Value {
    let [ready, starting, draining] = sizes.areas.map(|area| mean(area, virtual_ns));
    let change = |(at, size): &(Nanos, Size)| json!([*at as f64 * 1e-9, size.ready, size.starting, size.draining]);
    json!({
        "ready_mean": ready, "starting_mean": starting, "draining_mean": draining, "replica_hours": hours(sizes),
        "started": sizes.started, "stopped": sizes.stopped, "ups": sizes.ups, "downs": sizes.downs, "fell_back": sizes.fell_back,
        "decisions": sizes.decisions.iter().map(decision_json).collect::<Vec<_>>(),
        "over_time": sizes.changes.iter().map(change).collect::<Vec<_>>(), "left_out": sizes.changes_left_out,
    })
}

/// One decision of an autoscaler, for programs.
pub fn decision_json(decision: &Decision) -> Value {
    let Decision { at, from, to, wished, by, reason } = decision;
    json!({ "at_s": *at as f64 * 1e-9, "from": from, "to": to, "wished": wished, "by": by.name(), "reason": reason })
}

/// What plugins chose; `null` if none was asked.
pub(super) fn choices_json(choices: Choices) -> Value {
    if choices.asked == 0 { Value::Null } else { json!({ "asked": choices.asked, "fell_back": choices.fell_back }) }
}

/// A line for each group whose size changes, and for each between whose replicas plugins chose.
pub(super) fn table(stations: &[Station], virtual_ns: Nanos) -> Vec<String> {
    let width = stations.iter().map(|station| station.name.chars().count()).max().unwrap_or(0).max(8) + 2;
    let mut lines = Vec::new();
    let sized = || stations.iter().filter_map(|station| Some((&station.name, station.sizes.as_ref()?)));
    if sized().next().is_some() {
        let head = ["ready", "fewest", "most", "started", "stopped", "hours"].map(|word| format!("{word:>10}")).concat();
        lines.extend([String::new(), format!("{:<width$}{head}", "replicas")]);
    }
    for (name, sizes) in sized() {
        let ready = || sizes.changes.iter().map(|(_, size)| size.ready);
        let (fewest, most) = (ready().min().unwrap_or(0), ready().max().unwrap_or(0));
        let mean = mean(sizes.areas[0], virtual_ns).map_or("-".to_owned(), |mean| format!("{mean:.2}"));
        let Sizes { started, stopped, .. } = sizes;
        lines.push(format!("{name:<width$}{mean:>10}{fewest:>10}{most:>10}{started:>10}{stopped:>10}{:>10.2}", hours(sizes)));
    }
    let decided = || sized().flat_map(|(name, sizes)| sizes.decisions.iter().rev().take(SHOWN).rev().map(move |one| (name, one)));
    if decided().next().is_some() {
        lines.extend([String::new(), format!("{:<width$}{:>10}{:>12}  why, of the newest", "decided", "at", "wanted")]);
    }
    for (name, Decision { at, from, to, by, reason, .. }) in decided() {
        let (at, change) = (format!("{:.1}s", *at as f64 * 1e-9), format!("{from} to {to}"));
        lines.push(format!("{name:<width$}{at:>10}{change:>12}  {}: {reason}", by.name()));
    }
    let chosen = || stations.iter().filter(|station| station.choices.asked > 0);
    if chosen().next().is_some() {
        lines.extend([String::new(), format!("{:<width$}{:>10}{:>12}", "chosen", "asked", "fell back")]);
    }
    lines.extend(
        chosen().map(|Station { name, choices, .. }| format!("{name:<width$}{:>10}{:>12}", choices.asked, choices.fell_back)),
    );
    lines
}

fn mean(area: u128, over_ns: Nanos) -> Option<f64> {
    (over_ns > 0).then(|| area as f64 / over_ns as f64)
}
