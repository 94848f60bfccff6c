//! Every change of what runs takes this one path, wherever it comes from: saved files, the admin door, a rollback.
//!
//! [`Reloader::make`] reads, loads what is not loaded, builds, and lets the result answer: all at once, or a share of the requests
//! first (`trial`). `sources` says what is read, `desk` what there is to change, `record` what became of it. A dry run goes the same way and stops before the swap;
//! whatever fails on the way leaves what runs as it is.
//!
//! Changes take turns, and whoever has the turn never waits for a compiler: a change that finds a component not loaded gives its turn
//! back, has it compiled, and begins anew with what the files say then. So a change that needs no compiler passes one that does.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use ::metrics::Gauge;
use serde_json::Value;

use crate::app::reload::desk::{Built, Desk, Made};
use crate::app::reload::record::{Entry, Record, Shown, cause_of, difference, entry};
use crate::app::reload::sources::Sources;
use crate::app::workshop::{Loaded, Need, Offer, Tried, Workshop};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::change::{Applied, Change, Changes, Declined, Terms, Trying};
use crate::plan::generation::Generation;
use crate::scenario::refusal::Refusal;
use crate::scenario::watch::Watcher;
use crate::telemetry::metrics;
use crate::types::limits::GENERATIONS_KEPT_MAX;
use crate::vectors::check::Wanted;
use crate::wasm::{Compiling, Plugin};

mod desk;
mod record;
mod sources;
mod trial;

/// Makes changes, one at a time.
pub(super) struct Reloader {
    workshop: Workshop,
    /// The scenario's file; without one the built-in scenario.
    file: Option<PathBuf>,
    /// Held by who has the turn.
    desk: Mutex<Desk>,
    record: Mutex<Record>,
    /// Numbers of the generations that can be brought back, for who must not wait for the turn.
    kept: Mutex<Vec<u64>>,
    /// What plays the generations; not there before the first one is built.
    engine: OnceLock<Arc<Engine>>,
    /// Not there without a scenario file.
    watcher: OnceLock<Watcher>,
    /// Counts looks at saved files; only the newest goes on after a wait for the compiler.
    looks: AtomicU64,
    stopping: AtomicBool,
    me: Weak<Self>,
}

/// Plugins that were loaded for one change, so that it finds them when it has the turn again.
type Loads = HashMap<Tried, Loaded>;

/// What came of trying to build.
enum Attempt {
    Built(Box<Built>),
    /// These plugins must be loaded first.
    Missing(Vec<Need>),
}

