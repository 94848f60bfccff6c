//! What a run comes to, for people and programs.

use serde_json::{Map, Value, json};

use crate::clock::Nanos;
use crate::fleet::cost::Cost;
use crate::fleet::measure::Attempts;
use crate::fleet::{Fleet, audit, groups};
use crate::report::{ModelFigures, Verdict, judge, time, times_json};
use crate::scenario::Scenario;
use crate::station::Cause;
use crate::station::cache::Counts;
use crate::station::pipeline::flow::Flow;
use crate::station::pipeline::route::Step;
use crate::station::pipeline::{Choices, Settings, Site, Sizes};
use crate::station::replica::Load;
use crate::stats::histogram::Snapshot;

/// The version of the JSON that [`Report::json`] gives. It grows by one when a field changes its meaning or goes away, and not when one is
/// added.
pub const FORMAT: u32 = 1;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nothing was left to do.
    Over,
    /// So many events were allowed.
    Events(u64),
}

/// What a run comes to.
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of all draws.
    pub seed: u64,
    /// Why it ended.
    pub stopped: Stop,
    /// How long it was, in nanoseconds of virtual time.
    pub virtual_ns: Nanos,
    /// How long it took, in nanoseconds; whoever has a clock says so.
    pub wall_ns: Option<u64>,
    /// Changes of state.
    pub events: u64,
    /// A number that follows from every event and its time: equal for equal runs.
    pub digest: u64,
    /// Requests, retries not counted.
    pub requests: u64,
    /// Attempts by how they ended.
    pub attempts: Attempts,
    /// Attempts that were under way when it ended.
    pub in_flight: u64,
    /// Tokens of prompts, and of replies as far as they left.
    pub tokens: (u64, u64),
    /// What it costs, if the scenario has prices.
    pub cost: Option<Cost>,
    /// All models together.
    pub total: ModelFigures,
    /// What was waited, of all models together.
    pub waited: Snapshot,
    /// From a request's first attempt to its whole reply.
    pub answered: Snapshot,
    /// Refused attempts by the word for the cause, or by `status 503` if a plan refused them; in the order of causes.
    pub refused: Vec<(String, u64)>,
    /// What passed each stage.
    pub stages: Vec<Stage>,
    /// How busy each station was.
    pub stations: Vec<Station>,
    /// The criteria, judged.
    pub verdict: Verdict,
    /// Why a recording ended before its end, if one did: the run is not the one that was asked for.
    pub trouble: Option<String>,
    /// What must hold and does not: mistakes of the program. Empty if all is well.
    pub broken: Vec<String>,
}

/// What passed one stage of a model's pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The model entry.
    pub model: String,
    /// The stage.
    pub name: String,
    /// The station that it goes through, by its index in the scenario.
    pub station: Option<usize>,
    /// What passed.
    pub flow: Flow,
}

/// How busy a station was.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    /// Its name.
    pub name: String,
    /// The share of its servers' time that was used, 0 to 1; of replicas the time in steps, of pools the connections held. `None` for
    /// stations that have no servers.
    pub utilisation: Option<f64>,
    /// The sum over its replicas.
    pub replicas: Option<Load>,
    /// What was found in it and what was not, if it is a cache.
    pub cache: Option<Counts>,
    /// How often it opened, if it is a breaker.
    pub opened: Option<u64>,
    /// How many replicas it had, if that changes.
    pub sizes: Option<Sizes>,
    /// How often plugins chose between its replicas.
    pub choices: Choices,
}

impl Report {
    pub(super) fn of(
        fleet: Fleet,
        in_flight: u64,
        stages: Vec<Stage>,
        stations: Vec<Station>,
        (events, digest): (u64, u64),
    ) -> Self {
        let mut fleet = fleet;
        let broken = audit::audit(&mut fleet, in_flight);
        let measure = &fleet.measure;
        let figures = measure.figures();
        let total = figures.of(None);
        let mut waited = Snapshot::fine();
        measure.models.iter().for_each(|model| waited.merge(&model.waited));
        let causes = Cause::ALL.iter().map(|cause| (cause.name().to_owned(), measure.refused[*cause as usize]));
        let planned = measure.refused_by_plan.iter().map(|(status, count)| (format!("status {status}"), *count));
        Self {
            scenario: fleet.generation.scenario.name.clone(),
            seed: fleet.generation.seed,
            stopped: fleet.stopped,
            virtual_ns: fleet.now,
            wall_ns: None,
            events,
            digest,
            requests: fleet.traffic.begun(),
            attempts: measure.attempts,
            in_flight,
            tokens: (measure.models.iter().map(|model| model.input_tokens).sum(), total.output_tokens),
            cost: Cost::of(&fleet.generation.scenario, measure, &stations, fleet.now),
            total,
            waited,
            answered: measure.answered.clone(),
            refused: causes.chain(planned).filter(|(_, count)| *count > 0).collect(),
            stages,
            stations,
            verdict: judge(&fleet.generation.scenario.criteria, figures),
            trouble: fleet.traffic.trouble().map(str::to_owned),
            broken,
        }
    }

