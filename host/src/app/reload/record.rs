//! What has become of every generation, and which changes were refused: what `GET /generations` and `GET /plugins` tell. Behind a lock
//! of its own that is never held for long, so that questions are answered while a change is under way.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::reload::desk::Made;
use crate::app::workshop::{Need, Origin};
use crate::clock::Clock;
use crate::clock::Nanos;
use crate::clock::real::RealClock;
use crate::engine::Engine;
use crate::engine::change::{Applied, Change, Declined};
use crate::engine::measure::Visits;
use crate::scenario::diff;
use crate::types::limits::{CHANGED_PLACES_MAX, GENERATIONS_LISTED_MAX, REFUSALS_LISTED_MAX};
use crate::wasm::{Compiling, Plugin};

/// The story so far.
#[derive(Default)]
pub(super) struct Record {
    generations: VecDeque<Entry>,
    refusals: VecDeque<Value>,
    plugins: Vec<Shown>,
    on_trial: Vec<Shown>,
    /// Numbers of the generations that a rollback can bring back.
    kept: Vec<u64>,
}

/// One generation.
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) since: Nanos,
    /// What caused it.
    pub(super) cause: String,
    /// What it changed.
    pub(super) summary: String,
    pub(super) places: Vec<String>,
    /// What became of its trial or its end, if that needs words.
    pub(super) note: Option<String>,
    pub(super) visits: Arc<Visits>,
}

/// One plugin of a generation that answers.
pub(super) struct Shown {
    plugin: Arc<Plugin>,
    from: String,
}

impl Shown {
    /// `plugin`, which was loaded for `need`.
    pub(super) fn of(need: &Need, plugin: &Arc<Plugin>) -> Self {
        let file = need.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        let from = match need.origin {
            Origin::File => file,
            Origin::Sent => format!("the admin door, in place of {file}"),
            Origin::Standard => "the standard pack".to_owned(),
        };
        Self { plugin: Arc::clone(plugin), from }
    }
}

impl Record {
    /// A generation begins.
    pub(super) fn begin(&mut self, entry: Entry) {
        self.generations.push_back(entry);
        let extra = self.generations.len().saturating_sub(GENERATIONS_LISTED_MAX);
        // What still answers requests is not forgotten; the newest is the last to go.
        let mut left = extra;
        self.generations.retain(|entry| {
            let goes = left > 0 && entry.visits.counts().0 == 0;
            left -= usize::from(goes);
            !goes
        });
    }

    /// The generation that `applied` tells of begins at `since`, and what was on trial, if anything, has given way to it.
    pub(super) fn apply(&mut self, applied: &Applied, since: Nanos, visits: &Arc<Visits>) {
        if let Some(number) = applied.superseded {
            self.note(number, format!("gave way to generation {}", applied.generation));
        }
        self.begin(Entry {
            number: applied.generation,
            since,
            cause: applied.cause.clone(),
            summary: applied.summary.clone(),
            places: applied.places.clone(),
            note: None,
            visits: Arc::clone(visits),
        });
    }

    /// Says what became of generation `number`.
    pub(super) fn note(&mut self, number: u64, note: String) {
        if let Some(entry) = self.generations.iter_mut().find(|entry| entry.number == number) {
            entry.note = Some(note);
        }
    }

    /// The plugins of the running generation; none is on trial any more.
    pub(super) fn run(&mut self, plugins: Vec<Shown>) {
        (self.plugins, self.on_trial) = (plugins, Vec::new());
    }

    /// The plugins of the generation on trial.
    pub(super) fn try_out(&mut self, plugins: Vec<Shown>) {
        self.on_trial = plugins;
    }

    /// From now on `kept` can be brought back.
    pub(super) fn keep(&mut self, kept: Vec<u64>) {
        self.kept = kept;
    }

    /// A change was refused.
    pub(super) fn refuse(&mut self, cause: &str, declined: &Declined, clock: &RealClock) {
        if self.refusals.len() == REFUSALS_LISTED_MAX {
            self.refusals.pop_front();
        }
        let at_unix_ms = clock.unix_ms(clock.now());
        let reason = match declined {
            Declined::Refused(refusal) => refusal.problems.first().map_or_else(String::new, ToString::to_string),
            other => other.to_string(),
        };
        let (kind, problems) = (declined.word(), declined.problems());
        self.refusals
            .push_back(json!({ "at_unix_ms": at_unix_ms, "cause": cause, "kind": kind, "reason": reason, "problems": problems }));
    }

