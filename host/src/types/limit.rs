//! A limit with its name and its reason, as lists show it. The limits themselves are in [`limits`](crate::types::limits).

use crate::types::quantity::{show_bytes, show_duration_us};

/// A limit, for lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The constant's name.
    pub name: &'static str,
    /// Its value, in the unit of [`Limit::unit`].
    pub value: u64,
    /// What it bounds, and after a colon why it is this much.
    pub reason: &'static str,
}

impl Limit {
    /// `bytes`, `us`, `ms`, `s`, or nothing for a number of things.
    pub fn unit(&self) -> &'static str {
        // `FUEL_PER_US` is fuel and no time.
        let words = || self.name.split('_').take_while(|word| *word != "PER");
        let units = [("BYTES", "bytes"), ("US", "us"), ("MS", "ms"), ("S", "s")];
        units.into_iter().find(|(word, _)| words().any(|own| own == *word)).map_or("", |(_, unit)| unit)
    }

    /// The value as a person writes it in a scenario: `16MiB`, `20ms`, `1_000`.
    pub fn shown(&self) -> String {
        match self.unit() {
            "bytes" => show_bytes(self.value),
            "us" => show_duration_us(self.value),
            "ms" => show_duration_us(self.value * 1_000),
            "s" => show_duration_us(self.value * 1_000_000),
            _ => grouped(self.value),
        }
    }
}

/// `1_000_000` for a million.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let group = |(index, digit): (usize, char)| {
        let separated = index > 0 && (digits.len() - index).is_multiple_of(3);
        separated.then_some('_').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::limits::all;

    #[test]
    fn values_are_shown_with_their_units() {
        let shown = |name: &str| all().find(|limit| limit.name == name).map(Limit::shown).expect(name);
        assert_eq!(shown("BODY_BYTES_MAX"), "32MiB");
        assert_eq!(shown("GUEST_TIME_US"), "20ms");
        assert_eq!(shown("DELAY_US_MAX"), "1h");
        assert_eq!(shown("GUEST_INLINE_US"), "100us");
        assert_eq!(shown("PLUGIN_BREAKER_WINDOW_MS"), "10s");
        assert_eq!(shown("DRAIN_S"), "25s");
        assert_eq!(shown("GUEST_FUEL_PER_US"), "1_000");
        assert_eq!(shown("OUTPUT_TOKENS_MAX"), "1_000_000");
    }

    #[test]
    fn every_constant_is_in_the_list_with_a_reason() {
        let files = [
            include_str!("limits/requests.rs"),
            include_str!("limits/doors.rs"),
            include_str!("limits/kept.rs"),
            include_str!("limits/plugins.rs"),
            include_str!("limits/packs.rs"),
            include_str!("limits/scenario.rs"),
            include_str!("limits/runs.rs"),
        ];
        let written = files.iter().flat_map(|file| file.lines());
        let name = |line: &'static str| line.trim_start().strip_prefix("pub const ")?.split_once(':').map(|(name, _)| name);
        let written: Vec<&str> = written.filter_map(name).collect();
        assert_eq!(all().map(|limit| limit.name).collect::<Vec<_>>(), written);
        assert_eq!(written.iter().collect::<std::collections::BTreeSet<_>>().len(), written.len());
        assert!(all().all(|limit| limit.value > 0 && limit.reason.trim_end().ends_with('.')));
        // A long reason goes over two lines, each with its space in front.
        assert!(all().all(|limit| limit.reason.starts_with(' ')));
    }
}
