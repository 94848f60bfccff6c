//! Which versions of the plugin contract a pack is for: `^1.0` from 1.0.0 on, and exactly one while it is a candidate (`=1.0.0-rc.1`).

use std::fmt;
use std::str::FromStr;

use semver::{Op, Version, VersionReq};
use serde::{Deserialize, Serialize};

/// A range of versions of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InterfaceRange(VersionReq);

impl InterfaceRange {
    /// Is `version` in it?
    pub fn has(&self, version: &Version) -> bool {
        self.0.matches(version)
    }
}

impl FromStr for InterfaceRange {
    type Err = String;

    /// Reads a range as Cargo writes it; a candidate alone means exactly that one.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let exact = text.parse::<Version>().is_ok_and(|version| !version.pre.is_empty());
        let range = if exact { format!("={text}") } else { text.to_owned() };
        let range: VersionReq = range.parse().map_err(|error| format!("`{text}` is no range of versions: {error}"))?;
        if range.comparators.is_empty() {
            return Err(format!("`{text}` fits every version that will ever be; write for example `^1.0`"));
        }
        match range.comparators.iter().find(|comparator| !comparator.pre.is_empty() && comparator.op != Op::Exact) {
            Some(candidate) => {
                Err(format!("`{candidate}` is a range of candidates, and each differs; write `={}`", bare(candidate)))
            }
            None => Ok(Self(range)),
        }
    }
}

/// `1.0.0-rc.1` of `^1.0.0-rc.1`.
fn bare(comparator: &semver::Comparator) -> String {
    comparator.to_string().trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned()
}

impl fmt::Display for InterfaceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<InterfaceRange> for String {
    fn from(range: InterfaceRange) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for InterfaceRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(range: &str, version: &str) -> bool {
        range.parse::<InterfaceRange>().expect(range).has(&version.parse().expect(version))
    }

    #[test]
    fn a_candidate_fits_itself_alone_and_a_range_no_candidate() {
        assert!(has("=1.0.0-rc.1", "1.0.0-rc.1") && has("1.0.0-rc.1", "1.0.0-rc.1"));
        assert!(!has("1.0.0-rc.1", "1.0.0-rc.2") && !has("1.0.0-rc.1", "1.0.0"));
        assert!(has("^1.0", "1.0.0") && has("^1.0", "1.7.2") && !has("^1.0", "1.0.0-rc.1") && !has("^1.0", "2.0.0"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (text, part) in [
            ("", "no range"),
            ("*", "every version"),
            ("one", "no range"),
            ("^1.0.0-rc.1", "write `=1.0.0-rc.1`"),
            (">=1.0.0-rc.1, <2", "rc.1`"),
        ] {
            let error = text.parse::<InterfaceRange>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
