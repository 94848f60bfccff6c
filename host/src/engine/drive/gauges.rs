//! The numbers of all sites as metrics: ours, and for replicas vLLM's, so that dashboards, autoscalers and routers made for vLLM see
//! what they know. A scrape asks the sites; nothing is counted twice while a request takes its steps.
//!
//! Names are those of the scenario. The `model_name` of vLLM's metrics is the first entry whose pipeline goes through the replicas, its
//! `engine` the number of the replica among all of that entry, in the order of the scenario's stations.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ::metrics::{Counter, Gauge, Histogram};

use crate::clock::Nanos;
use crate::engine::drive::Drive;
use crate::plan::generation::Generation;
use crate::station::cache::Counts;
use crate::station::pipeline::route::Step;
use crate::station::pipeline::{Choices, Load, Mark, Settings, Size, Sizes};
use crate::station::{Cause, breaker, replica};
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
    /// The number of its first replica among those of that entry.
    first_engine: u32,
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
        // By entry, how many replicas have a number already.
        let mut engines: HashMap<&str, u32> = HashMap::new();
        let stations = scenario.stations.iter().enumerate().map(|(index, station)| {
            let model = scenario.models.iter().find(|model| goes_through(model, index)).map_or("", |model| &model.name);
            let engines = engines.entry(model).or_default();
            let first_engine = *engines;
            if let Settings::Replicas(group) = &station.settings {
                *engines += group.most();
            }
            StationNames { name: station.name.clone(), model: model.to_owned(), first_engine }
        });
        let stations = stations.collect();
        Self { models: scenario.models.iter().map(model).collect(), stations }
    }

    /// Of each station the entry whose engines its replicas are, and the number of the first of them.
    pub fn engines(&self) -> impl Iterator<Item = (&str, u32)> {
        self.stations.iter().map(|station| (station.model.as_str(), station.first_engine))
    }

    /// The index of the station called `name`.
    pub(super) fn station(&self, name: &str) -> Option<usize> {
        self.stations.iter().position(|station| station.name == name)
    }

    /// The name of the station of this index.
    pub(super) fn station_name(&self, station: usize) -> &str {
        &self.stations[station].name
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
    /// What it does, if it is a breaker.
    pub(super) breaker: Option<breaker::State>,
    /// How often plugins chose between its replicas.
    pub(super) choices: Choices,
    /// How many replicas it has, if that changes.
    pub(super) sizes: Option<Shown>,
    /// Which of its replicas are there; all beyond the list are.
    pub(super) there: Vec<bool>,
}

/// What is shown of a group whose size changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    size: Size,
    wanted: u32,
    ups: u64,
    downs: u64,
}

impl Shown {
    pub(super) fn of(sizes: &Sizes) -> Self {
        Self { size: sizes.now, wanted: sizes.wanted, ups: sizes.ups, downs: sizes.downs }
    }
}

/// The gauges that were ever shown: what a reload took away must go down to 0.
#[derive(Default)]
pub struct Gauges(Mutex<HashMap<Sample, Gauge>>);

/// A metric, and what its two labels say; the second may be missing.
type Sample = (&'static str, [String; 2]);

/// What a gauge shows: a sum, or if there is a whole, its share in that.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    part: f64,
    whole: f64,
}

impl Sum {
    fn shown(self) -> f64 {
        if self.whole > 0.0 { self.part / self.whole } else { self.part }
    }
}

type Sums = BTreeMap<Sample, Sum>;

impl Gauges {
    /// Shows what the sites `drives` are doing at `now`. Those of one name are taken together: streams of an older generation still run.
    pub fn show(&self, drives: &[Arc<Drive>], now: Nanos) {
        let mut sums = Sums::new();
        drives.iter().for_each(|drive| drive.export(now, |names, figures| add_up(&mut sums, names, figures)));
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sample in sums.keys() {
            if !shown.contains_key(sample) {
                shown.insert(sample.clone(), gauge_of(sample));
            }
        }
        shown.iter().for_each(|(sample, gauge)| gauge.set(sums.get(sample).copied().unwrap_or_default().shown()));
    }
}

/// Adds what the stations of one site are doing.
fn add_up(sums: &mut Sums, names: &Names, figures: &Figures) {
    let mut add = |metric, labels: &[String; 2], part: u32, whole: u32| {
        let sum = sums.entry((metric, labels.clone())).or_default();
        (sum.part, sum.whole) = (sum.part + f64::from(part), sum.whole + f64::from(whole));
    };
    for (station, StationFigures { load, replicas, breaker, sizes, there, .. }) in names.stations.iter().zip(figures) {
        let own = [station.name.clone(), String::new()];
        add(metrics::STATION_BUSY, &own, load.running, 0);
        add(metrics::STATION_WAITING, &own, load.waiting, 0);
        let halves = breaker.map(|state| match state {
            breaker::State::Closed => 0,
            breaker::State::HalfOpen => 1,
            breaker::State::Open => 2,
        });
        halves.into_iter().for_each(|halves| add(metrics::BREAKER_OPEN, &own, halves, 2));
        if let Some(Shown { size: Size { ready, starting, draining }, wanted, .. }) = *sizes {
            for (state, count) in [("ready", ready), ("starting", starting), ("draining", draining), ("wanted", wanted)] {
                add(metrics::REPLICAS, &[station.name.clone(), state.to_owned()], count, 0);
            }
        }
        for (index, load) in (0..).zip(replicas) {
            if there.get(index as usize) == Some(&false) {
                continue;
            }
            let [ours, theirs] = station.labels(index);
            for (labels, running, waiting, kv) in [
                (ours, metrics::REPLICA_RUNNING, metrics::REPLICA_WAITING, metrics::REPLICA_KV),
                (theirs, metrics::VLLM_RUNNING, metrics::VLLM_WAITING, metrics::VLLM_KV),
            ] {
                add(running, &labels, load.running, 0);
                add(waiting, &labels, load.waiting, 0);
                add(kv, &labels, load.kv_used, load.kv_blocks);
            }
        }
    }
}

