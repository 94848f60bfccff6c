//! The words of a reload: what is to change ([`Change`]), on which terms ([`Terms`]), and what comes of it ([`Applied`] or
//! [`Declined`]). [`Changes`] is what the doors know of whoever makes changes, so that every way in takes the same path.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::scenario::canary::CanarySettings;
use crate::scenario::refusal::Refusal;
use crate::types::problem::Problem;

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// What the files say counts again, whatever was changed by other ways.
    Files,
    /// These files were saved: what they say counts again. If nothing differs from what runs, nothing changes.
    Saved(Vec<PathBuf>),
    /// The scenario is this text from now on. Relative paths in it start at the folder of the scenario's file.
    Scenario(String),
    /// The plugin called `name` is this component from now on, with the limits that the scenario gives it.
    Plugin {
        /// Its name in the running scenario.
        name: String,
        /// The component's bytes.
        component: Bytes,
    },
    /// The plugin called `name`, whose folder is followed, has another component: that one counts. If nothing differs from what runs,
    /// nothing changes.
    Offered {
        /// Its name.
        name: String,
    },
    /// An earlier generation answers again, under a number of its own: the one before, or number `to`.
    Rollback {
        /// Its number.
        to: Option<u64>,
    },
}

/// On which terms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Terms {
    /// Do everything but let it answer.
    pub dry_run: bool,
    /// The generations that may be running when it takes over; any if there are none.
    pub expected: Vec<u64>,
    /// How it is tried first.
    pub canary: Trying,
}

/// How a change is tried before it answers all requests.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Trying {
    /// As the new scenario says under `reload:`.
    #[default]
    AsWritten,
    /// Not at all.
    Not,
    /// In this way.
    As(CanarySettings),
}

/// What a change did, or in a dry run what it would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The new generation's number.
    pub generation: u64,
    /// Does it answer only a share of the requests for now?
    pub is_canary: bool,
    /// Did nothing happen in fact?
    pub dry_run: bool,
    /// What caused it, in a few words.
    pub cause: String,
    /// What differs from the generation that runs, in a few words.
    pub summary: String,
    /// The places that differ, without their values; of many the first.
    pub places: Vec<String>,
    /// How long it lasts.
    pub lasts: String,
    /// Plugins that are not what their file says, because somebody sent another component.
    pub replaced: Vec<String>,
    /// The canary that had to give way.
    pub superseded: Option<u64>,
}

impl Applied {
    /// As JSON.
    pub fn json(&self) -> Value {
        let state = if self.is_canary { "canary" } else { "running" };
        json!({
            "generation": self.generation, "state": state, "dry_run": self.dry_run, "cause": self.cause, "changed": self.summary,
            "places": self.places, "lasts": self.lasts, "replaced_plugins": self.replaced, "superseded": self.superseded,
        })
    }
}

/// Why a change was not made. What ran goes on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Declined {
    /// It is wrong.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A followed plugin does not build.
    #[error("{why}")]
    Unbuilt {
        /// What its toolchain says.
        why: String,
    },
    /// Another generation runs than was expected.
    #[error("generation {head} runs, and the change is meant for {expected}; read `GET /scenario` again and change that")]
    Unexpected {
        /// What was expected.
        expected: String,
        /// The newest generation.
        head: u64,
    },
    /// Another generation is on trial.
    #[error(
        "generation {canary} is on trial, and the change is meant for {expected}; wait for the trial's end, end it with \
         `POST /canary/promote` or `POST /canary/abort`, or name {canary} to take its place"
    )]
    OnTrial {
        /// What was expected.
        expected: String,
        /// The number of the generation on trial.
        canary: u64,
    },
    /// The scenario has no such plugin.
    #[error(
        "the running scenario has no plugin `{name}`: it neither declares it under `plugins:` nor uses a followed one of that name; {hint}"
    )]
    NoPlugin {
        /// What was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// There is no such generation to go back to.
    #[error("there is no generation {to} to go back to; {kept}", to = .to.map_or("before this one".to_owned(), |to| to.to_string()))]
    NoGeneration {
        /// Its number, or none for the one before.
        to: Option<u64>,
        /// What there is.
        kept: String,
    },
    /// No generation is on trial.
    #[error("no generation is on trial; `GET /generations` says what became of the last one")]
    NoCanary,
    /// Newer files are being read, and they count.
    #[error("the files have changed again meanwhile")]
    Outdated,
    /// The server ends, or has not begun.
    #[error("the server is stopping and changes nothing any more")]
    Stopping,
}

impl Declined {
    /// A word for the kind, as the list of refusals shows it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unbuilt { .. } => "not-built",
            Self::Unexpected { .. } | Self::OnTrial { .. } => "unexpected-generation",
            Self::NoPlugin { .. } => "no-such-plugin",
            Self::NoGeneration { .. } => "no-such-generation",
            Self::NoCanary => "no-canary",
            Self::Outdated => "outdated",
            Self::Stopping => "stopping",
        }
    }

    /// The mistakes of a refusal, each as JSON.
    pub fn problems(&self) -> Vec<Value> {
        match self {
            Self::Refused(refusal) => refusal.problems.iter().map(problem).collect(),
            _ => Vec::new(),
        }
    }
}

/// `problem` as JSON: its place, its path in the scenario, what is wrong and what to try.
fn problem(problem: &Problem) -> Value {
    let place = problem.place.as_ref();
    json!({
        "file": place.map(|place| &place.file), "line": place.map(|place| place.line), "column": place.map(|place| place.column),
        "path": problem.pointer, "message": problem.message, "hint": problem.hint,
    })
}

/// Whoever makes changes. Calls may wait for a compiler, [`Changes::generations`] and [`Changes::plugins`] never do.
pub trait Changes: Send + Sync {
    /// Makes `change`, and returns when it answers.
    fn change(&self, change: Change, terms: &Terms) -> Result<Applied, Declined>;
    /// Ends the trial of the generation on trial by hand: it answers all requests, or none. Gives its number. With `expected`
    /// generations, only if it is one of them.
    fn settle(&self, promote: bool, expected: &[u64]) -> Result<u64, Declined>;
    /// Every generation with what became of it, and the last refusals.
    fn generations(&self) -> Value;
    /// Every plugin of the running generation, and of one on trial.
    fn plugins(&self) -> Value;
    /// The newest generation that was accepted: the one on trial, or the running one.
    fn head(&self) -> u64;
}
