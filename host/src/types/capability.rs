//! What a plugin may reach beyond the numbers of a call, and how much it may use: asked for by packs, granted by scenarios.

use std::fmt;
use std::str::FromStr;

use crate::types::limits::{GUEST_MEMORY_BYTES, GUEST_TIME_US};
use crate::types::problem::did_you_mean;
use crate::types::quantity::{show_bytes, show_duration_us};

/// Something that a plugin reaches through an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// The request in hand.
    Request,
    /// State in the host.
    State,
    /// The log and the metrics.
    Log,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Request, Self::State, Self::Log];

    /// Its name, which is that of the interface in the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::State => "state",
            Self::Log => "log",
        }
    }

    /// What it gives access to.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Request => "the body, headers and texts of requests; credentials are never shown",
            Self::State => "memory in the host that outlives calls and reloads, bounded and its own",
            Self::Log => "lines in the log and counters in the metrics, bounded",
        }
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = || Self::ALL.iter().map(|capability| capability.word());
        Self::ALL.into_iter().find(|capability| capability.word() == word).ok_or_else(|| match did_you_mean(word, words()) {
            Some(near) => format!("`{word}` is no capability; did you mean `{near}`?"),
            None => format!("`{word}` is no capability; there are {}", words().collect::<Vec<_>>().join(", ")),
        })
    }
}

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Every capability there is.
    pub fn all() -> Self {
        Capability::ALL.into_iter().collect()
    }

    /// Is `capability` in it?
    pub fn has(self, capability: Capability) -> bool {
        self.0 >> capability as u8 & 1 == 1
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in one of the two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Is nothing in it?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its capabilities, always in the same order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().fold(0, |set, capability| set | 1 << capability as u8))
    }
}

/// Their words with commas between them, or `nothing`.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&self.iter().map(Capability::word).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// What a plugin, or all plugins of a pack, may reach and use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// What they may reach.
    pub capabilities: Capabilities,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: u64,
    /// CPU time of one call, in microseconds.
    pub time_us: u64,
}

impl Default for Reach {
    /// What everybody has: no capabilities, and the default limits.
    fn default() -> Self {
        Self { capabilities: Capabilities::default(), memory_bytes: GUEST_MEMORY_BYTES as u64, time_us: GUEST_TIME_US }
    }
}

impl Reach {
    /// What is enough for both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            capabilities: self.capabilities.and(other.capabilities),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            time_us: self.time_us.max(other.time_us),
        }
    }

    /// What this has beyond `granted`, as a scenario would grant it: `request`, `memory: 64MiB`.
    pub fn beyond(self, granted: Self) -> Vec<String> {
        let mut words: Vec<String> =
            self.capabilities.without(granted.capabilities).iter().map(|capability| capability.word().to_owned()).collect();
        if self.memory_bytes > granted.memory_bytes {
            words.push(format!("memory: {}", show_bytes(self.memory_bytes)));
        }
        if self.time_us > granted.time_us {
            words.push(format!("time: {}", show_duration_us(self.time_us)));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_its_capabilities_by_their_words() {
        let set: Capabilities = [Capability::Log, Capability::Request].into_iter().collect();
        assert_eq!((set.to_string().as_str(), Capabilities::default().to_string().as_str()), ("request, log", "nothing"));
        assert_eq!(Capabilities::all().without(set).to_string(), "state");
        assert_eq!("state".parse(), Ok(Capability::State));
        assert!("stat".parse::<Capability>().unwrap_err().contains("did you mean `state`?"));
    }

    #[test]
    fn what_is_beyond_a_grant_is_said_as_a_scenario_grants_it() {
        let asked = Reach { capabilities: Capabilities::all(), memory_bytes: 64 << 20, time_us: 50_000 };
        assert_eq!(asked.beyond(Reach::default()), ["request", "state", "log", "memory: 64MiB", "time: 50ms"]);
        assert!(asked.beyond(asked).is_empty() && Reach::default().beyond(asked).is_empty());
    }
}