    /// All of it, newest first.
    pub(super) fn generations(&self, engine: &Engine, compiling: &[Compiling]) -> Value {
        let (running, trial) = (engine.running().generation.number, engine.trial());
        let on_trial = trial.as_ref().map(|trial| trial.running.generation.number);
        let clock = engine.clock();
        let shown = |entry: &Entry| {
            let (requests, streams) = entry.visits.counts();
            let state = match entry.number {
                number if number == running => "running",
                number if Some(number) == on_trial => "canary",
                _ if requests > 0 => "draining",
                _ => "gone",
            };
            json!({
                "number": entry.number, "state": state, "since_unix_ms": clock.unix_ms(entry.since),
                "age_s": clock.now().saturating_sub(entry.since) / 1_000_000_000, "cause": entry.cause, "changed": entry.summary,
                "places": entry.places, "requests": requests, "streams": streams, "kept": self.kept.contains(&entry.number),
                "note": entry.note,
            })
        };
        let canary = trial.as_ref().map(|trial| {
            let settings = trial.canary.settings();
            let (requests, failures) = trial.canary.counts();
            let ends = trial.canary.deadline().map(|at| at.saturating_sub(clock.now()) / 1_000_000_000);
            json!({
                "generation": trial.running.generation.number, "share": settings.share, "max_failures": settings.max_failures,
                "requests": requests, "failures": failures, "passes_after_requests": settings.requests, "passes_in_s": ends,
            })
        });
        json!({
            "running": running, "canary": canary,
            "generations": self.generations.iter().rev().map(shown).collect::<Vec<_>>(),
            "refusals": self.refusals.iter().rev().collect::<Vec<_>>(),
            "compiling": compiling.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }

    /// The plugins of the running generation and of the one on trial, with how they do at `now`.
    pub(super) fn plugins(&self, now: Nanos) -> Value {
        let shown = |Shown { plugin, from }: &Shown| {
            let (calls, faults) = plugin.counts();
            let about = plugin.about();
            json!({
                "name": plugin.name(), "digest": format!("sha256:{}", plugin.digest()), "component": about.name,
                "version": about.version, "summary": about.summary,
                "kinds": plugin.kinds().into_iter().map(|kind| kind.word()).collect::<Vec<_>>(), "from": from,
                "breaker": plugin.breaker(now).word(), "calls": calls, "faults": faults,
            })
        };
        let all = |plugins: &[Shown]| plugins.iter().map(shown).collect::<Vec<_>>();
        json!({ "plugins": all(&self.plugins), "on_trial": all(&self.on_trial) })
    }
}

/// What caused a change, in a few words.
pub(super) fn cause_of(change: &Change) -> String {
    let names = |files: &[PathBuf]| {
        let name = |file: &Path| format!("`{}`", file.display());
        match files {
            [first, rest @ ..] if rest.len() > 3 => format!("{} and {} more", name(first), rest.len()),
            files => files.iter().map(|file| name(file)).collect::<Vec<_>>().join(", "),
        }
    };
    match change {
        Change::Files => "the files were read again".to_owned(),
        Change::Saved(files) => format!("saved: {}", names(files)),
        Change::Scenario(_) => "a scenario from the admin door".to_owned(),
        Change::Plugin { name, .. } => format!("a component for `{name}` from the admin door"),
        Change::Offered { name } => format!("a followed plugin, `{name}`"),
        Change::Rollback { to: None } => "a rollback".to_owned(),
        Change::Rollback { to: Some(to) } => format!("a rollback to generation {to}"),
    }
}

/// What differs between what runs and what is to run: in a few words, and the places.
pub(super) fn difference(before: &Made, after: &Made) -> (String, Vec<String>) {
    let changes = diff::diff(&before.copy.scenario, &after.copy.scenario);
    let mut places: Vec<String> = changes.iter().map(|change| change.path.join(".")).collect();
    let component =
        |made: &Made, name: &str| made.plugins.iter().find(|(need, _)| need.name == name).map(|(need, _)| need.key.digest());
    let names = after.plugins.iter().map(|(need, _)| need.name.as_str());
    let other: Vec<&str> =
        names.filter(|name| component(before, name).is_some_and(|old| component(after, name) != Some(old))).collect();
    places.extend(other.iter().map(|name| format!("component of {name}")));
    let mut parts: Vec<String> = Vec::new();
    parts.extend((!changes.is_empty()).then(|| diff::summary(&changes)));
    parts.extend((!other.is_empty()).then(|| format!("another component of {}", other.join(", "))));
    let summary = if parts.is_empty() { "only files that it names".to_owned() } else { parts.join("; ") };
    if places.len() > CHANGED_PLACES_MAX {
        let more = places.len() - CHANGED_PLACES_MAX;
        places.truncate(CHANGED_PLACES_MAX);
        places.push(format!("and {more} more"));
    }
    (summary, places)
}