    pub(super) fn stages(scenario: &Scenario, site: &mut Site, now: Nanos) -> Vec<Stage> {
        let station = |model: usize, index: usize| {
            let steps = scenario.models[model].pipeline.iter().flat_map(|pipeline| &pipeline.route.steps);
            let mut stages = steps.filter_map(|step| if let Step::Stage(stage) = step { Some(stage) } else { None });
            stages.find(|stage| usize::from(stage.index) == index)?.through.map(usize::from)
        };
        let mut stages: Vec<Stage> = Vec::new();
        let mut before = (usize::MAX, 0);
        for (model, name, flow) in site.flows(now) {
            let index = if before.0 == model { before.1 + 1 } else { 0 };
            before = (model, index);
            let (model_name, name) = (scenario.models[model].name.clone(), name.to_owned());
            stages.push(Stage { model: model_name, name, station: station(model, index), flow: *flow });
        }
        stages
    }

    pub(super) fn stations(scenario: &Scenario, site: &mut Site, stages: &[Stage], now: Nanos) -> Vec<Station> {
        let entries = scenario.stations.iter().enumerate();
        entries
            .map(|(index, entry)| {
                let mut utilisation = None;
                let mut replicas = None;
                let sizes = site.sizes(now, index).cloned();
                if let Settings::Pool(pool) = &entry.settings {
                    let through = stages.iter().filter(|stage| stage.station == Some(index));
                    let held: u128 = through.map(|stage| stage.flow.inside_area - stage.flow.waiting_area).sum();
                    utilisation = share(held, u128::from(now) * u128::from(pool.size));
                }
                if let Settings::Replicas(_) = &entry.settings {
                    let sum = site.replicas(index).fold(Load::default(), Load::and);
                    let all = || u128::from(now) * site.replicas(index).count() as u128;
                    let there = sizes.as_ref().map_or_else(all, |sizes| sizes.areas[0] + sizes.areas[2]);
                    utilisation = share(u128::from(sum.busy_ns), there);
                    replicas = Some(sum);
                }
                let (cache, opened) = (site.cache(index).map(|cache| cache.counts().clone()), site.opened(index));
                let choices = site.choices(index);
                Station { name: entry.name.clone(), utilisation, replicas, cache, opened, sizes, choices }
            })
            .collect()
    }

    /// Did everything hold that must, so that the figures can be believed?
    pub fn is_sound(&self) -> bool {
        self.broken.is_empty()
    }

