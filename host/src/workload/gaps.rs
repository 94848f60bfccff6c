//! The gaps between arrivals, as multiples of the mean gap: even, exponential, or gamma with a coefficient of variation.

use crate::random::{Key, Stream};
use crate::stats::distribution::normal_quantile;

/// A law of gaps; its mean is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gaps {
    /// All the same.
    Even,
    /// Exponential: those who come know nothing of each other.
    Exponential,
    /// The gamma law of this shape, which is one over the square of the coefficient of variation: below 1 requests come in clusters.
    Gamma {
        /// The shape, above 0.
        shape: f64,
    },
}

impl Gaps {
    /// The law with this coefficient of variation (standard deviation over mean), 0 or more.
    pub fn of_cv(cv: f64) -> Self {
        if cv == 0.0 {
            Self::Even
        } else if cv == 1.0 {
            Self::Exponential
        } else {
            Self::Gamma { shape: 1.0 / (cv * cv) }
        }
    }

    /// The gap that is drawn at `key`.
    pub fn draw(self, key: Key) -> f64 {
        match self {
            Self::Even => 1.0,
            Self::Exponential => exponential(key.unit()),
            Self::Gamma { shape } => gamma(shape, &mut key.stream()) / shape,
        }
    }
}

/// The exponential law of mean 1 at the uniform number `u`.
pub(super) fn exponential(u: f64) -> f64 {
    -libm::log1p(-u)
}

/// A draw from the gamma law of `shape` and scale 1, by rejection (Marsaglia and Tsang, "A simple method for generating gamma
/// variables", 2000); below shape 1 by their section 6, from shape + 1 times a power of a uniform number.
fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    if shape < 1.0 {
        // 1 - u is never 0.
        let power = libm::pow(1.0 - stream.unit(), 1.0 / shape);
        return gamma(shape + 1.0, stream) * power;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = normal_quantile(stream.unit().max(f64::MIN_POSITIVE));
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        if libm::log(1.0 - stream.unit()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_mean_one_and_their_coefficient_of_variation_within_four_sigma() {
        for cv in [0.3, 1.0, 2.0, 4.0] {
            let (law, key, n) = (Gaps::of_cv(cv), Key::of_seed(5).named("gaps"), 40_000);
            let gaps: Vec<f64> = (0..n).map(|index| law.draw(key.with(index))).collect();
            let n = n as f64;
            let mean = gaps.iter().sum::<f64>() / n;
            assert!((mean - 1.0).abs() < 4.0 * cv / n.sqrt(), "cv {cv}: mean {mean}");
            // The fourth central moment of a gamma law over the square of its variance is 3 + 6 / shape.
            let variance = gaps.iter().map(|gap| (gap - 1.0).powi(2)).sum::<f64>() / n;
            let sigma = cv * cv * ((2.0 + 6.0 * cv * cv) / n).sqrt();
            assert!((variance - cv * cv).abs() < 4.0 * sigma, "cv {cv}: variance {variance}");
        }
    }

    #[test]
    fn even_gaps_are_one() {
        assert_eq!(Gaps::of_cv(0.0).draw(Key::of_seed(1)), 1.0);
    }
}
