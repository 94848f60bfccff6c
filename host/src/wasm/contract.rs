//! Which versions of the contract this host understands.
//!
//! From 1.0.0 on only functions and interfaces are added, so a plugin of an older minor version finds all that it knows. wasmtime then
//! takes `@1.0.0` and `@1.4.0` for names of the same thing, in both directions: so a newer plugin must be refused here, by name.

use semver::Version;

/// The version of the contract that this host speaks.
pub const CONTRACT: &str = "1.0.0";

/// What the names of the contract's interfaces begin with.
pub(super) const PACKAGE: &str = "simwright:plugin/";

/// What a host has to do with a version that a plugin names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is the host's own, or an older one that is part of it.
    Good,
    /// It is newer.
    Newer,
    /// It is another contract: an older major version, a candidate, or no version at all.
    Other,
}

/// What a host that speaks `host` has to do with a plugin of `version`.
pub(super) fn fit(version: &str, host: &str) -> Fit {
    let (Ok(plugin), Ok(own)) = (version.parse::<Version>(), host.parse::<Version>()) else { return Fit::Other };
    match (plugin, own) {
        (plugin, own) if plugin == own => Fit::Good,
        (plugin, _) if !plugin.pre.is_empty() => Fit::Other,
        (plugin, own) if plugin > own => Fit::Newer,
        (plugin, own) if plugin.major == own.major && plugin.major > 0 => Fit::Good,
        _ => Fit::Other,
    }
}

/// The interface and the version of `name`, if it is one of the contract.
pub(super) fn parts(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_minor_versions_are_part_of_newer_ones_and_nothing_else_is() {
        for (plugin, host, expected) in [
            ("1.0.0", "1.0.0", Fit::Good),
            ("1.0.0", "1.2.0", Fit::Good),
            ("1.1.7", "1.2.0", Fit::Good),
            ("1.2.1", "1.2.0", Fit::Newer),
            ("1.3.0", "1.2.0", Fit::Newer),
            ("2.0.0", "1.2.0", Fit::Newer),
            ("1.0.0", "2.0.0", Fit::Other),
            ("0.9.0", "1.0.0", Fit::Other),
            ("1.0.0-rc.1", "1.0.0", Fit::Other),
            ("1.1.0-rc.1", "1.0.0", Fit::Other),
            ("0.2.0", "0.3.0", Fit::Other),
            ("one", "1.0.0", Fit::Other),
        ] {
            assert_eq!(fit(plugin, host), expected, "{plugin} on {host}");
        }
    }
}