impl StationNames {
    /// What the two labels of our metrics of the replica `index` say, and of vLLM's.
    fn labels(&self, index: u32) -> [[String; 2]; 2] {
        [[self.name.clone(), index.to_string()], [self.model.clone(), (self.first_engine + index).to_string()]]
    }
}

fn gauge_of((metric, [first, second]): &Sample) -> Gauge {
    match *metric {
        metrics::STATION_BUSY | metrics::STATION_WAITING | metrics::BREAKER_OPEN => metrics::gauge(metric, &[("station", first)]),
        metrics::REPLICAS => metrics::gauge(metric, &[("station", first), ("state", second)]),
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
        count_changes(station, figures, exported);
        exported.replicas.resize_with(figures.replicas.len(), replica::Load::default);
        for (index, (load, before)) in (0..).zip(figures.replicas.iter().zip(&mut exported.replicas)) {
            let [[name, replica], [model, engine]] = station.labels(index);
            let ours = |metric| metrics::counter(metric, &[("station", &name), ("replica", &replica)]);
            let theirs = |metric| metrics::counter(metric, &[("model_name", &model), ("engine", &engine)]);
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

/// The same of what plugins chose and of how a group changed.
fn count_changes(station: &StationNames, figures: &StationFigures, exported: &mut StationFigures) {
    let fell_back = figures.choices.fell_back.saturating_sub(exported.choices.fell_back);
    if fell_back > 0 {
        metrics::counter(metrics::FALLBACKS, &[("model", &station.model), ("behaviour", "balancer")]).increment(fell_back);
    }
    exported.choices = figures.choices;
    let Some(sizes) = figures.sizes else { return };
    let before = exported.sizes.replace(sizes).unwrap_or_default();
    for (way, now, before) in [("up", sizes.ups, before.ups), ("down", sizes.downs, before.downs)] {
        let counter = metrics::counter(metrics::SCALINGS, &[("station", &station.name), ("direction", way)]);
        counter.increment(now.saturating_sub(before));
    }
}

fn seconds(ns: Nanos) -> f64 {
    ns as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build::testing::generation;

    /// What vLLM's gauges show of sites whose stations have so many replicas, each with blocks in use and blocks.
    fn shown(scenario: &str, sites: &[&[(u32, u32, u32)]]) -> Vec<(&'static str, String, String, f64)> {
        let names = Names::of(&generation(scenario, |_| {}));
        let mut sums = Sums::new();
        for site in sites {
            let of = |&(count, kv_used, kv_blocks): &(u32, u32, u32)| {
                let load = replica::Load { running: 1, kv_used, kv_blocks, ..replica::Load::default() };
                StationFigures { replicas: vec![load; count as usize], ..StationFigures::default() }
            };
            add_up(&mut sums, &names, &site.iter().map(of).collect());
        }
        let theirs = sums.into_iter().filter(|((metric, _), _)| [metrics::VLLM_RUNNING, metrics::VLLM_KV].contains(metric));
        theirs.map(|((metric, [model, engine]), sum)| (metric, model, engine, sum.shown())).collect()
    }

    const TWO_GROUPS: &str = "
simwright: 1
stations:
  primary: { replicas: { preset: llama-3.1-8b-h100, count: 2, queue: 1 } }
  secondary: { replicas: { preset: llama-3.1-8b-h100 } }
models: [{ match: m, pipeline: [{ first-of: [{ a: { through: primary } }, { b: { through: secondary } }] }] }]
";

    #[test]
    fn engines_are_numbered_through_all_groups_of_an_entry() {
        let found = shown(TWO_GROUPS, &[&[(2, 50, 100), (1, 25, 100)]]);
        let of = |metric, engine: &str, value| (metric, "m".to_owned(), engine.to_owned(), value);
        let kv = [("0", 0.5), ("1", 0.5), ("2", 0.25)].map(|(engine, value)| of(metrics::VLLM_KV, engine, value));
        let running = ["0", "1", "2"].map(|engine| of(metrics::VLLM_RUNNING, engine, 1.0));
        assert_eq!(found, [kv, running].concat());
    }

    #[test]
    fn a_share_over_an_old_and_a_new_site_is_that_of_all_their_blocks() {
        let found = shown(TWO_GROUPS, &[&[(1, 80, 100), (1, 0, 100)], &[(1, 100, 200), (1, 0, 100)]]);
        let first = |metric| found.iter().find(|(name, _, engine, _)| *name == metric && engine == "0").map(|found| found.3);
        assert_eq!((first(metrics::VLLM_KV), first(metrics::VLLM_RUNNING)), (Some(180.0 / 300.0), Some(2.0)));
    }
}
