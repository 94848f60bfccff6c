//! A scenario: which models exist, how they behave, and which plugins decide it.
//!
//! A scenario has two shapes. [`source`] is the file as written: a tree with a place for every value. [`Scenario`] is the checked
//! value that the rest of the program uses, with nothing optional left in it that must be there. [`check`] is the only bridge; what
//! it makes is a [`Draft`], so that the builder of generations can add its mistakes to those found here and all are told at once.
//! [`read`] is the way in for files, with `include` for several and [`environment`] for variables; [`refusal`] is what comes back when
//! something is wrong. [`pattern`] says which entries answer for a model's name, [`when`] under which conditions something counts,
//! [`complexity`] how hard a request looks, [`phases`] which incidents apply at which time, [`stations`] what requests go through.
//! [`routes`] says which paths it serves beside those of vendors, [`watch`] when a file has changed, [`diff`] what, [`canary`] how a
//! change is tried, and [`schema`] tells editors what a file may hold.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderName;
use semver::VersionReq;
use serde_json::Value;

use crate::pack::digest::Digest;
use crate::scenario::when::When;
use crate::station::quota;
use crate::types::allowance::Window;
use crate::types::capability::{Capabilities, Reach};
use crate::types::criterion::Criterion;
use crate::types::manners::Manners;
use crate::types::problem::Problem;
use crate::workload::Workload;

pub mod canary;
pub mod check;
pub mod complexity;
pub mod diff;
pub mod environment;
mod include;
pub mod pattern;
pub mod phases;
pub mod read;
pub mod refusal;
pub mod routes;
pub mod schema;
pub mod source;
pub mod stations;
pub mod watch;
pub mod when;

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
    /// Packs that it uses plugins of, as it names them.
    pub packs: Vec<PackUse>,
    /// Stations that pipelines go through.
    pub stations: Vec<stations::StationEntry>,
    /// Models in the order of the file; the first entry that matches a name, and whose conditions hold, answers for it.
    pub models: Vec<ModelEntry>,
    /// Pieces that change what models do while they apply.
    pub incidents: Vec<Incident>,
    /// The incidents that apply from the start, phases or not.
    pub active: IncidentSet,
    /// Which incidents apply when.
    pub phases: Option<phases::Phases>,
    /// The header that names the tenant; without one the usual headers.
    pub tenant_header: Option<HeaderName>,
    /// Tiers in the order of the file; the first with a pattern that matches a tenant counts for it.
    pub tiers: Vec<Tier>,
    /// Promises by which a run is judged.
    pub criteria: Vec<Criterion>,
    /// How a change to this scenario is tried before it answers all requests; without one it takes over at once.
    pub canary: Option<canary::CanarySettings>,
    /// How the doors behave where vendors leave it open.
    pub api: Manners,
    /// Paths of its own, in the order of the file; the first that fits a request answers.
    pub routes: Vec<routes::RouteEntry>,
    /// Who asks what and when, where the run brings its own traffic. Its literal prompts are not counted yet.
    pub workload: Option<Arc<Workload>>,
    /// The file as written, to find the place of a mistake found later.
    pub source: Arc<source::Source>,
    /// Which entry of `models` answers for a name.
    pub index: pattern::Index,
    /// Which of `tiers` counts for a tenant.
    pub tier_index: pattern::Index,
}

impl Scenario {
    /// The index in `models` of the first entry that matches `name`, whatever its conditions. `None` means that no vendor has this
    /// model, a 404.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.find(name, |_| true)
    }

    /// The index of the entry that answers for `name`: the first that matches and of which `takes` says so. Asked are only those with
    /// conditions.
    pub fn find_if(&self, name: &str, takes: impl Fn(usize, &When) -> bool) -> Option<usize> {
        self.index.find(name, |entry| self.models[entry].when.as_ref().is_none_or(|when| takes(entry, when)))
    }

    /// The same for a model of several names: the first entry that one of them matches.
    pub fn find_any<'a>(&self, names: impl Iterator<Item = &'a str>, takes: impl Fn(usize, &When) -> bool) -> Option<usize> {
        names.filter_map(|name| self.find_if(name, &takes)).min()
    }

    /// The index in `tiers` of the one that counts for `tenant`, who is asked for only if there is any; a caller that names none is the
    /// tenant of the empty name, which `*` matches.
    pub fn tier_of<'a>(&self, tenant: impl FnOnce() -> &'a str) -> Option<usize> {
        if self.tiers.is_empty() { None } else { self.tier_index.find(tenant(), |_| true) }
    }

    /// Every behaviour that the scenario uses, fallbacks included.
    pub fn behaviours(&self) -> impl Iterator<Item = &BehaviorUse> {
        let of_models = self.models.iter().flat_map(|model| model.faults.iter().chain(&model.reply).chain(&model.latency));
        let of_incidents = self.incidents.iter().flat_map(|incident| {
            let Incident { faults, reply, latency, .. } = incident;
            faults.iter().chain(reply).chain(latency)
        });
        let pipelines = self.models.iter().filter_map(|model| model.pipeline.as_ref());
        let of_stages = pipelines.flat_map(|pipeline| pipeline.takes.iter().flatten());
        let of_stations = self.stations.iter().flat_map(|station| station.chooser.iter().chain(&station.scaler));
        of_models
            .chain(of_incidents)
            .chain(of_stages)
            .chain(of_stations)
            .flat_map(|used| std::iter::successors(Some(used), |used| used.fallback.as_deref()))
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
    /// What it may reach.
    pub granted: Capabilities,
    /// What it is in its pack, if it is of one.
    pub pack: Option<PackPart>,
    /// JSON pointer of the entry, for mistakes found when it is loaded.
    pub pointer: String,
}

