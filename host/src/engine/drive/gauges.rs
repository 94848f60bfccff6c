//! The numbers of all sites as metrics: ours, and for replicas vLLM's, so that dashboards, autoscalers and routers made for vLLM see
//! what they know. A scrape asks the sites; nothing is counted twice while a request takes its steps.
//!
//! Names are those of the scenario. The `model_name` of vLLM's metrics is the first entry whose pipeline goes through the replicas, its
//! `engine` the number of the replica.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ::metrics::{Counter, Gauge, Histogram};

use crate::clock::Nanos;
use crate::engine::drive::Drive;
use crate::plan::generation::Generation;
use crate::station::cache::Counts;
use crate::station::pipeline::route::Step;
use crate::station::pipeline::{Load, Mark};
use crate::station::{Cause, replica};
use crate::telemetry::metrics;

/// What the metrics of a site are called, by the indices that the site has.
pub struct Names {
    models: Vec<ModelNames>,
    stations: Vec<StationNames>,
}

struct ModelNames {
    name: String,
    stages: Vec<String>,
    measures: Mutex<HashMap<u16, StageMeasure>>,
}

#[derive(Clone)]
struct StageMeasure {
    time: Histogram,
    wait: Histogram,
}

struct StationNames {
    name: String,
    /// The first entry that goes through it.
    model: String,
}

impl Names {
    /// The names of the site of `generation`.
    pub fn of(generation: &Generation) -> Self {
        let scenario = &generation.scenario;
        let model = |model: &crate::scenario::ModelEntry| ModelNames {
            name: model.name.clone(),
            stages: model.pipeline.as_ref().map(|pipeline| pipeline.route.stages.clone()).unwrap_or_default(),
            measures: Mutex::default(),
        };
        let goes_through = |model: &crate::scenario::ModelEntry, station: usize| {
            let steps = model.pipeline.iter().flat_map(|pipeline| &pipeline.route.steps);
            steps.into_iter().any(|step| matches!(step, Step::Stage(stage) if stage.through == Some(station as u16)))
        };
        let stations = scenario.stations.iter().enumerate().map(|(index, station)| StationNames {
            name: station.name.clone(),
            model: scenario.models.iter().find(|model| goes_through(model, index)).map_or("", |model| &model.name).to_owned(),
        });
        Self { models: scenario.models.iter().map(model).collect(), stations: stations.collect() }
    }

    /// The index of the station called `name`.
    pub(super) fn station(&self, name: &str) -> Option<usize> {
        self.stations.iter().position(|station| station.name == name)
    }

    /// How many stations there are.
    pub(super) fn stations(&self) -> usize {
        self.stations.len()
    }

    /// The names of the stages of the entry `model`.
    pub fn stages(&self, model: usize) -> &[String] {
        &self.models[model].stages
    }

    /// Counts what the stages did to a request of the entry `model`, and why it was turned away, if it was.
    pub(super) fn count(&self, model: usize, marks: &[Mark], refused: Option<Cause>) {
        let model = &self.models[model];
        let mut measures = model.measures.lock().unwrap_or_else(PoisonError::into_inner);
        for mark in marks {
            let measure = measures.entry(mark.stage).or_insert_with(|| {
                let labels = [("model", model.name.as_str()), ("stage", model.stages[usize::from(mark.stage)].as_str())];
                let of = |name| metrics::histogram(name, &labels);
                StageMeasure { time: of(metrics::STAGE_TIME), wait: of(metrics::STAGE_WAIT) }
            });
            measure.time.record(seconds(mark.left.saturating_sub(mark.entered)));
            measure.wait.record(seconds(mark.begun.unwrap_or(mark.left).saturating_sub(mark.entered)));
        }
        if let Some(cause) = refused {
            metrics::counter(metrics::STATION_REFUSALS, &[("model", &model.name), ("cause", cause.name())]).increment(1);
        }
    }
}

/// What the stations of one site are doing and have done, by station.
pub(super) type Figures = Vec<StationFigures>;

/// What one station is doing and has done.
#[derive(Default)]
pub(super) struct StationFigures {
    pub(super) load: Load,
    /// Those of its replicas.
    pub(super) replicas: Vec<replica::Load>,
    /// What was found in it, if it is a cache.
    pub(super) cache: Counts,
    /// How often it opened, if it is a breaker.
    pub(super) opened: u64,
}

/// The gauges that were ever shown: what a reload took away must go down to 0.
#[derive(Default)]
pub struct Gauges(Mutex<HashMap<Sample, Gauge>>);

