//! A law of chance for delays: a uniform number in, a value out, and back.
//!
//! Every law is a quantile function, so one uniform draw gives one value: draws stay keyed, and correlated draws keep the law. Values
//! are in the unit of the parameters and never negative. Built on `libm`, so that every machine agrees to the bit.

use crate::stats::distribution::{normal_cdf, normal_quantile};
use crate::stats::gamma;

/// The least share of a law that truncation may leave. With less, rounding would show in the draws, and the bounds are a mistake.
pub const KEPT_MIN: f64 = 1e-6;

/// Standard normal quantile of 0.99.
const Z99: f64 = 2.326_347_874_040_841;

/// A law, ready to draw from; perhaps truncated.
#[derive(Debug, Clone, PartialEq)]
pub struct Law {
    shape: Shape,
    /// A uniform draw `u` becomes `low + span * u` before the quantile is taken: that is truncation.
    low: f64,
    span: f64,
    min: f64,
    max: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Constant(f64),
    Uniform {
        min: f64,
        max: f64,
    },
    Exponential {
        mean: f64,
    },
    Weibull {
        scale: f64,
        shape: f64,
    },
    Pareto {
        min: f64,
        shape: f64,
    },
    LogNormal {
        mu: f64,
        sigma: f64,
    },
    /// Log-normal from point to point: `(normal score, logarithm of the value)`, both growing; the ends go on as they are.
    Knots(Box<[(f64, f64)]>),
    /// As they are, in order.
    Values(Box<[f64]>),
    /// Each part with the share of all parts up to it.
    Mixture(Box<[(f64, Law)]>),
}

impl Law {
    fn of(shape: Shape) -> Self {
        Self { shape, low: 0.0, span: 1.0, min: 0.0, max: f64::INFINITY }
    }

    /// Always `value`.
    pub fn constant(value: f64) -> Self {
        Self::of(Shape::Constant(value.max(0.0)))
    }

    /// Any value from `min` to `max` alike.
    pub fn uniform(min: f64, max: f64) -> Self {
        Self::of(Shape::Uniform { min, max })
    }

    /// The exponential law: gaps between events that know nothing of each other.
    pub fn exponential(mean: f64) -> Self {
        Self::of(Shape::Exponential { mean })
    }

    /// The Weibull law. `shape` below 1 has a long tail, 1 is exponential, above 1 has a hump at about `scale`.
    pub fn weibull(scale: f64, shape: f64) -> Self {
        Self::of(Shape::Weibull { scale, shape })
    }

    /// The Weibull law with this median and 99th percentile, the latter longer.
    pub fn weibull_of_quantiles(p50: f64, p99: f64) -> Self {
        let ln2 = std::f64::consts::LN_2;
        let shape = libm::log(libm::log(100.0) / ln2) / libm::log(p99 / p50);
        Self::weibull(p50 / libm::pow(ln2, 1.0 / shape), shape)
    }

    /// The Pareto law: `min` at least, and the share beyond x falls as x to the power of minus `shape`.
    pub fn pareto(min: f64, shape: f64) -> Self {
        Self::of(Shape::Pareto { min, shape })
    }

    /// The Pareto law with this median and 99th percentile, the latter longer.
    pub fn pareto_of_quantiles(p50: f64, p99: f64) -> Self {
        let shape = libm::log(50.0) / libm::log(p99 / p50);
        Self::pareto(p50 / libm::pow(2.0, 1.0 / shape), shape)
    }

    /// The log-normal law with this median, above 0, and this 99th percentile, at least the median.
    pub fn log_normal(p50: f64, p99: f64) -> Self {
        Self::of(Shape::LogNormal { mu: libm::log(p50), sigma: libm::log(p99 / p50) / Z99 })
    }

    /// The gamma law, by its mean and its shape within [`gamma::SHAPES`].
    pub fn gamma(mean: f64, shape: f64) -> Self {
        Self::gamma_of_scale(mean / shape, shape)
    }

    fn gamma_of_scale(scale: f64, shape: f64) -> Self {
        let ln_scale = libm::log(scale);
        Self::of(Shape::Knots(gamma::knots(shape).into_iter().map(|(z, y)| (z, y + ln_scale)).collect()))
    }

