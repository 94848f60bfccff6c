//! Several rounds of one figure: their median is reported, and the worst stands beside it so that luck shows.
//!
//! A ratio is taken within a round, between two runs that are seconds apart, and never between medians: what disturbs the machine
//! for a while then disturbs both sides.

use serde::Serialize;

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// A smaller value is better.
    Lower,
    /// A greater value is better.
    Higher,
}

/// The middle of `values`, the mean of the two middle ones if their number is even; `NaN` if there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// The worst of `values`; `NaN` if there are none.
pub fn worst(values: &[f64], better: Better) -> f64 {
    let pick = match better {
        Better::Lower => f64::max,
        Better::Higher => f64::min,
    };
    values.iter().copied().fold(f64::NAN, pick)
}

/// `top / bottom` round by round; the longer list's rest is left out.
pub fn ratios(top: &[f64], bottom: &[f64]) -> Vec<f64> {
    top.iter().zip(bottom).map(|(top, bottom)| top / bottom).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_worst_depends_on_what_is_better() {
        assert_eq!(worst(&[0.9, 0.8, 1.1], Better::Higher), 0.8);
        assert_eq!(worst(&[0.9, 0.8, 1.1], Better::Lower), 1.1);
        assert!(worst(&[], Better::Lower).is_nan());
    }

    #[test]
    fn ratios_pair_the_rounds() {
        assert_eq!(ratios(&[1.0, 3.0], &[2.0, 2.0]), [0.5, 1.5]);
    }
}
