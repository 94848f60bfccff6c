//! `arrivals:`, one way of coming by name: `every`, `poisson`, `gamma`, `bursty`, `ramp`, `spike`, `diurnal`, `profile`, `closed`,
//! `trace`.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::Folders;
use crate::grammar::law::{self, Scope};
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{ARRIVAL_CV_MAX, ARRIVAL_RATE_MAX, PROFILE_POINTS_MAX, TRACE_REPEAT_MAX, WORKLOAD_USERS_MAX};
use crate::types::problem::{Problem, did_you_mean};
use crate::workload::Arrivals;
use crate::workload::bursty::{Bursty, State};
use crate::workload::gaps::Gaps;
use crate::workload::profile::Profile;
use crate::workload::trace::{self, Format};

/// Straight lines in place of the sine of a day: one a quarter of an hour. The rate is off by 0.05 % of the swing, the day's sum by
/// nothing.
const LINES_OF_A_DAY: u32 = 96;

/// A way of coming.
struct Kind {
    name: &'static str,
    read: fn(&mut Fields<'_>, &Path) -> Option<Arrivals>,
}

const KINDS: &[Kind] = &[
    Kind { name: "poisson", read: |fields, _| rated(fields, |rate| Some((Profile::constant(rate), Gaps::Exponential))) },
    Kind { name: "gamma", read: gamma },
    Kind { name: "bursty", read: bursty },
    Kind { name: "ramp", read: ramp },
    Kind { name: "spike", read: spike },
    Kind { name: "diurnal", read: diurnal },
    Kind { name: "profile", read: profile },
    Kind { name: "closed", read: closed },
    Kind { name: "trace", read: trace },
];

/// How requests come, as far as their class must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coming {
    /// The class says how long they are.
    Made,
    /// The recording says it.
    Recorded,
}

/// How those come whose arrivals are written as `value`, right or wrong.
pub(super) fn coming(value: &Value) -> Coming {
    if value.get("trace").is_some() { Coming::Recorded } else { Coming::Made }
}

/// The arrivals in the field `name`; `None` if it is absent or wrong.
pub(super) fn read(fields: &mut Fields<'_>, name: &'static str, folders: Folders<'_>) -> Option<Arrivals> {
    let value = fields.value(name)?;
    let pointer = fields.pointer(name);
    let mut inner = Fields::of(value, pointer.clone());
    let every = inner.duration_us("every");
    let named: Vec<_> = KINDS.iter().filter_map(|kind| Some((kind, inner.value(kind.name)?))).collect();
    let has_every = inner.value("every").is_some();
    let mut arrivals = None;
    match named[..] {
        [] if has_every => arrivals = every.and_then(|us| even(&mut inner, us)),
        [(kind, parameters)] if !has_every => {
            let pointer = inner.pointer(kind.name);
            let mut fields = Fields::of(parameters, pointer.clone());
            arrivals = (kind.read)(&mut fields, folders(&pointer));
            let problems = fields.finish();
            arrivals = arrivals.filter(|_| problems.is_empty());
            inner.extend(problems);
        }
        [] => {
            let names = || KINDS.iter().map(|kind| kind.name).chain(["every"]);
            let keys = || value.as_object().into_iter().flat_map(|map| map.keys());
            // A misspelt name is told as an unknown field.
            if value.is_object() && !keys().any(|key| did_you_mean(key, names()).is_some()) {
                let hint = format!("one of: {}", names().collect::<Vec<_>>().join(", "));
                inner.extend(vec![Problem::new(pointer, "nothing here says when requests come").hint(hint)]);
            }
        }
        [.., (last, _)] => {
            let problem =
                Problem::new(inner.pointer(last.name), format!("`{}` is one way of coming too many", last.name)).at_key();
            inner.extend(vec![problem.hint("give classes that come in another way `arrivals` of their own")]);
        }
    }
    fields.extend(inner.finish());
    arrivals
}

fn even(fields: &mut Fields<'_>, us: u64) -> Option<Arrivals> {
    if us == 0 {
        fields.problem("every", "`every` is 0; give the time between two requests, for example `100ms`");
        return None;
    }
    Some(Arrivals::Rate { profile: Arc::new(Profile::constant(1e6 / us as f64)), gaps: Gaps::Even })
}

/// `rate`, and what is made of it.
fn rated(fields: &mut Fields<'_>, make: impl FnOnce(f64) -> Option<(Profile, Gaps)>) -> Option<Arrivals> {
    fields.require("rate");
    let (profile, gaps) = make(rate_above_0(fields, "rate")?)?;
    Some(Arrivals::Rate { profile: Arc::new(profile), gaps })
}