    /// The gamma law with this median and 99th percentile; `None` if it would need a shape outside [`gamma::SHAPES`].
    pub fn gamma_of_quantiles(p50: f64, p99: f64) -> Option<Self> {
        let wanted = libm::log(p99 / p50);
        let spread = |shape: f64| gamma::ln_quantile(shape, Z99) - gamma::ln_quantile(shape, 0.0);
        let (mut low, mut high) = (*gamma::SHAPES.start(), *gamma::SHAPES.end());
        if !(spread(high)..=spread(low)).contains(&wanted) {
            return None;
        }
        for _ in 0..50 {
            // The spread falls as the shape grows.
            let middle = libm::sqrt(low * high);
            if spread(middle) > wanted { low = middle } else { high = middle }
        }
        let shape = libm::sqrt(low * high);
        Some(Self::gamma_of_scale(p50 / libm::exp(gamma::ln_quantile(shape, 0.0)), shape))
    }

    /// The law through these quantiles, each a probability in (0, 1) and a value above 0, both growing: log-normal from one to the
    /// next, and beyond the ends as between the last two. `None` if there are fewer than two, or they do not grow.
    pub fn of_quantiles(quantiles: &[(f64, f64)]) -> Option<Self> {
        let knots: Box<[_]> = quantiles.iter().map(|(p, x)| (normal_quantile(*p), libm::log(*x))).collect();
        let grows = knots.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        (knots.len() >= 2 && grows).then(|| Self::of(Shape::Knots(knots)))
    }

    /// These values, each as often as it is there. `None` if there are none.
    pub fn of_values(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        (!values.is_empty()).then(|| Self::of(Shape::Values(values.into())))
    }

    /// Several laws, each with the weight that stands beside it. `None` if the weights add up to nothing.
    pub fn mixture(parts: Vec<(f64, Self)>) -> Option<Self> {
        let whole: f64 = parts.iter().map(|(weight, _)| weight).sum();
        let mut upto = 0.0;
        let mut share = |weight: f64| {
            upto += weight;
            upto / whole
        };
        let parts: Box<[_]> =
            parts.into_iter().filter(|(weight, _)| *weight > 0.0).map(|(weight, law)| (share(weight), law)).collect();
        (!parts.is_empty()).then(|| Self::of(Shape::Mixture(parts)))
    }

    /// The same law, given that a value lies within `min` and `max`: what lies outside is not cut to the bound but never drawn.
    /// `None` if less than [`KEPT_MIN`] of the law lies inside.
    pub fn within(mut self, min: f64, max: f64) -> Option<Self> {
        let (min, max) = (min.max(self.min), max.min(self.max));
        match self.shape {
            Shape::Constant(value) if (min..=max).contains(&value) => {}
            Shape::Constant(_) => return None,
            Shape::Values(values) => {
                let all = values.len() as f64;
                let kept: Box<[f64]> = values.iter().copied().filter(|value| (min..=max).contains(value)).collect();
                if (kept.len() as f64) < (all * KEPT_MIN).max(1.0) {
                    return None;
                }
                self.shape = Shape::Values(kept);
            }
            Shape::Mixture(parts) => {
                let mut before = 0.0;
                let mut kept = Vec::with_capacity(parts.len());
                for (upto, law) in parts {
                    let share = upto - before;
                    before = upto;
                    let inside = law.share_within(min, max);
                    kept.extend(law.within(min, max).map(|law| (share * inside, law)));
                }
                return Self::mixture(kept);
            }
            ref shape => {
                let (low, high) = (shape.cdf(min), shape.cdf(max));
                if !(min < max && high - low >= KEPT_MIN) {
                    return None;
                }
                (self.low, self.span) = (low, high - low);
            }
        }
        (self.min, self.max) = (min, max);
        Some(self)
    }

    /// The value below which a share `u` (in [0, 1)) of draws lies; a mixture's draws are in order within each part only. Feed it a
    /// uniform number to draw.
    pub fn quantile(&self, u: f64) -> f64 {
        self.shape.quantile(self.low + self.span * u).clamp(self.min, self.max)
    }

    /// The share of draws that are at most `x`.
    pub fn cdf(&self, x: f64) -> f64 {
        if x < self.min {
            return 0.0;
        }
        if x >= self.max {
            return 1.0;
        }
        ((self.shape.cdf(x) - self.low) / self.span).clamp(0.0, 1.0)
    }

