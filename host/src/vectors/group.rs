//! What balancers and autoscalers are asked with: `backends`, a list or only how many idle ones, and `group`. What is not written is as in a
//! group that has nothing to do.

use serde_json::Value;

use crate::clock::Nanos;
use crate::station::autoscaler::{self, Pace, Rule, Settings};
use crate::station::balancer::chooser::Sight;
use crate::types::fields::Fields;
use crate::types::limits::CHOOSER_BACKENDS_MAX;
use crate::types::problem::Problem;

/// From one decision to the next where a case does not say.
const INTERVAL_NS: Nanos = 15_000_000_000;

/// What an autoscaler is asked with, but for the time and the seed.
#[derive(Debug, Clone)]
pub struct Group {
    /// The name of the group.
    pub station: String,
    /// What the scenario allows.
    pub settings: Settings,
    /// What is to be seen of it.
    pub sight: autoscaler::Sight,
}

/// `backends` and `group` as they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    pub(super) backends: Option<Vec<Sight>>,
    pub(super) group: GroupAsked,
}

/// `group` as it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupAsked {
    station: Option<String>,
    interval: Option<Nanos>,
    boot: Option<Nanos>,
    least: Option<u32>,
    most: Option<u32>,
    wanted: Option<u32>,
    ready: Option<u32>,
    starting: Option<u32>,
    draining: Option<u32>,
    running: Option<u32>,
    waiting: Option<u32>,
    arrivals: Option<u64>,
    refused: Option<u64>,
    busy: Option<f64>,
    kv_used: Option<f64>,
    first_token: Option<Nanos>,
    first_token_max: Option<Nanos>,
}

fn whole(fields: &mut Fields<'_>, name: &'static str, least: u32) -> Option<u32> {
    fields.integer(name, u64::from(least)..=u64::from(u32::MAX)).map(|number| number as u32)
}

fn time(fields: &mut Fields<'_>, name: &'static str) -> Option<Nanos> {
    fields.duration_us(name).map(|us| us.saturating_mul(1_000))
}

impl Scene {
    /// Reads what is written of both among `fields`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Self {
        let backends = fields.value("backends").and_then(|value| backends(value, &fields.pointer("backends"), problems));
        let group = fields.value("group").map(|value| GroupAsked::read(value, &fields.pointer("group"), problems));
        Self { backends, group: group.unwrap_or_default() }
    }

    /// The same, with what `defaults` say where this says nothing. Backends are a whole.
    pub(super) fn over(self, defaults: &Self) -> Self {
        Self { backends: self.backends.or_else(|| defaults.backends.clone()), group: self.group.over(&defaults.group) }
    }
}