fn gamma(fields: &mut Fields<'_>, _: &Path) -> Option<Arrivals> {
    fields.require("cv");
    let gaps = gaps(fields);
    rated(fields, |rate| Some((Profile::constant(rate), gaps?)))
}

fn bursty(fields: &mut Fields<'_>, _: &Path) -> Option<Arrivals> {
    let mut state = |name: &'static str| {
        fields.require(name);
        let mut inner = Fields::of(fields.value(name)?, fields.pointer(name));
        inner.require("rate");
        inner.require("for");
        let (rate, mean_s) = (rate(&mut inner, "rate"), seconds_above_0(&mut inner, "for"));
        fields.extend(inner.finish());
        Some(State { rate: rate?, mean_s: mean_s? })
    };
    let (calm, burst) = (state("calm"), state("burst"));
    let bursty = Bursty { calm: calm?, burst: burst? };
    if bursty.calm.rate == 0.0 && bursty.burst.rate == 0.0 {
        fields.problem("burst", "nobody comes, neither in the calm nor in a burst; give a rate above 0");
        return None;
    }
    Some(Arrivals::Bursty(bursty))
}

fn ramp(fields: &mut Fields<'_>, _: &Path) -> Option<Arrivals> {
    for name in ["from", "to", "over"] {
        fields.require(name);
    }
    let (from, to, over) = (rate(fields, "from"), rate(fields, "to"), seconds_above_0(fields, "over"));
    let gaps = gaps(fields);
    along(fields, "to", &[(0.0, from?), (over?, to?)], false, gaps?)
}

fn spike(fields: &mut Fields<'_>, _: &Path) -> Option<Arrivals> {
    for name in ["base", "peak", "at", "for"] {
        fields.require(name);
    }
    let (base, peak) = (rate(fields, "base"), rate(fields, "peak"));
    let (at, lasts, every) = (seconds(fields, "at"), seconds_above_0(fields, "for"), seconds_above_0(fields, "every"));
    let gaps = gaps(fields);
    let (base, peak, at, ends) = (base?, peak?, at?, at? + lasts?);
    let mut points = vec![(0.0, base), (at, base), (at, peak), (ends, peak), (ends, base)];
    if let Some(every) = every {
        if every < ends {
            fields.problem("every", "the spike is not over when the next begins anew; give more than `at` and `for` together");
            return None;
        }
        points.push((every, base));
    }
    along(fields, "peak", &points, every.is_some(), gaps?)
}

fn diurnal(fields: &mut Fields<'_>, _: &Path) -> Option<Arrivals> {
    for name in ["low", "high"] {
        fields.require(name);
    }
    let (low, high) = (rate(fields, "low"), rate(fields, "high"));
    let peak = seconds(fields, "peak");
    let day = if fields.value("day").is_some() { seconds_above_0(fields, "day")? } else { 86_400.0 };
    let gaps = gaps(fields);
    let (low, high, peak) = (low?, high?, peak.unwrap_or(day * 14.0 / 24.0));
    if high < low {
        fields.problem("high", "`high` is less than `low`; give the larger of the two as `high`");
        return None;
    }
    if peak >= day {
        fields.problem("peak", "the peak is not within the day; give a time from its start");
        return None;
    }
    let point = |index: u32| {
        let at = day * f64::from(index) / f64::from(LINES_OF_A_DAY);
        let angle = (at - peak) / day * std::f64::consts::TAU;
        (at, (low + high) / 2.0 + (high - low) / 2.0 * libm::cos(angle))
    };
    let points: Vec<_> = (0..=LINES_OF_A_DAY).map(point).collect();
    along(fields, "high", &points, true, gaps?)
}

fn profile(fields: &mut Fields<'_>, _: &Path) -> Option<Arrivals> {
    fields.require("points");
    let items = fields.list("points");
    let repeats = fields.flag("repeat").unwrap_or(false);
    let gaps = gaps(fields);
    if items.len() > PROFILE_POINTS_MAX {
        fields.problem("points", format!("these are {} points, and a profile may have {PROFILE_POINTS_MAX}", items.len()));
        return None;
    }
    let mut points = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut point = Fields::of(item, format!("{}/{index}", fields.pointer("points")));
        point.require("at");
        point.require("rate");
        let (at, rate) = (seconds(&mut point, "at"), rate(&mut point, "rate"));
        if let (Some(at), Some((before, _))) = (at, points.last())
            && at < *before
        {
            point.problem("at", "this point is earlier than the one before; sort them by their time");
        }
        fields.extend(point.finish());
        points.extend(at.zip(rate));
    }
    if points.len() < items.len() {
        return None;
    }
    along(fields, "points", &points, repeats, gaps?)
}

