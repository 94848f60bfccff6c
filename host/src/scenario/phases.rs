//! `phases:`, a time line of incidents: what a whole bad day looks like.
//!
//! This is what a scenario says; where a run stands on its line is `plan/timeline.rs`'s to know.

use crate::clock::Nanos;
use crate::scenario::IncidentSet;

/// A time line.
#[derive(Debug, Clone, PartialEq)]
pub struct Phases {
    /// When its first phase begins.
    pub start: Start,
    /// What comes after its last phase.
    pub repeat: Repeat,
    /// Its phases in order; at least one.
    pub line: Vec<Phase>,
}

/// When a time line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// So many nanoseconds after the run, or after the reload that brought the line.
    After(Nanos),
    /// With the request after so many.
    Requests(u64),
    /// When an operator says so.
    Hand,
}

/// What comes after the last phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The line is played so many times, at least once; then nothing of it applies.
    Times(u32),
    /// The first one again.
    Forever,
}

/// One phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Its name, once in its line.
    pub name: String,
    /// How long it lasts.
    pub lasts: Lasts,
    /// The incidents that apply in it.
    pub incidents: IncidentSet,
    /// Their strength at its beginning and at its end, 0 to 1: the share of the requests to which they apply.
    pub strength: (f64, f64),
}

/// How long a phase lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// So many nanoseconds, at least one.
    Time(Nanos),
    /// So many requests, at least one.
    Requests(u64),
    /// Until an operator goes on.
    Hand,
}

impl Phases {
    /// How long the whole line takes, if time alone decides.
    pub fn cycle(&self) -> Option<Nanos> {
        self.line.iter().try_fold(0_u64, |sum, phase| match phase.lasts {
            Lasts::Time(ns) => Some(sum.saturating_add(ns)),
            Lasts::Requests(_) | Lasts::Hand => None,
        })
    }

    /// The index of the phase `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.line.iter().position(|phase| phase.name == name)
    }
}
