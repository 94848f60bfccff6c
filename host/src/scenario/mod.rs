//! A scenario: which models exist, how they behave, and which plugins decide it.
//!
//! A scenario has two shapes. [`source`] is the file as written: a tree with a place for every value. [`Scenario`] is the checked
//! value that the rest of the program uses, with nothing optional left in it that must be there. [`check`] is the only bridge; what
//! it makes is a [`Draft`], so that the builder of generations can add its mistakes to those found here and all are told at once.
//! [`read`] is the way in for files; [`refusal`] is what comes back when something is wrong. [`pattern`] says which entry answers for a model's name, and [`watch`] when a file has changed.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::types::problem::Problem;

pub mod check;
pub mod diff;
pub mod pattern;
pub mod read;
pub mod refusal;
pub mod schema;
pub mod source;
pub mod watch;

/// A scenario as far as it could be read, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The scenario; what could not be read is left out of it or has its default.
    pub scenario: Scenario,
    /// Every mistake found so far; the scenario may be used only if there is none.
    pub problems: Vec<Problem>,
}

/// A checked scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name; the file's stem if it gives none.
    pub name: String,
    /// The run's seed, if the file fixes one.
    pub seed: Option<u64>,
    /// How tokens are counted.
    pub tokens: TokenCounting,
    /// Plugins that the scenario brings itself.
    pub plugins: Vec<PluginSource>,
    /// Models in the order of the file; the first entry that matches a name answers for it.
    pub models: Vec<ModelEntry>,
    /// The file as written, to find the place of a mistake found later.
    pub source: Arc<source::Source>,
    /// Which entry of `models` answers for a name.
    pub index: pattern::Index,
}

impl Scenario {
    /// The index in `models` of the entry that answers for `name`: the first that matches. One look-up for names that the file spells
    /// out; `None` means that no vendor has this model, a 404.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.find(name)
    }

    /// Every behaviour that the scenario uses, fallbacks included.
    pub fn behaviours(&self) -> impl Iterator<Item = &BehaviorUse> {
        let used = self.models.iter().flat_map(|model| model.faults.iter().chain([&model.reply, &model.latency]));
        used.flat_map(|used| std::iter::successors(Some(used), |used| used.fallback.as_deref()))
    }
}

/// How tokens of texts that nobody generated are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenCounting {
    /// By a cheap rule; about 10 % off.
    Estimate,
    /// As OpenAI's `o200k_base` counts.
    Exact,
}

impl TokenCounting {
    /// The tokenizer's name in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Estimate => "estimate",
            Self::Exact => "exact",
        }
    }
}

/// A plugin file that a scenario names.
#[derive(Debug, Clone)]
pub struct PluginSource {
    /// The name under which behaviours use it.
    pub name: String,
    /// The component, relative paths resolved against the scenario's folder.
    pub file: PathBuf,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: usize,
    /// CPU time of one call, in microseconds.
    pub time_us: u64,
    /// A fresh instance for every call?
    pub fresh_per_call: bool,
    /// JSON pointer of the entry, for mistakes found when it is loaded.
    pub pointer: String,
}

/// One entry of `models:`.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    /// Its name in metrics and for plugins: the first pattern, unless the file gives one.
    pub name: String,
    /// Names it answers for; `*` stands for any text.
    pub matches: Vec<String>,
    /// Names that the list of models shows.
    pub list: Vec<String>,
    /// Who owns it, for the list of models.
    pub owned_by: String,
    /// Unix time in seconds, for the list of models.
    pub created_unix_s: u64,
    /// Tokens of prompt and reply together.
    pub context_window: u32,
    /// The most tokens of one reply.
    pub max_output_tokens: u32,
    /// When tokens leave.
    pub latency: BehaviorUse,
    /// What fails, asked in order; the first verdict that is not "pass" counts.
    pub faults: Vec<BehaviorUse>,
    /// What is answered.
    pub reply: BehaviorUse,
}

/// A behaviour that a scenario uses: `{ name: options, fallback: { … } }`.
#[derive(Debug, Clone)]
pub struct BehaviorUse {
    /// A native behaviour's or a plugin's name.
    pub name: String,
    /// Its options as written; an empty map if there are none.
    pub options: Value,
    /// What takes its place when it fails; without one the client gets a 500.
    pub fallback: Option<Box<BehaviorUse>>,
    /// JSON pointer of the options; for mistakes found later, put it before theirs and ask [`source::Source::locate`].
    pub pointer: String,
}
