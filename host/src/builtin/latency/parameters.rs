//! The parameters of each law: reads them from a map and makes the law, in nanoseconds.
//!
//! Laws with a shape are given by it, or by their median and 99th percentile as dashboards show them.

use crate::builtin::latency::delay_us;
use crate::builtin::latency::law::within;
use crate::stats::gamma::SHAPES;
use crate::stats::law::Law;
use crate::types::fields::Fields;

/// `uniform`: `min` and `max`.
pub(super) fn uniform(fields: &mut Fields<'_>) -> Option<Law> {
    fields.require("min");
    fields.require("max");
    let (min, max) = (ns(fields, "min")?, ns(fields, "max")?);
    if max < min {
        fields.problem("max", "`max` is shorter than `min`; give the larger of the two as `max`");
        return None;
    }
    Some(Law::uniform(min, max))
}

/// `exponential`: `mean`.
pub(super) fn exponential(fields: &mut Fields<'_>) -> Option<Law> {
    fields.require("mean");
    let law = positive_ns(fields, "mean").map(Law::exponential);
    within(fields, law)
}

/// `log-normal`: `p50` and `p99`; both 0 is no delay at all.
pub(super) fn log_normal(fields: &mut Fields<'_>) -> Option<Law> {
    fields.require("p50");
    fields.require("p99");
    let law = match (ns(fields, "p50"), ns(fields, "p99")) {
        (Some(p50), Some(p99)) if p99 < p50 => {
            fields.problem("p99", "`p99` is shorter than `p50`; give the larger of the two as `p99`");
            None
        }
        (Some(0.0), Some(0.0)) => Some(Law::constant(0.0)),
        (Some(0.0), Some(_)) => {
            fields.problem("p50", "no log-normal has a `p50` of 0 and a longer `p99`; give a `p50` such as `1ms`");
            None
        }
        (Some(p50), Some(p99)) if p50 == p99 => Some(Law::constant(p50)),
        (Some(p50), Some(p99)) => Some(Law::log_normal(p50, p99)),
        _ => None,
    };
    within(fields, law)
}

/// `gamma`: `mean` and `shape`, or `p50` and `p99`.
pub(super) fn gamma(fields: &mut Fields<'_>) -> Option<Law> {
    let law = match given(fields, "mean", SHAPES) {
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
    within(fields, law)
}

/// `weibull`: `scale` and `shape`, or `p50` and `p99`.
pub(super) fn weibull(fields: &mut Fields<'_>) -> Option<Law> {
    let law = match given(fields, "scale", POWERS) {
        Given::Shape(scale, shape) => Some(Law::weibull(scale, shape)),
        Given::Quantiles(p50, p99) => Some(Law::weibull_of_quantiles(p50, p99)),
        Given::Neither => None,
    };
    within(fields, law)
}

/// `pareto`: `min` and `shape`, or `p50` and `p99`. Its `min` is a parameter, so only `max` truncates it.
pub(super) fn pareto(fields: &mut Fields<'_>) -> Option<Law> {
    let law = match given(fields, "min", POWERS) {
        Given::Shape(min, shape) => Some(Law::pareto(min, shape)),
        Given::Quantiles(p50, p99) => Some(Law::pareto_of_quantiles(p50, p99)),
        Given::Neither => None,
    };
    match ns(fields, "max") {
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

/// Exponents of power laws: below, no percentile is within an hour of another; above, all delays are the same.
const POWERS: std::ops::RangeInclusive<f64> = 0.1..=100.0;

enum Given {
    Shape(f64, f64),
    Quantiles(f64, f64),
    Neither,
}

/// Reads `size` and `shape`, or `p50` and `p99`. `Neither` means that a mistake has been noted.
fn given(fields: &mut Fields<'_>, size: &'static str, shapes: std::ops::RangeInclusive<f64>) -> Given {
    let [has_size, has_shape, has_p50, has_p99] = [size, "shape", "p50", "p99"].map(|name| fields.value(name).is_some());
    if has_p50 || has_p99 {
        for (name, has) in [(size, has_size), ("shape", has_shape)] {
            if has {
                fields.problem(name, format!("`{name}` follows from `p50` and `p99`; give either these or `{size}` and `shape`"));
            }
        }
        fields.require("p50");
        fields.require("p99");
        return match (positive_ns(fields, "p50"), positive_ns(fields, "p99")) {
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
    match (positive_ns(fields, size), fields.number("shape", shapes)) {
        (Some(size), Some(shape)) => Given::Shape(size, shape),
        _ => Given::Neither,
    }
}

fn ns(fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
    delay_us(fields, name).map(|us| f64::from(us) * 1e3)
}

fn positive_ns(fields: &mut Fields<'_>, name: &'static str) -> Option<f64> {
    let ns = ns(fields, name)?;
    if ns == 0.0 {
        fields.problem(name, format!("`{name}` is 0, which this law cannot have; give for example `1ms`"));
        return None;
    }
    Some(ns)
}
