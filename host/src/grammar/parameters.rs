//! The parameters of each law: reads them from a map and makes the law, in its unit.
//!
//! Laws with a shape are given by it, or by their median and 99th percentile as dashboards show them.

use crate::grammar::law::within;
use crate::grammar::unit::Unit;
use crate::stats::gamma::SHAPES;
use crate::stats::law::Law;
use crate::types::fields::Fields;

/// `uniform`: `min` and `max`.
pub(super) fn uniform(fields: &mut Fields<'_>, unit: Unit) -> Option<Law> {
    fields.require("min");
    fields.require("max");
    let (min, max) = (unit.read(fields, "min")?, unit.read(fields, "max")?);
    if max < min {
        fields.problem("max", "`max` is shorter than `min`; give the larger of the two as `max`");
        return None;
    }
    Some(Law::uniform(min, max))
}

/// `exponential`: `mean`.
pub(super) fn exponential(fields: &mut Fields<'_>, unit: Unit) -> Option<Law> {
    fields.require("mean");
    let law = positive(fields, unit, "mean").map(Law::exponential);
    within(fields, unit, law)
}

/// `log-normal`: `p50` and `p99`; both 0 is no delay at all.
pub(super) fn log_normal(fields: &mut Fields<'_>, unit: Unit) -> Option<Law> {
    fields.require("p50");
    fields.require("p99");
    let law = match (unit.read(fields, "p50"), unit.read(fields, "p99")) {
        (Some(p50), Some(p99)) if p99 < p50 => {
            fields.problem("p99", "`p99` is shorter than `p50`; give the larger of the two as `p99`");
            None
        }
        (Some(0.0), Some(0.0)) => Some(Law::constant(0.0)),
        (Some(0.0), Some(_)) => {
            let message = "no log-normal has a `p50` of 0 and a longer `p99`; give a `p50` such as";
            fields.problem("p50", format!("{message} `{}`", unit.small()));
            None
        }
        (Some(p50), Some(p99)) if p50 == p99 => Some(Law::constant(p50)),
        (Some(p50), Some(p99)) => Some(Law::log_normal(p50, p99)),
        _ => None,
    };
    within(fields, unit, law)
}

/// `gamma`: `mean` and `shape`, or `p50` and `p99`.
pub(super) fn gamma(fields: &mut Fields<'_>, unit: Unit) -> Option<Law> {
    let law = match given(fields, unit, "mean", SHAPES) {
        Given::Shape(mean, shape) => Some(Law::gamma(mean, shape)),
        Given::Quantiles(p50, p99) => {
            let law = Law::gamma_of_quantiles(p50, p99);
            if law.is_none() {
                let near = if p99 < 2.0 * p50 { "too near to" } else { "too far from" };
                fields.problem("p99", format!("`p99` is {near} `p50` for a gamma law; use `log-normal`"));
            }
            law
        }
        Given::Neither => None,
    };
    within(fields, unit, law)
}

/// `weibull`: `scale` and `shape`, or `p50` and `p99`.
pub(super) fn weibull(fields: &mut Fields<'_>, unit: Unit) -> Option<Law> {
    let law = match given(fields, unit, "scale", POWERS) {
        Given::Shape(scale, shape) => Some(Law::weibull(scale, shape)),
        Given::Quantiles(p50, p99) => Some(Law::weibull_of_quantiles(p50, p99)),
        Given::Neither => None,
    };
    within(fields, unit, law)
}

/// `pareto`: `min` and `shape`, or `p50` and `p99`. Its `min` is a parameter, so only `max` truncates it.
pub(super) fn pareto(fields: &mut Fields<'_>, unit: Unit) -> Option<Law> {
    let law = match given(fields, unit, "min", POWERS) {
        Given::Shape(min, shape) => Some(Law::pareto(min, shape)),
        Given::Quantiles(p50, p99) => Some(Law::pareto_of_quantiles(p50, p99)),
        Given::Neither => None,
    };
    match unit.read(fields, "max") {
        None => law,
        Some(max) => {
            let kept = law?.within(0.0, max);
            if kept.is_none() {
                fields.problem("max", "less than one draw in a million lies below `max`; raise it");
            }
            kept
        }
    }
}

/// Exponents of power laws: below, no percentile is near another; above, all values are the same.
const POWERS: std::ops::RangeInclusive<f64> = 0.1..=100.0;

enum Given {
    Shape(f64, f64),
    Quantiles(f64, f64),
    Neither,
}

/// Reads `size` and `shape`, or `p50` and `p99`. `Neither` means that a mistake has been noted.
fn given(fields: &mut Fields<'_>, unit: Unit, size: &'static str, shapes: std::ops::RangeInclusive<f64>) -> Given {
    let [has_size, has_shape, has_p50, has_p99] = [size, "shape", "p50", "p99"].map(|name| fields.value(name).is_some());
    if has_p50 || has_p99 {
        for (name, has) in [(size, has_size), ("shape", has_shape)] {
            if has {
                fields.problem(name, format!("`{name}` follows from `p50` and `p99`; give either these or `{size}` and `shape`"));
            }
        }
        fields.require("p50");
        fields.require("p99");
        return match (positive(fields, unit, "p50"), positive(fields, unit, "p99")) {
            (Some(p50), Some(p99)) if p99 <= p50 => {
                fields.problem("p99", "`p99` is not longer than `p50`; give the larger of the two as `p99`");
                Given::Neither
            }
            (Some(p50), Some(p99)) => Given::Quantiles(p50, p99),
            _ => Given::Neither,
        };
    }
    fields.require(size);
    fields.require("shape");
    match (positive(fields, unit, size), fields.number("shape", shapes)) {
        (Some(size), Some(shape)) => Given::Shape(size, shape),
        _ => Given::Neither,
    }
}

fn positive(fields: &mut Fields<'_>, unit: Unit, name: &'static str) -> Option<f64> {
    let value = unit.read(fields, name)?;
    if value == 0.0 {
        fields.problem(name, format!("`{name}` is 0, which this law cannot have; give for example `{}`", unit.small()));
        return None;
    }
    Some(value)
}