    /// For programs: stable within [`FORMAT`]. All of it but `wall_s` and what is counted per wall second is equal for equal runs.
    pub fn json(&self) -> Value {
        let Attempts { came, retries, whole, refused, broken, abandoned, given_up } = self.attempts;
        let wall_s = self.wall_ns.map(|ns| ns as f64 * 1e-9);
        let stage = |stage: &Stage| {
            let Flow { entered, passed, failed, inside, waiting_max, .. } = stage.flow;
            json!({
                "model": stage.model, "stage": stage.name, "entered": entered, "passed": passed, "failed": failed,
                "inside": inside, "inside_mean": self.mean_over_time(stage.flow.inside_area),
                "waiting_mean": self.mean_over_time(stage.flow.waiting_area), "waiting_max": waiting_max,
                "wait_mean_s": mean_s(stage.flow.waited_ns, entered - u64::from(stage.flow.waiting)),
                "stay_mean_s": mean_s(stage.flow.stayed_ns, passed + failed),
            })
        };
        let station = |station: &Station| {
            let replicas = station.replicas.as_ref().map(|load| {
                json!({
                    "steps": load.steps, "busy_s": load.busy_ns as f64 * 1e-9, "finished": load.finished,
                    "prefill_tokens": load.prefill_tokens, "output_tokens": load.output_tokens,
                    "preemptions": load.preemptions, "prefix_asked": load.prefix_asked, "prefix_hit": load.prefix_hit,
                })
            });
            let cache = station.cache.as_ref().map(|counts| {
                json!({
                    "asked": counts.asked(), "hits": counts.hits, "evicted": counts.evicted, "expired": counts.expired,
                    "too_large": counts.too_large,
                })
            });
            json!({
                "station": station.name, "utilisation": station.utilisation, "replicas": replicas, "cache": cache,
                "opened": station.opened,
                "sizes": station.sizes.as_ref().map(|sizes| groups::sizes_json(sizes, self.virtual_ns)),
                "chosen": groups::choices_json(station.choices),
            })
        };
        json!({
            "format": FORMAT, "scenario": self.scenario, "seed": self.seed, "digest": format!("{:016x}", self.digest),
            "stopped": match self.stopped { Stop::Over => "over", Stop::Events(_) => "events" },
            "virtual_s": self.virtual_ns as f64 * 1e-9, "wall_s": wall_s, "events": self.events,
            "requests": self.requests,
            "attempts": {
                "came": came, "retries": retries, "whole": whole, "refused": refused, "broken": broken, "abandoned": abandoned,
                "in_flight": self.in_flight, "given_up": given_up,
            },
            "tokens": { "input": self.tokens.0, "output": self.tokens.1 },
            "cost": self.cost.as_ref().map(Cost::json),
            "refused": self.refused.iter().map(|(cause, count)| (cause.clone(), Value::from(*count))).collect::<Map<_, _>>(),
            "waited": times_json(&self.waited), "answered": times_json(&self.answered),
            "stages": self.stages.iter().map(stage).collect::<Vec<_>>(),
            "stations": self.stations.iter().map(station).collect::<Vec<_>>(),
            "verdict": self.verdict.json(), "trouble": self.trouble, "broken_invariants": self.broken,
        })
    }

    fn mean_over_time(&self, area: u128) -> Option<f64> {
        share(area, u128::from(self.virtual_ns))
    }

    /// For people.
    pub fn text(&self) -> String {
        let seconds = self.virtual_ns as f64 * 1e-9;
        let per_second = |count: u64| if seconds > 0.0 { format!("{:.2}/s", count as f64 / seconds) } else { "-".to_owned() };
        let Attempts { retries, whole, refused, broken, abandoned, .. } = self.attempts;
        let mut lines = vec![
            format!("scenario   {}, seed {}, digest {:016x}", self.scenario, self.seed, self.digest),
            format!("virtual    {}", duration(self.virtual_ns)),
            format!("requests   {}, {}", self.requests, per_second(self.requests)),
            format!(
                "attempts   {} whole, {refused} refused, {broken} broken, {abandoned} abandoned, {} under way; {retries} retries",
                whole, self.in_flight
            ),
            format!(
                "tokens     {} in, {} out, {} and {}",
                self.tokens.0,
                self.tokens.1,
                per_second(self.tokens.0),
                per_second(self.tokens.1)
            ),
            format!("events     {}", self.events),
        ];
        lines.extend(self.trouble.iter().map(|trouble| format!("trouble    {trouble}")));
        lines.extend(self.cost.map(|cost| format!("cost       {}", cost.text())));
        if let Some(wall_ns) = self.wall_ns {
            let wall = wall_ns.max(1) as f64 * 1e-9;
            lines.push(format!(
                "wall       {}, {:.0} times as fast, {:.0} events/s, {:.0} requests/s, {:.0} tokens/s",
                duration(wall_ns),
                seconds / wall,
                self.events as f64 / wall,
                self.requests as f64 / wall,
                self.tokens.1 as f64 / wall
            ));
        }
        lines.push(String::new());
        lines.extend(self.times_table());
        lines.extend(self.stages_table());
        lines.extend(self.stations_table());
        lines.extend(groups::table(&self.stations, self.virtual_ns));
        lines.extend(self.caches_table());
        let breakers = self.stations.iter().filter_map(|station| Some((&station.name, station.opened?)));
        let breakers: Vec<_> = breakers.map(|(name, opened)| format!("opened     {name:<16}{opened:>10}")).collect();
        if !breakers.is_empty() {
            lines.push(String::new());
            lines.extend(breakers);
        }
        if !self.refused.is_empty() {
            lines.push(String::new());
            lines.extend(self.refused.iter().map(|(cause, count)| format!("refused    {cause:<16}{count:>10}")));
        }
        lines.join("\n")
    }