/// `3` for three that have nothing to do, or a list.
fn backends(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Vec<Sight>> {
    let most = CHOOSER_BACKENDS_MAX;
    let count = match value {
        Value::Array(list) => list.len() as u64,
        value => value.as_u64().unwrap_or(0),
    };
    if !(1..=u64::from(most)).contains(&count) {
        let message = format!("expected a list of 1 to {most} backends, or how many idle ones there are");
        problems.push(Problem::new(pointer, message).hint("for example `backends: 3`, or `backends: [{ running: 2 }, {}]`"));
        return None;
    }
    let sights = match value {
        Value::Array(list) => {
            let items = list.iter().enumerate();
            items.map(|(index, item)| backend(item, &format!("{pointer}/{index}"), problems)).collect::<Vec<_>>()
        }
        _ => vec![Sight { open: true, weight: 1, ..Sight::default() }; count as usize],
    };
    if !sights.iter().any(|sight| sight.open) {
        let problem = Problem::new(pointer, "none of these is open, and a balancer is asked only where one is");
        problems.push(problem.hint("leave `open: false` out of one"));
    }
    Some(sights)
}

fn backend(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Sight {
    let mut fields = Fields::of(value, pointer);
    let sight = Sight {
        open: fields.flag("open").unwrap_or(true),
        weight: whole(&mut fields, "weight", 0).unwrap_or(1),
        running: whole(&mut fields, "running", 0).unwrap_or(0),
        waiting: whole(&mut fields, "waiting", 0).unwrap_or(0),
        pending_tokens: whole(&mut fields, "pending-tokens", 0).unwrap_or(0).into(),
        cached_tokens: whole(&mut fields, "cached-tokens", 0).unwrap_or(0),
        kv_used: fields.share("kv-used").unwrap_or(0.0) as f32,
        first_token_ns: time(&mut fields, "first-token").unwrap_or(0),
        gap_ns: time(&mut fields, "gap").unwrap_or(0),
    };
    problems.extend(fields.finish());
    sight
}

impl GroupAsked {
    fn read(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Self {
        let mut fields = Fields::of(value, pointer);
        let asked = Self {
            station: fields.text("station").map(str::to_owned),
            interval: time(&mut fields, "interval"),
            boot: time(&mut fields, "boot"),
            least: whole(&mut fields, "least", 1),
            most: whole(&mut fields, "most", 1),
            wanted: whole(&mut fields, "wanted", 1),
            ready: whole(&mut fields, "ready", 0),
            starting: whole(&mut fields, "starting", 0),
            draining: whole(&mut fields, "draining", 0),
            running: whole(&mut fields, "running", 0),
            waiting: whole(&mut fields, "waiting", 0),
            arrivals: whole(&mut fields, "arrivals", 0).map(u64::from),
            refused: whole(&mut fields, "refused", 0).map(u64::from),
            busy: fields.share("busy"),
            kv_used: fields.share("kv-used"),
            first_token: time(&mut fields, "first-token"),
            first_token_max: time(&mut fields, "first-token-max"),
        };
        if asked.interval == Some(0) {
            fields.problem("interval", "from one decision to the next some time passes");
        }
        problems.extend(fields.finish());
        asked
    }

    fn over(self, defaults: &Self) -> Self {
        Self {
            station: self.station.or_else(|| defaults.station.clone()),
            interval: self.interval.or(defaults.interval),
            boot: self.boot.or(defaults.boot),
            least: self.least.or(defaults.least),
            most: self.most.or(defaults.most),
            wanted: self.wanted.or(defaults.wanted),
            ready: self.ready.or(defaults.ready),
            starting: self.starting.or(defaults.starting),
            draining: self.draining.or(defaults.draining),
            running: self.running.or(defaults.running),
            waiting: self.waiting.or(defaults.waiting),
            arrivals: self.arrivals.or(defaults.arrivals),
            refused: self.refused.or(defaults.refused),
            busy: self.busy.or(defaults.busy),
            kv_used: self.kv_used.or(defaults.kv_used),
            first_token: self.first_token.or(defaults.first_token),
            first_token_max: self.first_token_max.or(defaults.first_token_max),
        }
    }

    /// The group, whose `pointer` is for mistakes that only the whole shows.
    pub(super) fn group(self, pointer: &str) -> Result<Group, Problem> {
        let (least, most) = (self.least.unwrap_or(1), self.most.unwrap_or(10));
        if least > most {
            let message = format!("`least` is {least} and `most` is {most}, so that no number of replicas is allowed");
            return Err(Problem::new(pointer, message).hint("`most` is 10 where nothing is said"));
        }
        let settings = Settings {
            least,
            most,
            every_ns: self.interval.unwrap_or(INTERVAL_NS),
            boot_ns: self.boot.unwrap_or(0),
            drain_ns: 0,
            rule: Rule::Keep,
            up: Pace::FREE,
            down: Pace::FREE,
        };
        let wanted = self.wanted.or(self.ready.filter(|ready| *ready > 0)).unwrap_or(least);
        let (starting, draining) = (self.starting.unwrap_or(0), self.draining.unwrap_or(0));
        let ready = self.ready.unwrap_or(wanted.saturating_sub(starting));
        let busy_share = self.busy.unwrap_or(0.0);
        let sight = autoscaler::Sight {
            now: 0,
            interval_ns: settings.every_ns,
            wanted,
            ready,
            starting,
            draining,
            running: self.running.unwrap_or(0),
            waiting: self.waiting.unwrap_or(0),
            arrivals: self.arrivals.unwrap_or(0),
            refused: self.refused.unwrap_or(0),
            busy: busy_share * f64::from(ready.saturating_add(draining)),
            busy_share,
            kv: self.kv_used.unwrap_or(0.0) * f64::from(ready),
            first_token_ns: self.first_token.unwrap_or(0),
            first_token_max_ns: self.first_token_max.or(self.first_token).unwrap_or(0),
        };
        Ok(Group { station: self.station.unwrap_or_else(|| "replicas".to_owned()), settings, sight })
    }
}
