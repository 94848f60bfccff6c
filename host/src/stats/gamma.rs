//! The gamma law, which has no quantile in closed form: its regularised incomplete integrals, and a table of its quantiles.
//!
//! The table holds the logarithm of the quantile over the normal score of its probability. There it is nearly a straight line, far
//! into both tails, so that [`KNOTS`] points and straight lines between them are exact to 0.05 % for shapes from 1 (0.6 % at 0.1).

use crate::stats::distribution::normal_cdf;

/// Shapes for which a table is made: from bursts with nearly all delays at 0, to nearly no spread (3 % around the mean).
pub const SHAPES: std::ops::RangeInclusive<f64> = 0.1..=1_000.0;

/// Points of a table: 16 to a standard deviation.
const KNOTS: usize = 273;
/// Normal score of the first point. A draw of 53 bits never lies beyond 8.3.
const FIRST: f64 = -8.5;
const STEP: f64 = 0.0625;

/// Points `(normal score, natural logarithm of the quantile)` of the gamma law of `shape` and scale 1, in order.
pub fn knots(shape: f64) -> Vec<(f64, f64)> {
    let gamma = Gamma::of(shape.clamp(*SHAPES.start(), *SHAPES.end()));
    let mut knots = Vec::with_capacity(KNOTS);
    let mut y = gamma.lowest(FIRST);
    for index in 0..KNOTS {
        let z = FIRST + index as f64 * STEP;
        y = gamma.refine(z, y);
        knots.push((z, y));
        // Where the next one would be if the curve were straight.
        y += STEP * gamma.slope(z, y);
    }
    knots
}

/// The natural logarithm of the quantile with the normal score `z`, for scale 1.
pub fn ln_quantile(shape: f64, z: f64) -> f64 {
    let gamma = Gamma::of(shape);
    gamma.refine(z, gamma.lowest(z))
}

/// A shape with the logarithm of its Γ(shape).
#[derive(Clone, Copy)]
struct Gamma {
    shape: f64,
    ln_gamma: f64,
}

impl Gamma {
    fn of(shape: f64) -> Self {
        Self { shape, ln_gamma: libm::lgamma(shape) }
    }

    /// A lower bound of the answer: P(a, x) is at most x^a / Γ(a + 1).
    fn lowest(self, z: f64) -> f64 {
        (libm::log(normal_cdf(z)) + self.ln_gamma + libm::log(self.shape)) / self.shape
    }

    /// Newton's method on the logarithm of the smaller tail, which is concave in `y`, so that it converges from any start.
    fn refine(self, z: f64, mut y: f64) -> f64 {
        let target = libm::log(normal_cdf(-z.abs()));
        for _ in 0..60 {
            let (ln_p, ln_q) = self.ln_tails(y);
            let (ln_tail, sign) = if z < 0.0 { (ln_p, 1.0) } else { (ln_q, -1.0) };
            let step = sign * (target - ln_tail) / libm::exp(self.ln_density(y) - ln_tail);
            // A step to the moon comes from a slope of nearly 0; a smaller one gets to where the slope is better.
            let step = if step.is_finite() { step.clamp(-4.0, 4.0) } else { -0.5 };
            y += step;
            // The next step would be about the square of this one.
            if step.abs() < 1e-8 {
                break;
            }
        }
        y
    }

    /// How fast the logarithm of the quantile grows with the normal score.
    fn slope(self, z: f64, y: f64) -> f64 {
        const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;
        libm::exp(-0.5 * z * z - LN_SQRT_TAU - self.ln_density(y))
    }

    /// Logarithm of the density of the logarithm `y` of a draw.
    fn ln_density(self, y: f64) -> f64 {
        self.shape * y - libm::exp(y) - self.ln_gamma
    }