    /// Is there only one value to draw?
    pub fn is_constant(&self) -> bool {
        matches!(self.shape, Shape::Constant(_))
    }

    fn share_within(&self, min: f64, max: f64) -> f64 {
        match &self.shape {
            Shape::Constant(value) => f64::from(u8::from((min..=max).contains(value))),
            Shape::Values(values) => {
                values.iter().filter(|value| (min..=max).contains(*value)).count() as f64 / values.len() as f64
            }
            _ => (self.cdf(max) - self.cdf(min)).max(0.0),
        }
    }
}

impl Shape {
    fn quantile(&self, u: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { min, max } => min + (max - min) * u,
            Self::Exponential { mean } => -mean * libm::log1p(-u),
            Self::Weibull { scale, shape } => scale * libm::pow(-libm::log1p(-u), 1.0 / shape),
            Self::Pareto { min, shape } => min / libm::pow(1.0 - u, 1.0 / shape),
            Self::LogNormal { mu, sigma } => libm::exp(mu + sigma * score(u)),
            Self::Knots(knots) => libm::exp(along(knots, score(u), |knot| knot.0, |knot| knot.1)),
            Self::Values(values) => values[((u * values.len() as f64) as usize).min(values.len() - 1)],
            Self::Mixture(parts) => {
                let index = parts.partition_point(|(upto, _)| *upto <= u).min(parts.len() - 1);
                let before = index.checked_sub(1).map_or(0.0, |before| parts[before].0);
                let (upto, law) = &parts[index];
                law.quantile(((u - before) / (upto - before)).min(BELOW_ONE))
            }
        }
    }

    fn cdf(&self, x: f64) -> f64 {
        match self {
            Self::Constant(value) => f64::from(u8::from(x >= *value)),
            Self::Uniform { min, max } if max > min => ((x - min) / (max - min)).clamp(0.0, 1.0),
            Self::Uniform { min, .. } => f64::from(u8::from(x >= *min)),
            Self::Exponential { mean } => -libm::expm1(-x / mean),
            Self::Weibull { scale, shape } => -libm::expm1(-libm::pow(x / scale, *shape)),
            Self::Pareto { min, .. } if x <= *min => 0.0,
            Self::Pareto { min, shape } => 1.0 - libm::pow(min / x, *shape),
            Self::LogNormal { mu, sigma } if *sigma == 0.0 => f64::from(u8::from(libm::log(x) >= *mu)),
            Self::LogNormal { mu, sigma } => normal_cdf((libm::log(x) - mu) / sigma),
            // The logarithms of 0 and of infinity are bounds of their own, and no point to draw a line to.
            Self::Knots(_) if x <= 0.0 => 0.0,
            Self::Knots(_) if x == f64::INFINITY => 1.0,
            Self::Knots(knots) => normal_cdf(along(knots, libm::log(x), |knot| knot.1, |knot| knot.0)),
            Self::Values(values) => values.partition_point(|value| *value <= x) as f64 / values.len() as f64,
            Self::Mixture(parts) => {
                let mut before = 0.0;
                let mut sum = 0.0;
                for (upto, law) in parts {
                    sum += (upto - before) * law.cdf(x);
                    before = *upto;
                }
                sum
            }
        }
    }
}

/// The largest number below 1.
const BELOW_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

/// The normal score of `u`. Half a step away from 0 and 1 keeps both tails finite.
fn score(u: f64) -> f64 {
    normal_quantile(u.clamp(1.0 / (1_u64 << 54) as f64, BELOW_ONE))
}

/// Where the line through `knots` stands at `at`, which `from` gives of a knot; `to` gives the other side. At least two knots.
fn along(knots: &[(f64, f64)], at: f64, from: impl Fn(&(f64, f64)) -> f64, to: impl Fn(&(f64, f64)) -> f64) -> f64 {
    let right = knots.partition_point(|knot| from(knot) <= at).clamp(1, knots.len() - 1);
    let (a, b) = (&knots[right - 1], &knots[right]);
    to(a) + (at - from(a)) * (to(b) - to(a)) / (from(b) - from(a))
}

#[cfg(test)]
#[path = "law_tests.rs"]
mod tests;
