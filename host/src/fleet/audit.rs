//! What must hold in every run, whatever is played. Cheap, so it is always looked at; what does not hold is a mistake of the program.
//!
//! * Conservation: every attempt that came is answered, refused, cut, abandoned, or still on its way; the same at every stage.
//! * Little's law, in its exact form for one run: at every stage, with nobody left in it, the area under the number of those inside is the
//!   sum of their stays, to the nanosecond; and the same for those who wait.
//! * Quotas: what is reserved less what is settled is nothing once nobody is left.
//! * Stations: once nobody is left, and the steps of replicas under way are over, none serves anybody, lets anybody wait or holds a block.
//! * Groups that change: the replicas that are there are those that began, with what started and without what is gone; within the bounds.
//! * Causality: nothing ends before its arrival; a whole reply on a plain row of stages not before the service that it needs.

use crate::clock::Nanos;
use crate::fleet::Fleet;
use crate::station::pipeline::{Load, Settings, Sizes};

/// By then a replica's step that was under way is over: a day.
const STEP_OVER_NS: Nanos = 86_400_000_000_000;

/// What does not hold, each as a sentence; empty if all is well. `in_flight` requests were under way when they were all given up.
pub(super) fn audit(fleet: &mut Fleet, in_flight: u64) -> Vec<String> {
    let mut broken = Vec::new();
    let attempts = fleet.measure.attempts;
    let gone = attempts.whole + attempts.refused + attempts.broken + attempts.abandoned;
    if attempts.came != gone + in_flight {
        broken.push(format!("{} attempts came, {gone} ended and {in_flight} are under way", attempts.came));
    }
    let begun = fleet.traffic.begun() + attempts.retries;
    if attempts.came != begun {
        broken.push(format!("{} attempts came and {begun} were sent", attempts.came));
    }
    if fleet.measure.early > 0 {
        broken.push(format!("{} attempts ended before they could", fleet.measure.early));
    }
    let (holding, reserved) = fleet.quotas.under_way();
    if (holding, reserved) != (0, 0) {
        broken.push(format!("{holding} requests hold {reserved} tokens of quotas, and nobody is left"));
    }
    let now = fleet.now;
    let Some(site) = &mut fleet.site else { return broken };
    if !site.is_empty() {
        broken.push(format!("{} visits are left at the site of which nobody knows", site.len()));
    }
    let models = &fleet.generation.scenario.models;
    for (model, stage, flow) in site.flows(now) {
        let mut unless = |holds: bool, what: &str, left: u128, right: u128| {
            if !holds {
                let model = &models[model].name;
                broken.push(format!("stage `{stage}` of `{model}`: {what}: {left} is not {right}"));
            }
        };
        let gone = flow.passed + flow.failed + u64::from(flow.inside);
        unless(flow.entered == gone, "those who came and those who went", flow.entered.into(), gone.into());
        unless(flow.inside == 0, "those left inside", flow.inside.into(), 0);
        unless(flow.inside_area == flow.stayed_ns, "Little's law of those inside", flow.inside_area, flow.stayed_ns);
        unless(flow.waiting_area == flow.waited_ns, "Little's law of those who wait", flow.waiting_area, flow.waited_ns);
    }
    // Who leaves a replica counts at the next end of a step.
    let later = now.saturating_add(STEP_OVER_NS);
    // Groups stay as they are until then.
    site.rest();
    for (station, entry) in fleet.generation.scenario.stations.iter().enumerate() {
        if let (Some(sizes), Settings::Replicas(group)) = (site.sizes(now, station), &entry.settings) {
            let Sizes { started, stopped, wanted, .. } = *sizes;
            let there = u64::from(group.count) + started - stopped;
            let bounds = group.autoscale.as_ref();
            let is_allowed = bounds.is_some_and(|scale| (scale.least..=scale.most).contains(&wanted));
            let is_served = sizes.now.ready > 0 || bounds.is_some_and(|scale| scale.least == 0);
            if there != u64::from(sizes.now.all()) || sizes.now.all() > group.most() || !is_served || !is_allowed {
                let Sizes { now, .. } = sizes;
                broken.push(format!("station `{}`: {there} replicas should be there, {wanted} are wanted: {now:?}", entry.name));
            }
        }
        let kv_used: u32 = site.replica_loads(later, station, &mut Vec::new()).iter().map(|load| load.kv_used).sum();
        let Load { running, waiting } = site.load(station);
        if (running, waiting, kv_used) != (0, 0, 0) {
            let held = format!("{running} are served, {waiting} wait and {kv_used} blocks are used");
            broken.push(format!("station `{}`: {held}, and nobody is left", entry.name));
        }
    }
    broken
}
