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
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use ::metrics::Gauge;
use serde_json::Value;

use crate::app::reload::desk::{Built, Desk, Made};
use crate::app::reload::record::{Entry, Record, cause_of, difference};
use crate::app::reload::sources::Sources;
use crate::app::reload::wishes::Wishes;
use crate::app::workshop::{Loaded, Need, Offer, Tried, Workshop};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::change::{Applied, Change, Changes, Declined, Terms, Trying};
use crate::interest::Interest;
use crate::plan::generation::Generation;
use crate::scenario::canary::CanarySettings;
use crate::scenario::refusal::Refusal;
use crate::scenario::watch::Watcher;
use crate::telemetry::metrics;
use crate::types::limits::GENERATIONS_KEPT_MAX;
use crate::wasm::{Compiling, Plugin, PluginKey};

mod desk;
mod record;
mod sources;
mod trial;
mod wishes;

/// Makes changes, one at a time.
pub(super) struct Reloader {
    workshop: Workshop,
    /// The scenario's file; without one the built-in scenario.
    file: Option<PathBuf>,
    /// Held by who has the turn.
    desk: Mutex<Desk>,
    /// Held for the moment in which another generation begins to answer: nobody is told a part of that.
    record: Mutex<Record>,
    /// What plays the generations; not there before the first one is built.
    engine: OnceLock<Arc<Engine>>,
    /// Not there without a scenario file.
    watcher: OnceLock<Watcher>,
    /// What is waited for; closed when no change is made any more.
    wishes: Wishes,
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
            engine: OnceLock::new(),
            watcher: OnceLock::new(),
            wishes: Wishes::default(),
            me: Weak::clone(me),
        })
    }

    /// Builds the first generation and hands it to `open`, which makes the engine of it; there is none if `interest` is lost
    /// before. Files are followed from before they are read.
    pub(super) fn start<E: From<Refusal>>(
        &self,
        interest: &Interest,
        open: impl FnOnce(Generation) -> Result<Arc<Engine>, E>,
    ) -> Result<(), E> {
        self.follow();
        let mut loads = Loads::new();
        loop {
            // A change that is seen from here on waits for its turn.
            let mut desk = self.turn();
            match self.attempt(&desk, &Sources::default(), &loads, true)? {
                Attempt::Missing(needs) => {
                    drop(desk);
                    let interests = vec![interest.clone(); needs.len()];
                    if !self.load(needs, interests, &mut loads) || !interest.is_there() {
                        return Ok(());
                    }
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
                    let mut record = self.record();
                    record.begin(entry);
                    show(&mut record, &built.made);
                    drop(record);
                    (desk.newest, desk.running) = (1, Some(built.made));
                    let _ = self.engine.set(engine);
                    return Ok(());
                }
            }
        }
    }

    /// What generations are built with.
    pub(super) fn workshop(&self) -> &Workshop {
        &self.workshop
    }

    /// What plays the generations, once there is one.
    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get().cloned()
    }

    /// Makes no change any more, and ends what is compiled for one.
    pub(super) fn stop(&self) {
        self.wishes.close();
    }

    /// The followed plugin called `name` has changed again: its older component is not waited for.
    pub(super) fn give_up(&self, name: &str) {
        self.wishes.give_up(name);
    }

    /// Lets scenarios use `offer` by `name` from the next change on.
    pub(super) fn offer(&self, name: &str, offer: Offer) {
        self.workshop.offer_file(name, offer);
    }

    /// No scenario may use the followed plugin called `name` by its name from the next change on.
    pub(super) fn withdraw_offer(&self, name: &str) {
        self.workshop.withdraw_offer(name);
    }

    /// Does what runs or is on trial use the plugin called `name`?
    pub(super) fn uses(&self, name: &str) -> bool {
        let desk = self.turn();
        let made = [&desk.running, &desk.trial].into_iter().flatten();
        made.flat_map(|made| &made.plugins).any(|(need, _)| need.name == name)
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
        let under_way = self.wishes.begin(change);
        let may_be_nothing = matches!(change, Change::Saved(_) | Change::Offered { .. });
        let mut loads = Loads::new();
        loop {
            let mut desk = self.turn();
            if self.wishes.is_closed() {
                return Err(Declined::Stopping);
            }
            // Without an engine the start is still at it, and reads the files itself.
            let engine = self.engine.get().ok_or(Declined::Outdated)?;
            desk.expect(&terms.expected)?;
            let change = &*desk.with_saved(change);
            if let Change::Rollback { to } = change {
                let built = desk.bring_back(*to)?;
                return Ok(self.let_answer(&mut desk, engine, built, change, terms));
            }
            let running = desk.running.as_ref().ok_or(Declined::Outdated)?;
            let is_on_top = sources::comes_by_itself(change, self.file.as_deref());
            let base = if is_on_top { desk.trial.as_ref().unwrap_or(running) } else { running };
            let offered = |name: &str| self.workshop.offered(name);
            let sources = base.sources.after(change, self.file.as_deref(), &running.copy.scenario, &offered)?;
            match self.attempt(&desk, &sources, &loads, !terms.dry_run)? {
                Attempt::Built(built) if may_be_nothing && desk.is_at(built.made.digest) => {
                    count("unchanged");
                    tracing::debug!("files were saved, and nothing differs");
                    // It is the files that say so from now on.
                    if let Some(made) = desk.newest_made() {
                        made.sources = built.made.sources;
                    }
                    desk.has_taken(change);
                    return Ok(Applied {
                        generation: desk.newest,
                        cause: cause_of(change),
                        summary: "nothing".to_owned(),
                        ..Applied::default()
                    });
                }
                Attempt::Built(built) => return Ok(self.let_answer(&mut desk, engine, *built, change, terms)),
                Attempt::Missing(needs) => {
                    drop(desk);
                    let keys: Vec<PluginKey> = needs.iter().map(|need| need.key.clone()).collect();
                    if !self.load(needs, under_way.wait_for(&keys), &mut loads) || !under_way.is_wanted() {
                        return Err(if self.wishes.is_closed() { Declined::Stopping } else { Declined::Outdated });
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
        sources.fit(&draft.scenario, &|name| self.workshop.offered(name));
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

    /// Loads `needs`, one after the other; `false` if nobody wants one of them any more, as `interests` say.
    fn load(&self, needs: Vec<Need>, interests: Vec<Interest>, loads: &mut Loads) -> bool {
        for (need, interest) in needs.into_iter().zip(interests) {
            match self.workshop.load(&need, &interest) {
                Ok(Some(plugin)) => drop(loads.insert(need.tried(), Ok(plugin))),
                Ok(None) => return false,
                Err(problems) => drop(loads.insert(need.tried(), Err(problems))),
            }
        }
        true
    }

    /// Lets `built` answer, at first perhaps only a share of the requests, and tells everybody; or says in a dry run what it would do.
    fn let_answer(&self, desk: &mut Desk, engine: &Engine, built: Built, change: &Change, terms: &Terms) -> Applied {
        let trial = engine.trial();
        let canary = self.canary_of(desk, &built, change, terms, trial.as_ref().map(|trial| *trial.canary.settings()));
        let Built { generation, made } = built;
        let superseded = trial.map(|trial| trial.running.generation.number);
        let applied = self.applied(
            desk,
            &made,
            change,
            Applied { is_canary: canary.is_some(), dry_run: terms.dry_run, superseded, ..Applied::default() },
        );
        if terms.dry_run {
            return applied;
        }
        if let Some(number) = superseded {
            count_trial("superseded");
            tracing::warn!("generation {number}, which was on trial, gives way to generation {}", made.number);
        }
        self.follow_only(desk, &generation, canary.is_some());
        desk.newest = made.number;
        desk.has_taken(change);
        // Those that were at rest must be warm before anybody asks them.
        made.plugins.iter().for_each(|(_, plugin)| plugin.resume());
        match canary {
            Some(settings) => self.try_out(desk, engine, generation, made, settings, &applied),
            None => self.swap(desk, engine, generation, made, &applied),
        }
        count("applied");
        applied
    }

    /// How `built` is tried first. What builds on a generation on trial, which is tried with the settings `trial`, is tried in the same
    /// way, unless it is what runs already.
    fn canary_of(
        &self,
        desk: &Desk,
        built: &Built,
        change: &Change,
        terms: &Terms,
        trial: Option<CanarySettings>,
    ) -> Option<CanarySettings> {
        let written = built.generation.scenario.canary;
        match (terms.canary, change) {
            (Trying::As(settings), _) => Some(settings),
            (Trying::Not, _) | (_, Change::Rollback { .. }) => None,
            (Trying::AsWritten, _) if !sources::comes_by_itself(change, self.file.as_deref()) => written,
            (Trying::AsWritten, _) => {
                let is_running = desk.running.as_ref().is_some_and(|running| running.digest == built.made.digest);
                written.or(trial.filter(|_| !is_running))
            }
        }
    }

    /// `known` with what `change` to `made` is and does.
    fn applied(&self, desk: &Desk, made: &Made, change: &Change, known: Applied) -> Applied {
        let (summary, places) = desk.running.as_ref().map_or_else(Default::default, |running| difference(running, made));
        let lasts = match change {
            Change::Rollback { .. } => {
                "until the next change, or until one of the scenario's files is saved or the server restarts".to_owned()
            }
            _ => made.sources.last(self.file.as_deref()),
        };
        let replaced = made.sources.sent().into_keys().collect();
        Applied { generation: made.number, cause: cause_of(change), summary, places, lasts, replaced, ..known }
    }

    /// Follows the files of `generation` and no others but, during a trial, those of what runs.
    fn follow_only(&self, desk: &Desk, generation: &Generation, is_canary: bool) {
        let Some(watcher) = self.watcher.get() else { return };
        let running = desk.running.as_ref().filter(|_| is_canary).map(|running| &*running.copy.scenario);
        let scenarios = [Some(&*generation.scenario), running];
        let followed = scenarios.into_iter().flatten().flat_map(|scenario| sources::followed(scenario, &self.workshop));
        watcher.keep(followed.chain(self.file.clone()));
    }

    fn swap(&self, desk: &mut Desk, engine: &Engine, generation: Generation, made: Made, applied: &Applied) {
        let (number, next) = (made.number, engine.prepare(generation));
        let mut record = self.record();
        engine.swap(next);
        record.apply(applied, engine.clock().now(), &engine.running().visits);
        let gone = (desk.trial.take(), run(desk, &mut record, made));
        drop(record);
        drop(gone);
        tracing::info!(generation = number, "reloaded ({}): {}", applied.cause, applied.summary);
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

    fn settle(&self, promote: bool, expected: &[u64]) -> Result<u64, Declined> {
        self.settle_by_hand(promote, expected)
    }

    fn generations(&self) -> Value {
        let Some(engine) = self.engine.get() else { return Value::Null };
        let compiling = self.compiling();
        self.record().generations(engine, &compiling)
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

/// `made` runs from now on, and what ran is kept for a while. What is kept no more comes back, to be dropped when the record is free.
fn run(desk: &mut Desk, record: &mut Record, made: Made) -> Vec<Made> {
    show(record, &made);
    let is_used = |old: &Arc<Plugin>| made.plugins.iter().any(|(_, plugin)| Arc::ptr_eq(plugin, old));
    let resting = desk.running.iter().flat_map(|before| &before.plugins).filter(|(_, plugin)| !is_used(plugin));
    resting.for_each(|(_, plugin)| plugin.rest());
    let before = desk.running.replace(made);
    desk.kept.extend(before);
    let extra = desk.kept.len().saturating_sub(GENERATIONS_KEPT_MAX);
    let gone = desk.kept.drain(..extra).collect();
    record.keep(desk.kept.iter().map(|made| made.number).collect());
    gone
}

fn show(record: &mut Record, made: &Made) {
    metrics::gauge(metrics::PACKS_INSECURE, &[]).set(made.insecure as f64);
    record.run(made.shown());
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