    fn times_table(&self) -> Vec<String> {
        let mut lines = vec![format!("{:<11}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "mean", "p50", "p90", "p99", "max")];
        let rows = [
            ("ttft", &self.total.first_token),
            ("gap", &self.total.gap),
            ("waited", &self.waited),
            ("duration", &self.total.duration),
            ("answered", &self.answered),
        ];
        for (name, times) in rows {
            let Some(mean) = times.mean() else { continue };
            let quantile = |share: f64| time(times.quantile(share) as f64);
            let (p50, p90, p99) = (quantile(0.5), quantile(0.9), quantile(0.99));
            let max = time(times.max().unwrap_or(0) as f64);
            lines.push(format!("{name:<11}{:>10}{p50:>10}{p90:>10}{p99:>10}{max:>10}", time(mean)));
        }
        lines
    }

    fn stages_table(&self) -> Vec<String> {
        if self.stages.is_empty() {
            return Vec::new();
        }
        let name = |stage: &Stage| format!("{}/{}", stage.model, stage.name);
        let width = self.stages.iter().map(|stage| name(stage).chars().count()).max().unwrap_or(0).max(5) + 2;
        let head = ["entered", "failed", "waiting", "inside", "wait", "stay"].map(|word| format!("{word:>10}")).concat();
        let mut lines = vec![String::new(), format!("{:<width$}{head}", "stage")];
        for stage in &self.stages {
            let flow = &stage.flow;
            let mean = |area| self.mean_over_time(area).map_or("-".to_owned(), |mean| format!("{mean:.3}"));
            let of = |sum, count| mean_s(sum, count).map_or("-".to_owned(), |mean| time(mean * 1e9));
            lines.push(format!(
                "{:<width$}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
                name(stage),
                flow.entered,
                flow.failed,
                mean(flow.waiting_area),
                mean(flow.inside_area),
                of(flow.waited_ns, flow.entered - u64::from(flow.waiting)),
                of(flow.stayed_ns, flow.passed + flow.failed),
            ));
        }
        lines
    }

    fn caches_table(&self) -> Vec<String> {
        let caches: Vec<_> = self.stations.iter().filter_map(|station| Some((&station.name, station.cache.as_ref()?))).collect();
        let Some(width) = caches.iter().map(|(name, _)| name.chars().count().max(5) + 2).max() else { return Vec::new() };
        let head = ["asked", "hit", "evicted", "expired", "too large"].map(|word| format!("{word:>12}")).concat();
        let mut lines = vec![String::new(), format!("{:<width$}{head}", "cache")];
        for (name, counts) in caches {
            let hit =
                share(counts.found().into(), counts.asked().into()).map_or("-".to_owned(), |hit| format!("{:.1}%", hit * 100.0));
            let row = [counts.asked().to_string(), hit, counts.evicted.to_string(), counts.expired.to_string()];
            let row = row.map(|cell| format!("{cell:>12}")).concat();
            lines.push(format!("{name:<width$}{row}{:>12}", counts.too_large));
        }
        lines
    }

    fn stations_table(&self) -> Vec<String> {
        if self.stations.is_empty() {
            return Vec::new();
        }
        let width = self.stations.iter().map(|station| station.name.chars().count()).max().unwrap_or(0).max(7) + 2;
        let head = ["used", "steps", "preempted", "prefix hit"].map(|word| format!("{word:>12}")).concat();
        let mut lines = vec![String::new(), format!("{:<width$}{head}", "station")];
        for station in &self.stations {
            let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0));
            let of = |value: fn(&Load) -> u64| station.replicas.as_ref().map_or("-".to_owned(), |load| value(load).to_string());
            let hit = station.replicas.and_then(|load| share(load.prefix_hit.into(), load.prefix_asked.into()));
            lines.push(format!(
                "{:<width$}{:>12}{:>12}{:>12}{:>12}",
                station.name,
                percent(station.utilisation),
                of(|load| load.steps),
                of(|load| load.preemptions),
                percent(hit),
            ));
        }
        lines
    }
}

/// A part of a whole; `None` if that is nothing.
fn share(part: u128, whole: u128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean_s(sum_ns: u128, count: u64) -> Option<f64> {
    share(sum_ns, count.into()).map(|ns| ns * 1e-9)
}

/// A long time for people.
fn duration(ns: u64) -> String {
    if ns >= 100_000_000_000 { format!("{:.0}s", ns as f64 * 1e-9) } else { time(ns as f64) }
}