/// A metric, and what its two labels say; the second may be missing.
type Sample = (&'static str, [String; 2]);

impl Gauges {
    /// Shows what the sites `drives` are doing at `now`. Those of one name are added up: streams of an older generation still run.
    pub fn show(&self, drives: &[Arc<Drive>], now: Nanos) {
        let mut sums: BTreeMap<Sample, f64> = BTreeMap::new();
        for drive in drives {
            drive.export(now, |names, figures| {
                for (station, StationFigures { load, replicas, .. }) in names.stations.iter().zip(figures) {
                    let mut add = |metric, labels, value: f64| *sums.entry((metric, labels)).or_default() += value;
                    let own = || [station.name.clone(), String::new()];
                    add(metrics::STATION_BUSY, own(), load.running.into());
                    add(metrics::STATION_WAITING, own(), load.waiting.into());
                    for (index, load) in replicas.iter().enumerate() {
                        let (ours, theirs) =
                            ([station.name.clone(), index.to_string()], [station.model.clone(), index.to_string()]);
                        let used = f64::from(load.kv_used) / f64::from(load.kv_blocks.max(1));
                        for (labels, running, waiting, kv) in [
                            (ours, metrics::REPLICA_RUNNING, metrics::REPLICA_WAITING, metrics::REPLICA_KV),
                            (theirs, metrics::VLLM_RUNNING, metrics::VLLM_WAITING, metrics::VLLM_KV),
                        ] {
                            add(running, labels.clone(), load.running.into());
                            add(waiting, labels.clone(), load.waiting.into());
                            add(kv, labels, used);
                        }
                    }
                }
            });
        }
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sample in sums.keys() {
            if !shown.contains_key(sample) {
                shown.insert(sample.clone(), gauge_of(sample));
            }
        }
        shown.iter().for_each(|(sample, gauge)| gauge.set(sums.get(sample).copied().unwrap_or(0.0)));
    }
}

fn gauge_of((metric, [first, second]): &Sample) -> Gauge {
    match *metric {
        metrics::STATION_BUSY | metrics::STATION_WAITING => metrics::gauge(metric, &[("station", first)]),
        metrics::VLLM_RUNNING | metrics::VLLM_WAITING | metrics::VLLM_KV => {
            metrics::gauge(metric, &[("model_name", first), ("engine", second)])
        }
        _ => metrics::gauge(metric, &[("station", first), ("replica", second)]),
    }
}

/// Adds to the counters what stations have done since `exported`.
pub(super) fn count(names: &Names, figures: &Figures, exported: &mut Figures) {
    exported.resize_with(figures.len(), StationFigures::default);
    for ((station, figures), exported) in names.stations.iter().zip(figures).zip(exported) {
        count_alone(station, figures, exported);
        exported.replicas.resize_with(figures.replicas.len(), replica::Load::default);
        for (index, (load, before)) in figures.replicas.iter().zip(&mut exported.replicas).enumerate() {
            let index = index.to_string();
            let ours = |name| metrics::counter(name, &[("station", &station.name), ("replica", &index)]);
            let theirs = |name| metrics::counter(name, &[("model_name", &station.model), ("engine", &index)]);
            let add = |counter: Counter, now: u64, before: u64| counter.increment(now.saturating_sub(before));
            for (asked, hit, preemptions) in [
                (ours(metrics::REPLICA_PREFIX_ASKED), ours(metrics::REPLICA_PREFIX_HIT), ours(metrics::REPLICA_PREEMPTIONS)),
                (theirs(metrics::VLLM_PREFIX_ASKED), theirs(metrics::VLLM_PREFIX_HIT), theirs(metrics::VLLM_PREEMPTIONS)),
            ] {
                add(asked, load.prefix_asked, before.prefix_asked);
                add(hit, load.prefix_hit, before.prefix_hit);
                add(preemptions, load.preemptions, before.preemptions);
            }
            add(ours(metrics::REPLICA_STEPS), load.steps, before.steps);
            *before = *load;
        }
    }
}

/// The same of caches and breakers. What never happened is shown by nobody.
fn count_alone(station: &StationNames, figures: &StationFigures, exported: &mut StationFigures) {
    let add = |name, level: Option<usize>, now: u64, before: u64| {
        if now > 0 {
            let level = level.map(|level| (level + 1).to_string());
            let level = level.as_deref().map(|level| ("level", level));
            let labels: Vec<_> = [("station", station.name.as_str())].into_iter().chain(level).collect();
            metrics::counter(name, &labels).increment(now.saturating_sub(before));
        }
    };
    exported.cache.hits.resize(figures.cache.hits.len(), 0);
    for (level, (now, before)) in figures.cache.hits.iter().zip(&exported.cache.hits).enumerate() {
        add(metrics::CACHE_HITS, Some(level), *now, *before);
    }
    add(metrics::CACHE_MISSES, None, figures.cache.misses, exported.cache.misses);
    add(metrics::CACHE_EVICTED, None, figures.cache.evicted, exported.cache.evicted);
    add(metrics::BREAKER_OPENED, None, figures.opened, exported.opened);
    (exported.cache, exported.opened) = (figures.cache.clone(), figures.opened);
}

fn seconds(ns: Nanos) -> f64 {
    ns as f64 * 1e-9
}
