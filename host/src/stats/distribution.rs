//! Laws of chance as quantile functions: a uniform number in, a value out. Built on `libm`, so that every machine agrees to the bit.

/// Standard normal quantile of 0.99.
const Z99: f64 = 2.326_347_874_040_841;

/// The standard normal quantile of `p` in (0, 1): Wichura's algorithm AS 241 (PPND16, 1988), accurate to about 1e-16.
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(&CENTRE, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail.max(f64::MIN_POSITIVE)));
    let z = if r <= 5.0 { ratio(&MIDDLE, r - 1.6) } else { ratio(&FAR, r - 5.0) };
    if q < 0.0 { -z } else { z }
}

/// The share of a standard normal law that lies below `z`; exact in both tails.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// A log-normal law, ready to draw from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormal {
    mu: f64,
    sigma: f64,
    cap: f64,
}

impl LogNormal {
    /// By median and 99th percentile (in any unit, the result is in the same); `cap` 0 means no bound. A percentile below the
    /// median is taken as the median.
    pub fn of_quantiles(p50: f64, p99: f64, cap: f64) -> Self {
        let p50 = p50.max(f64::MIN_POSITIVE);
        let sigma = (libm::log(p99.max(p50) / p50)) / Z99;
        Self { mu: libm::log(p50), sigma, cap: if cap > 0.0 { cap } else { f64::INFINITY } }
    }

    /// The value below which a share `p` of draws lies.
    pub fn quantile(&self, p: f64) -> f64 {
        // Half a step away from 0 keeps the tail finite; p never reaches 1.
        let p = p.max(1.0 / (1_u64 << 54) as f64);
        libm::exp(self.mu + self.sigma * normal_quantile(p)).min(self.cap)
    }
}

/// Numerator and denominator of a rational approximation, lowest power first.
type Rational = ([f64; 8], [f64; 8]);

fn ratio((numerator, denominator): &Rational, r: f64) -> f64 {
    let horner = |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, c| sum * r + c);
    horner(numerator) / horner(denominator)
}

// Coefficients of AS 241, published as a table in Applied Statistics 37 (1988), 477-484.
#[rustfmt::skip]
const CENTRE: Rational = (
    [3.387_132_872_796_366_5, 1.331_416_678_917_843_8e2, 1.971_590_950_306_551_3e3, 1.373_169_376_550_946e4,
     4.592_195_393_154_987e4, 6.726_577_092_700_87e4, 3.343_057_558_358_813e4, 2.509_080_928_730_122_7e3],
    [1.0, 4.231_333_070_160_091e1, 6.871_870_074_920_579e2, 5.394_196_021_424_751e3,
     2.121_379_430_158_659_7e4, 3.930_789_580_009_271e4, 2.872_908_573_572_194_3e4, 5.226_495_278_852_545e3],
);
#[rustfmt::skip]
const MIDDLE: Rational = (
    [1.423_437_110_749_683_5, 4.630_337_846_156_546, 5.769_497_221_460_691, 3.647_848_324_763_204_5,
     1.270_458_252_452_368_4, 2.417_807_251_774_506e-1, 2.272_384_498_926_918_4e-2, 7.745_450_142_783_414e-4],
    [1.0, 2.053_191_626_637_759, 1.676_384_830_183_803_8, 6.897_673_349_851e-1,
     1.481_039_764_274_800_8e-1, 1.519_866_656_361_645_7e-2, 5.475_938_084_995_345e-4, 1.050_750_071_644_416_9e-9],
);
#[rustfmt::skip]
const FAR: Rational = (
    [6.657_904_643_501_103, 5.463_784_911_164_114, 1.784_826_539_917_291_3, 2.965_605_718_285_048_7e-1,
     2.653_218_952_657_612_4e-2, 1.242_660_947_388_078_4e-3, 2.711_555_568_743_487_6e-5, 2.010_334_399_292_288_1e-7],
    [1.0, 5.998_322_065_558_88e-1, 1.369_298_809_227_358e-1, 1.487_536_129_085_061_5e-2,
     7.868_691_311_456_133e-4, 1.846_318_317_510_054_8e-5, 1.421_511_758_316_446e-7, 2.044_263_103_389_939_8e-15],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_quantile_matches_published_values() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.99, Z99),
            (0.001, -3.090_232_306_167_813_5),
            (1e-9, -5.997_807_015_007_687),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-12, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn the_share_below_a_quantile_is_its_probability() {
        for p in [1e-12, 0.001, 0.3, 0.5, 0.8, 0.999] {
            assert!((normal_cdf(normal_quantile(p)) / p - 1.0).abs() < 1e-12, "{p}");
        }
    }

    #[test]
    fn a_log_normal_has_the_quantiles_it_was_made_of() {
        let law = LogNormal::of_quantiles(300.0, 1_200.0, 0.0);
        assert!((law.quantile(0.5) - 300.0).abs() < 1e-9);
        assert!((law.quantile(0.99) - 1_200.0).abs() < 1e-6);
        assert_eq!(LogNormal::of_quantiles(300.0, 1_200.0, 500.0).quantile(0.99), 500.0);
        assert!(law.quantile(0.0) > 0.0 && law.quantile(0.0).is_finite());
    }
}