/// A plugin as a part of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackPart {
    /// Which pack, as its lock says.
    pub pack: Digest,
    /// Its name there.
    pub name: String,
    /// What the bytes of its component must be.
    pub component: Digest,
    /// Files of vectors that may be about it: titles, where they are, and what their bytes must be.
    pub vectors: Vec<(String, PathBuf, Digest)>,
}

/// One entry of `packs:`. Which bytes it is says the lock.
#[derive(Debug, Clone)]
pub struct PackUse {
    /// The first part of its behaviours' names here.
    pub name: String,
    /// A folder or a reference.
    pub from: String,
    /// The versions that will do; any, if none are named.
    pub version: Option<VersionReq>,
    /// What its plugins may reach and use.
    pub granted: Reach,
    /// JSON pointer of the entry.
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
    /// What all callers of it together may ask for.
    pub rate_limits: RateLimits,
    /// What its tokens cost.
    pub price: Option<Price>,
    /// Which requests it answers; without conditions all that match.
    pub when: Option<Arc<When>>,
    /// What its requests go through on their way; without one nothing is in it.
    pub pipeline: Option<stations::Pipeline>,
    /// When tokens leave; the first whose conditions hold, and the last has none.
    pub latency: Vec<BehaviorUse>,
    /// What fails, asked in order; the first verdict that is not "pass" counts.
    pub faults: Vec<BehaviorUse>,
    /// What is answered; the first whose conditions hold, and the last has none.
    pub reply: Vec<BehaviorUse>,
    /// The incidents that concern it.
    pub incidents: IncidentSet,
}

/// What a million tokens cost, in any currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Of prompts.
    pub input: f64,
    /// Of replies.
    pub output: f64,
}

impl ModelEntry {
    fn to_index(&self) -> pattern::Entry<'_> {
        pattern::Entry { patterns: &self.matches, list: &self.list, always: self.when.is_none() }
    }
}

impl Tier {
    fn to_index(&self) -> pattern::Entry<'_> {
        pattern::Entry { patterns: &self.tenants, list: &[], always: true }
    }
}

/// One entry of `incidents:`, a reusable piece: what is otherwise while it applies.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Its name.
    pub name: String,
    /// Asked before the entry's own faults.
    pub faults: Vec<BehaviorUse>,
    /// In place of the entry's own; the first whose conditions hold, and the entry's if none does.
    pub latency: Vec<BehaviorUse>,
    /// In place of the entry's own, as above.
    pub reply: Vec<BehaviorUse>,
}

/// A set of incidents, by their index in [`Scenario::incidents`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IncidentSet(u64);

impl IncidentSet {
    /// The set with `incident`, which is below [`crate::types::limits::SCENARIO_INCIDENTS_MAX`], and all of this one.
    #[must_use]
    pub fn with(self, incident: usize) -> Self {
        Self(self.0 | 1 << incident)
    }

    /// The incidents of both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Is `incident` in it?
    pub fn has(self, incident: usize) -> bool {
        self.0 >> incident & 1 == 1
    }

    /// Its incidents, in the order of the file.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(next)
        })
    }
}

/// What callers may ask for. Answers tell it in their headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests, each over another window.
    pub requests: Vec<Window>,
    /// Tokens of prompts and replies together, each over another window.
    pub tokens: Vec<Window>,
    /// Requests under way at a time.
    pub concurrency: Option<u32>,
    /// Is who asks for more refused, or only told?
    pub refuse: bool,
}

impl RateLimits {
    /// The quota that keeps them; `None` if everything is allowed.
    pub fn quota(&self) -> Option<quota::Settings> {
        let (requests, tokens, concurrency) = (self.requests.clone(), self.tokens.clone(), self.concurrency);
        let is_none = requests.is_empty() && tokens.is_empty() && concurrency.is_none();
        (!is_none).then(|| quota::Settings { requests, tokens, concurrency, ..quota::Settings::default() })
    }

    /// Tokens that fit at once, at most.
    pub fn tokens_at_once(&self) -> u32 {
        self.tokens.iter().map(|window| window.burst).min().unwrap_or(u32::MAX)
    }
}

/// One entry of `tiers:`; its limits hold for each of its tenants.
#[derive(Debug, Clone)]
pub struct Tier {
    /// Its name.
    pub name: String,
    /// Its tenants, names or patterns.
    pub tenants: Vec<String>,
    /// What each of them may ask for.
    pub limits: RateLimits,
    /// Who goes first where requests wait: the higher one.
    pub priority: u8,
}

/// A behaviour that a scenario uses: `{ name: options, fallback: { … } }`.
#[derive(Debug, Clone)]
pub struct BehaviorUse {
    /// A native behaviour's or a plugin's name.
    pub name: String,
    /// Its options as written; an empty map if there are none.
    pub options: Value,
    /// When it counts; without conditions always.
    pub when: Option<Arc<When>>,
    /// What takes its place when it fails; without one the client gets a 500.
    pub fallback: Option<Box<BehaviorUse>>,
    /// JSON pointer of the options; for mistakes found later, put it before theirs and ask [`source::Source::locate`].
    pub pointer: String,
}