    /// Logarithms of P(shape, e^y) and Q(shape, e^y), the regularised incomplete gamma integrals: a series below the bend at
    /// shape + 1, a continued fraction above it (Abramowitz and Stegun 6.5.29 and 6.5.31, the latter by Lentz's method).
    fn ln_tails(self, y: f64) -> (f64, f64) {
        let (shape, x) = (self.shape, libm::exp(y));
        if x < shape + 1.0 {
            let (mut term, mut sum, mut n) = (1.0, 1.0, shape);
            while term > sum * 1e-17 {
                n += 1.0;
                term *= x / n;
                sum += term;
            }
            let ln_p = (self.ln_density(y) + libm::log(sum / shape)).min(0.0);
            return (ln_p, libm::log1p(-libm::exp(ln_p)));
        }
        const TINY: f64 = 1e-300;
        let mut b = x + 1.0 - shape;
        let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
        let mut fraction = d;
        for i in 1..10_000 {
            let i = f64::from(i);
            let a = -i * (i - shape);
            b += 2.0;
            d = 1.0 / nonzero(a * d + b);
            c = nonzero(b + a / c);
            fraction *= d * c;
            if (d * c - 1.0).abs() < 1e-16 {
                break;
            }
        }
        let ln_q = (self.ln_density(y) + libm::log(fraction)).min(0.0);
        (libm::log1p(-libm::exp(ln_q)), ln_q)
    }
}

fn nonzero(value: f64) -> f64 {
    if value.abs() < 1e-300 { 1e-300 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distribution::normal_quantile;

    #[test]
    fn quantiles_match_published_values_of_the_chi_square_law() {
        // NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.4: a chi-square of ν degrees is twice a gamma of shape ν/2.
        for (degrees, p, x) in [
            (1.0, 0.90, 2.706),
            (1.0, 0.999, 10.828),
            (2.0, 0.99, 9.210),
            (5.0, 0.95, 11.070),
            (10.0, 0.975, 20.483),
            (10.0, 0.999, 29.588),
            (10.0, 0.05, 3.940),
            (100.0, 0.999, 149.449),
            (100.0, 0.001, 61.918),
        ] {
            let quantile = 2.0 * libm::exp(ln_quantile(degrees / 2.0, normal_quantile(p)));
            assert!((quantile - x).abs() < 6e-4, "{degrees} {p}: {quantile}, not {x}");
        }
    }

    #[test]
    fn a_table_meets_its_law_at_and_between_its_points() {
        for (shape, exact_to) in [(0.1, 6e-3), (0.5, 1.2e-3), (1.0, 5e-4), (2.5, 3e-4), (40.0, 1e-4), (1_000.0, 1e-5)] {
            let knots = knots(shape);
            assert!(knots.windows(2).all(|pair| pair[0].1 < pair[1].1), "{shape}: not in order");
            for pair in knots.windows(2) {
                let (ln_p, ln_q) = Gamma::of(shape).ln_tails(pair[0].1);
                let z = pair[0].0;
                let (tail, truth) = if z < 0.0 { (ln_p, normal_cdf(z)) } else { (ln_q, normal_cdf(-z)) };
                assert!((libm::exp(tail) / truth - 1.0).abs() < 1e-9, "{shape} at {z}: {}", libm::exp(tail) / truth);
                let between = (pair[0].1 + pair[1].1) / 2.0;
                let exact = ln_quantile(shape, z + STEP / 2.0);
                assert!((between - exact).abs() < exact_to, "{shape} between {z}: {}", between - exact);
            }
        }
    }

    #[test]
    fn the_integrals_match_closed_forms_of_whole_shapes() {
        for x in [0.01, 0.3, 1.0, 2.9, 3.1, 8.0, 30.0_f64] {
            // Erlang of three stages.
            let q = libm::exp(-x) * (1.0 + x + x * x / 2.0);
            let (ln_p, ln_q) = Gamma::of(3.0).ln_tails(libm::log(x));
            assert!((libm::exp(ln_q) / q - 1.0).abs() < 1e-12, "{x}");
            assert!((libm::exp(ln_p) + libm::exp(ln_q) - 1.0).abs() < 1e-12, "{x}");
        }
    }
}