impl Reloader {
    /// Makes changes to what `file` says, with `workshop`.
    pub(super) fn new(workshop: Workshop, file: Option<PathBuf>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            workshop,
            file,
            desk: Mutex::default(),
            record: Mutex::default(),
            kept: Mutex::default(),
            engine: OnceLock::new(),
            watcher: OnceLock::new(),
            looks: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            me: Weak::clone(me),
        })
    }

    /// Builds the first generation and hands it to `open`, which makes the engine of it. Files are followed from before they are read.
    pub(super) fn start<E: From<Refusal>>(&self, open: impl FnOnce(Generation) -> Result<Arc<Engine>, E>) -> Result<(), E> {
        self.follow();
        let mut loads = Loads::new();
        loop {
            // A change that is seen from here on waits for its turn.
            let mut desk = self.turn();
            match self.attempt(&desk, &Sources::default(), &loads, true)? {
                Attempt::Missing(needs) => {
                    drop(desk);
                    self.load(needs, &mut loads, &|| true);
                }
                Attempt::Built(built) => {
                    let engine = open(built.generation)?;
                    let entry = Entry {
                        number: 1,
                        since: engine.clock().now(),
                        cause: "the start of the server".to_owned(),
                        summary: "everything".to_owned(),
                        places: Vec::new(),
                        note: None,
                        visits: Arc::clone(&engine.running().visits),
                    };
                    self.record().begin(entry);
                    self.show(&built.made);
                    (desk.newest, desk.running) = (1, Some(built.made));
                    let _ = self.engine.set(engine);
                    return Ok(());
                }
            }
        }
    }

    /// What plays the generations, once there is one.
    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get().cloned()
    }

    /// Makes no change any more.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Lets scenarios use `offer` by `name` from the next change on.
    pub(super) fn offer(&self, name: &str, offer: Offer) {
        self.workshop.offer_file(name, offer);
    }

    /// Does what runs use the plugin called `name`?
    pub(super) fn uses(&self, name: &str) -> bool {
        self.turn().running.as_ref().is_some_and(|made| made.plugins.iter().any(|(need, _)| need.name == name))
    }

    /// The followed plugin called `name` does not build: `why`. What runs goes on.
    pub(super) fn not_built(&self, name: &str, why: String) {
        self.declined(&Change::Offered { name: name.to_owned() }, &Terms::default(), &Declined::Unbuilt { why });
    }

    /// What is being compiled.
    pub(super) fn compiling(&self) -> Vec<Compiling> {
        self.workshop.plugins().compiling()
    }

    /// Reloads whenever a followed file changes. Without a scenario file there is nothing to follow.
    fn follow(&self) {
        if self.file.is_none() {
            return;
        }
        let me = Weak::clone(&self.me);
        let started = Watcher::start(move |files| {
            let Some(reloader) = me.upgrade() else { return };
            let change = Change::Saved(files.to_vec());
            // On a thread of its own: it may wait for a compiler, and the next change must be seen meanwhile. A refusal is logged
            // where it arises.
            let make = move || drop(reloader.change(change, &Terms::default()));
            if let Err(error) = std::thread::Builder::new().name("reload".to_owned()).spawn(make) {
                tracing::error!(%error, "cannot start a thread for a reload; save the file again");
            }
        });
        match started {
            Ok(watcher) => drop(self.watcher.set(watcher)),
            Err(error) => tracing::warn!(%error, "cannot watch files; changes need a restart"),
        }
    }

    /// The one path.
    fn make(&self, change: &Change, terms: &Terms) -> Result<Applied, Declined> {
        let look = match change {
            Change::Saved(_) => Some(self.looks.fetch_add(1, Ordering::AcqRel) + 1),
            _ => None,
        };
        let may_be_nothing = look.is_some() || matches!(change, Change::Offered { .. });
        let is_wanted =
            || !self.stopping.load(Ordering::Acquire) && look.is_none_or(|look| look == self.looks.load(Ordering::Acquire));
        let mut loads = Loads::new();
        loop {
            let mut desk = self.turn();
            if self.stopping.load(Ordering::Acquire) {
                return Err(Declined::Stopping);
            }
            // Without an engine the start is still at it, and reads the files itself.
            let engine = self.engine.get().ok_or(Declined::Outdated)?;
            desk.expect(terms)?;
            if let Change::Rollback { to } = change {
                let built = desk.bring_back(*to)?;
                return Ok(self.let_answer(&mut desk, engine, built, change, terms));
            }
            let running = desk.running.as_ref().ok_or(Declined::Outdated)?;
            let sources = running.sources.after(change, self.file.as_deref(), &running.copy.scenario)?;
            match self.attempt(&desk, &sources, &loads, !terms.dry_run)? {
                Attempt::Built(built) if may_be_nothing && desk.is_at(built.made.digest) => {
                    count("unchanged");
                    tracing::debug!("files were saved, and nothing differs");
                    // It is the files that say so from now on.
                    if let Some(made) = desk.newest_made() {
                        made.sources = built.made.sources;
                    }
                    return Ok(self.unchanged(&desk, change));
                }
                Attempt::Built(built) => return Ok(self.let_answer(&mut desk, engine, *built, change, terms)),
                Attempt::Missing(needs) => {
                    drop(desk);
                    if !self.load(needs, &mut loads, &is_wanted) {
                        return Err(if look.is_some() { Declined::Outdated } else { Declined::Stopping });
                    }
                }
            }
        }
    }

    /// Builds the next generation from `sources` as far as that goes without loading a plugin; files are watched if `follows`.
    fn attempt(&self, desk: &Desk, sources: &Sources, loads: &Loads, follows: bool) -> Result<Attempt, Refusal> {
        let number = desk.newest + 1;
        let mut draft = sources.read(self.file.as_deref(), self.watcher.get().filter(|_| follows), &self.workshop)?;
        let mut sources = sources.clone();
        sources.fit(&draft.scenario);
        let needs = self.workshop.needs(&mut draft, &sources.sent());
        let host = self.workshop.plugins();
        let ready = |need: &Need| host.loaded(&need.key).filter(|_| desk.has_tried(&need.tried())).map(Ok);
        let found = |need: &Need| loads.get(&need.tried()).cloned().or_else(|| ready(need));
        let (mut loaded, mut missing) = (Vec::new(), Vec::new());
        for need in &needs.plugins {
            match found(need) {
                Some(plugin) => loaded.push((need, plugin)),
                None => missing.push(need.clone()),
            }
        }
        if !missing.is_empty() {
            return Ok(Attempt::Missing(missing));
        }
        let digest = sources::digest(&draft.scenario, &needs.plugins, &self.workshop);
        let named: Vec<_> = loaded.iter().map(|(need, plugin): &(&Need, Loaded)| (&*need.name, plugin.clone())).collect();
        let generation = self.workshop.assemble(draft, number, &needs, &named)?;
        let plugins = loaded.into_iter().filter_map(|(need, plugin)| Some((need.clone(), plugin.ok()?))).collect();
        let copy = generation.renumbered(number, Gauge::noop());
        Ok(Attempt::Built(Box::new(Built {
            generation,
            made: Made { number, copy, sources, digest, plugins, insecure: needs.insecure },
        })))
    }

    /// Loads `needs`, one after the other; `false` if nobody wants them any more.
    fn load(&self, needs: Vec<Need>, loads: &mut Loads, is_wanted: Wanted<'_>) -> bool {
        for need in needs {
            match self.workshop.load(&need, is_wanted) {
                Ok(Some(plugin)) => drop(loads.insert(need.tried(), Ok(plugin))),
                Ok(None) => return false,
                Err(problems) => drop(loads.insert(need.tried(), Err(problems))),
            }
        }
        true
    }

    /// Lets `built` answer, at first perhaps only a share of the requests, and tells everybody; or says in a dry run what it would do.
    fn let_answer(&self, desk: &mut Desk, engine: &Engine, built: Built, change: &Change, terms: &Terms) -> Applied {
        let Built { generation, made } = built;
        let canary = match (terms.canary, change) {
            (Trying::As(settings), _) => Some(settings),
            (Trying::Not, _) | (_, Change::Rollback { .. }) => None,
            (Trying::AsWritten, _) => generation.scenario.canary,
        };
        let superseded = engine.trial().map(|trial| trial.running.generation.number);
        let (summary, places) = desk.running.as_ref().map_or_else(Default::default, |running| difference(running, &made));
        let applied = Applied {
            generation: made.number,
            is_canary: canary.is_some(),
            dry_run: terms.dry_run,
            cause: cause_of(change),
            summary,
            places,
            lasts: match change {
                Change::Rollback { .. } => {
                    "until the next change, or until one of the scenario's files is saved or the server restarts".to_owned()
                }
                _ => made.sources.last(self.file.as_deref()),
            },
            replaced: made.sources.sent().into_keys().collect(),
            superseded,
        };
        if terms.dry_run {
            return applied;
        }
        if let Some(number) = superseded {
            self.record().note(number, format!("gave way to generation {}", made.number));
            count_trial("superseded");
            tracing::warn!("generation {number}, which was on trial, gives way to generation {}", made.number);
        }
        if let Some(watcher) = self.watcher.get() {
            let running = desk.running.as_ref().filter(|_| canary.is_some()).map(|running| &*running.copy.scenario);
            let scenarios = [Some(&*generation.scenario), running];
            let followed = scenarios.into_iter().flatten().flat_map(|scenario| sources::followed(scenario, &self.workshop));
            watcher.keep(followed.chain(self.file.clone()));
        }
        desk.newest = made.number;
        // Those that were at rest must be warm before anybody asks them.
        made.plugins.iter().for_each(|(_, plugin)| plugin.resume());
        match canary {
            Some(settings) => self.try_out(desk, engine, generation, made, settings, &applied),
            None => self.swap(desk, engine, generation, made, &applied),
        }
        count("applied");
        applied
    }

    fn swap(&self, desk: &mut Desk, engine: &Engine, generation: Generation, made: Made, applied: &Applied) {
        engine.swap(generation);
        desk.trial = None;
        self.record().begin(entry(applied, engine.clock().now(), &engine.running().visits));
        tracing::info!(generation = made.number, "reloaded ({}): {}", applied.cause, applied.summary);
        self.run(desk, made);
    }

    /// `made` runs from now on, and what ran is kept for a while.
    fn run(&self, desk: &mut Desk, made: Made) {
        self.show(&made);
        let is_used = |old: &Arc<Plugin>| made.plugins.iter().any(|(_, plugin)| Arc::ptr_eq(plugin, old));
        let resting = desk.running.iter().flat_map(|before| &before.plugins).filter(|(_, plugin)| !is_used(plugin));
        resting.for_each(|(_, plugin)| plugin.rest());
        let before = desk.running.replace(made);
        desk.kept.extend(before);
        while desk.kept.len() > GENERATIONS_KEPT_MAX {
            desk.kept.pop_front();
        }
        *lock(&self.kept) = desk.kept.iter().map(|made| made.number).collect();
    }

    fn show(&self, made: &Made) {
        metrics::gauge(metrics::PACKS_INSECURE, &[]).set(made.insecure as f64);
        self.record().run(made.plugins.iter().map(|(need, plugin)| Shown::of(need, plugin)).collect());
    }

    fn unchanged(&self, desk: &Desk, change: &Change) -> Applied {
        Applied {
            generation: desk.newest,
            is_canary: false,
            dry_run: false,
            cause: cause_of(change),
            summary: "nothing".to_owned(),
            places: Vec::new(),
            lasts: String::new(),
            replaced: Vec::new(),
            superseded: None,
        }
    }

    fn declined(&self, change: &Change, terms: &Terms, declined: &Declined) {
        let Some(engine) = self.engine.get() else { return };
        // What was only asked, or meant for another generation, is an answer and no event.
        if terms.dry_run || !matches!(declined, Declined::Refused(_) | Declined::Unbuilt { .. }) {
            return;
        }
        count("refused");
        let running = engine.running().generation.number;
        tracing::error!("reload refused ({}), generation {running} stays\n{declined}", cause_of(change));
        self.record().refuse(&cause_of(change), declined, engine.clock());
    }

    fn turn(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }
}

impl Changes for Reloader {
    fn change(&self, change: Change, terms: &Terms) -> Result<Applied, Declined> {
        self.make(&change, terms).inspect_err(|error| self.declined(&change, terms, error))
    }

    fn settle(&self, promote: bool) -> Result<u64, Declined> {
        self.settle_by_hand(promote)
    }

    fn generations(&self) -> Value {
        let Some(engine) = self.engine.get() else { return Value::Null };
        let kept = lock(&self.kept).clone();
        self.record().generations(engine, &kept, &self.compiling())
    }

    fn plugins(&self) -> Value {
        let Some(engine) = self.engine.get() else { return Value::Null };
        self.record().plugins(engine.clock().now())
    }

    fn head(&self) -> u64 {
        let Some(engine) = self.engine.get() else { return 0 };
        engine.trial().map_or_else(|| engine.running().generation.number, |trial| trial.running.generation.number)
    }
}

fn count(outcome: &str) {
    metrics::counter(metrics::RELOADS, &[("outcome", outcome)]).increment(1);
}

fn count_trial(outcome: &str) {
    metrics::counter(metrics::CANARIES, &[("outcome", outcome)]).increment(1);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