fn closed(fields: &mut Fields<'_>, folder: &Path) -> Option<Arrivals> {
    fields.require("users");
    fields.require("think");
    let users = fields.integer("users", 1..=WORKLOAD_USERS_MAX);
    let think = law::law(fields, "think", Scope::delay(Some(folder)));
    Some(Arrivals::Closed { users: users? as u32, think: think? })
}

fn trace(fields: &mut Fields<'_>, folder: &Path) -> Option<Arrivals> {
    fields.require("file");
    let name = fields.text("file");
    let format = fields.word("format", &Format::NAMES).and_then(Format::named);
    let speed = fields.number("speed", 0.001..=1_000_000.0).unwrap_or(1.0);
    let repeat = fields.integer("repeat", 1..=u64::from(TRACE_REPEAT_MAX)).unwrap_or(1) as u32;
    let limit = fields.integer("limit", 1..=u64::MAX);
    let name = name?;
    match trace::open(folder, name, format, limit) {
        Ok(mut trace) => {
            (trace.speed, trace.repeat) = (speed, repeat);
            Some(Arrivals::Trace(Arc::new(trace)))
        }
        Err(problems) => {
            let pointer = fields.pointer("file");
            fields.extend(problems.into_iter().map(|problem| problem.under(&pointer)).collect());
            None
        }
    }
}

/// Arrivals whose rate goes straight through `points`; `culprit` is blamed if nobody ever comes.
fn along(fields: &mut Fields<'_>, culprit: &'static str, points: &[(f64, f64)], repeats: bool, gaps: Gaps) -> Option<Arrivals> {
    let profile = Profile::through(points, repeats);
    if profile.is_none() {
        fields.problem(culprit, "at these rates nobody ever comes; give one above 0 for some time");
    }
    Some(Arrivals::Rate { profile: Arc::new(profile?), gaps })
}

/// `cv`, the coefficient of variation of gaps; 1 if not given.
fn gaps(fields: &mut Fields<'_>) -> Option<Gaps> {
    match fields.value("cv") {
        None => Some(Gaps::Exponential),
        // Nearer to 0, gaps are even to within a thousandth.
        Some(_) => match fields.number("cv", 0.0..=ARRIVAL_CV_MAX)? {
            cv if cv > 0.0 && cv < 0.001 => Some(Gaps::Even),
            cv => Some(Gaps::of_cv(cv)),
        },
    }
}

/// Requests a second, from 0: a number, or a text such as `480/min`.
fn rate(fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
    let parsed = match fields.value(name)? {
        Value::Number(number) => number.as_f64().ok_or_else(|| format!("`{number}` is too large")),
        Value::String(text) => parse_rate(text),
        other => Err(format!("expected a rate such as `8` (a second) or `480/min`, found {}", kind_of(other))),
    };
    let bounded = parsed.and_then(|rate| {
        let most = ARRIVAL_RATE_MAX as f64;
        if (0.0..=most).contains(&rate) {
            Ok(rate)
        } else {
            Err(format!("expected a rate from 0 to {most} a second, found `{rate}`"))
        }
    });
    bounded.map_err(|message| fields.problem(name, message)).ok()
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3_600.0,
        "day" | "d" => 86_400.0,
        other => return Err(format!("`{other}` is no unit of time for a rate; use s, min, h or day")),
    };
    let number: f64 =
        number.trim().replace('_', "").parse().map_err(|_| format!("`{text}` is no rate; write for example `480/min`"))?;
    Ok(number / seconds)
}

fn rate_above_0(fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
    let rate = rate(fields, name)?;
    if rate == 0.0 {
        fields.problem(name, format!("`{name}` is 0, so nobody ever comes; give for example `8` a second"));
        return None;
    }
    Some(rate)
}

fn seconds(fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
    fields.duration_us(name).map(|us| us as f64 / 1e6)
}

fn seconds_above_0(fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
    let seconds = seconds(fields, name)?;
    if seconds < 0.001 {
        fields.problem(name, format!("`{name}` is shorter than a millisecond; give for example `10s`"));
        return None;
    }
    Some(seconds)
}
