//! Scenario + catalog → [`Generation`]: the only place that turns names into behaviours. Reports every mistake at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use metrics::Gauge;

use crate::behavior::catalog::{Catalog, Makers, Setting};
use crate::behavior::fault::Fault;
use crate::behavior::latency::Latency;
use crate::behavior::responder::Responder;
use crate::plan::generation::{Alive, Change, Generation, Model, OwnFaults, Slot};
use crate::random::Key;
use crate::scenario::check::{balancer_rules, scaling_rules};
use crate::scenario::source::Source;
use crate::scenario::stations::StationEntry;
use crate::scenario::{BehaviorUse, Draft, Scenario};
use crate::station::autoscaler::Scaler;
use crate::station::balancer::chooser::{Chooser, Choosers};
use crate::station::pipeline::route::{Route, Step};
use crate::types::fields::escape;
use crate::types::problem::{Problem, did_you_mean};

/// What a generation is built with besides its scenario.
pub struct Ingredients<'a> {
    /// Everything that the scenario can name.
    pub catalog: &'a Catalog,
    /// Names that would be in the catalog if they were spelt right: plugins that are loaded only when they are used.
    pub loadable: Vec<&'a str>,
    /// Names of plugins that could not be loaded. Why has been said already, so their uses are passed over.
    pub unloaded: Vec<&'a str>,
    /// The number of the new generation.
    pub number: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Unix time in seconds at which the run began.
    pub epoch_unix_s: u64,
    /// Counts generations alive.
    pub alive: Gauge,
}

/// The names of tiers, and if there are any, the empty one for callers of none.
fn tenants(scenario: &Scenario) -> Vec<String> {
    let nameless = (!scenario.tiers.is_empty()).then(String::new);
    scenario.tiers.iter().map(|tier| tier.name.clone()).chain(nameless).collect()
}

/// Builds a generation. A draft with mistakes is built as far as it goes, to find the others: the error has those and the new ones.
/// All carry absolute pointers.
pub fn build(draft: Draft, with: &Ingredients<'_>) -> Result<Generation, Vec<Problem>> {
    let Draft { scenario, problems } = draft;
    let setting = Setting {
        models: scenario.models.iter().map(|model| model.name.clone()).collect(),
        stages: stage_names(&scenario),
        tenants: tenants(&scenario),
        epoch_unix_s: with.epoch_unix_s,
        ..Setting::default()
    };
    let catalog = with.catalog;
    let source = &scenario.source;
    let mut builder = Builder { setting, source, catalog, loadable: &with.loadable, unloaded: &with.unloaded, problems };
    let mut made = AllMade::default();
    let mut models = Vec::with_capacity(scenario.models.len());
    for entry in &scenario.models {
        let (faults, reply, latency) = builder.slots(&entry.faults, &entry.reply, &entry.latency, &mut made);
        let pipeline = entry.pipeline.as_ref();
        let takes = pipeline.map_or(&[][..], |pipeline| &pipeline.takes);
        let stages = takes.iter().map(|takes| builder.slots(&[], &[], takes, &mut made).2).collect();
        let number = |name: &String| builder.setting.stages.iter().position(|stage| stage == name).unwrap_or(0) as u32;
        let stage_numbers = pipeline.into_iter().flat_map(|pipeline| &pipeline.route.stages).map(number).collect();
        let retried = pipeline.map_or(Vec::new(), |pipeline| retried(&pipeline.route));
        let texts = pipeline.map(|pipeline| pipeline.texts.clone()).unwrap_or_default();
        let incidents = entry.incidents;
        models.push((Model { faults, reply, latency, stages, retried, stage_numbers, texts: Vec::new(), incidents }, texts));
    }
    let mut changes = Vec::with_capacity(scenario.incidents.len());
    for incident in &scenario.incidents {
        let (faults, reply, latency) = builder.slots(&incident.faults, &incident.reply, &incident.latency, &mut made);
        changes.push(Change { name_bits: Key::of_seed(0).named(&incident.name).bits(), faults, reply, latency });
    }
    let (choosers, scalers) = builder.of_stations(&scenario.stations);
    let tokenizer = catalog.tokenizers.get(scenario.tokens.name()).cloned();
    if tokenizer.is_none() {
        builder.problems.push(Problem::new("/tokens", format!("no tokenizer `{}` in this build", scenario.tokens.name())));
    }
    if catalog.json.is_none() {
        builder.problems.push(Problem::new("", "no writer of JSON in this build"));
    }
    let (Some(tokenizer), Some(json), true) = (tokenizer, catalog.json.clone(), builder.problems.is_empty()) else {
        return Err(builder.problems);
    };
    let makes_own = |setting| Arc::new(OwnFaults { makers: catalog.fault.clone(), setting });
    let own_faults = scenario.api.has_overrides.then(|| makes_own(builder.setting.clone()));
    let split = |text: String| {
        let ends = tokenizer.split(&text);
        (Arc::from(text), Arc::from(ends))
    };
    let with_texts = |(model, texts): (Model, Vec<String>)| Model { texts: texts.into_iter().map(split).collect(), ..model };
    let models = models.into_iter().map(with_texts).collect();
    let (style_names, styles) = catalog.styles.iter().map(|(name, style)| (name.clone(), Arc::clone(style))).unzip();
    Ok(Generation {
        number: with.number,
        seed: with.seed,
        scenario: Arc::new(scenario),
        models,
        changes,
        choosers,
        scalers,
        styles,
        style_names,
        tokenizer,
        json,
        own_faults,
        _alive: Alive::begin(with.alive.clone()),
    })
}

/// The stages of `route` that are tried again, and how often, in the order of their steps.
fn retried(route: &Route) -> Vec<(usize, u8)> {
    let stages = route.steps.iter().filter_map(|step| if let Step::Stage(stage) = step { Some(stage) } else { None });
    stages.filter_map(|stage| Some((usize::from(stage.index), stage.retry?.times))).collect()
}

/// The names of all stages, each once, as plugins are told them; the first is the model itself, in a pipeline or not.
fn stage_names(scenario: &Scenario) -> Vec<String> {
    let mut known = HashSet::from(["model"]);
    let mut names = vec!["model".to_owned()];
    let pipelines = scenario.models.iter().filter_map(|model| model.pipeline.as_ref());
    let stages = pipelines.flat_map(|pipeline| &pipeline.route.stages);
    names.extend(stages.filter(|name| known.insert(name)).cloned());
    names
}

struct Builder<'a> {
    setting: Setting,
    source: &'a Source,
    catalog: &'a Catalog,
    loadable: &'a [&'a str],
    unloaded: &'a [&'a str],
    problems: Vec<Problem>,
}

/// Behaviours made so far, by the use that made them: equal uses share one behaviour, and so one pool of instances.
type Made<B> = HashMap<String, Option<Arc<B>>>;

#[derive(Default)]
struct AllMade {
    fault: Made<dyn Fault>,
    responder: Made<dyn Responder>,
    latency: Made<dyn Latency>,
}

type Slots = (Vec<Slot<dyn Fault>>, Vec<Slot<dyn Responder>>, Vec<Slot<dyn Latency>>);

impl Builder<'_> {
    /// The behaviours of an entry or an incident. Those that cannot be made are left out; then there is a problem.
    fn slots(&mut self, faults: &[BehaviorUse], reply: &[BehaviorUse], latency: &[BehaviorUse], made: &mut AllMade) -> Slots {
        let catalog = self.catalog;
        let faults = faults.iter().filter_map(|used| self.slot("fault", &catalog.fault, used, &mut made.fault)).collect();
        let reply = reply.iter().filter_map(|used| self.slot("reply", &catalog.responder, used, &mut made.responder)).collect();
        let latency = latency.iter().filter_map(|used| self.slot("latency", &catalog.latency, used, &mut made.latency)).collect();
        (faults, reply, latency)
    }

    fn slot<B: ?Sized>(&mut self, kind: &str, makers: &Makers<B>, used: &BehaviorUse, made: &mut Made<B>) -> Option<Slot<B>> {
        let primary = self.behaviour(kind, makers, used, made);
        let fallback = match &used.fallback {
            Some(fallback) => Some(self.behaviour(kind, makers, fallback, made)?),
            None => None,
        };
        Some(Slot { name: used.name.clone(), when: used.when.clone(), primary: primary?, fallback })
    }

    /// The plugins that choose between replicas, if there are any, and those that say how many there shall be, by station.
    fn of_stations(&mut self, stations: &[StationEntry]) -> (Option<Choosers>, Vec<Option<Arc<dyn Scaler>>>) {
        let catalog = self.catalog;
        let (mut choosers, mut scalers) = (Made::<dyn Chooser>::default(), Made::<dyn Scaler>::default());
        let chosen: Vec<_> = stations
            .iter()
            .map(|station| self.behaviour("balancer", &catalog.balancer, station.chooser.as_ref()?, &mut choosers))
            .collect();
        let scaled = stations
            .iter()
            .map(|station| self.behaviour("autoscaler", &catalog.autoscaler, station.scaler.as_ref()?, &mut scalers))
            .collect();
        (chosen.iter().any(Option::is_some).then(|| chosen.into()), scaled)
    }

    /// The field of a scenario under which `name` would be known.
    fn section_of(&self, name: &str) -> Option<&'static str> {
        let Catalog { fault, responder, latency, balancer, autoscaler, .. } = self.catalog;
        let known = [
            ("faults", fault.contains_key(name)),
            ("reply", responder.contains_key(name)),
            ("latency", latency.contains_key(name)),
            ("balancer", balancer.contains_key(name)),
            ("autoscale", autoscaler.contains_key(name)),
        ];
        known.into_iter().find_map(|(section, is_known)| is_known.then_some(section))
    }

    fn behaviour<B: ?Sized>(&mut self, kind: &str, makers: &Makers<B>, used: &BehaviorUse, made: &mut Made<B>) -> Option<Arc<B>> {
        let folder = self.source.folder_of(&used.pointer);
        let same = format!("{} {} {}", folder.display(), used.name, used.options);
        if let Some(behaviour) = made.get(&same) {
            return behaviour.clone();
        }
        let Some(maker) = makers.get(&used.name) else {
            if self.unloaded.contains(&used.name.as_str()) {
                return None;
            }
            let own = match kind {
                "balancer" => balancer_rules(),
                "autoscaler" => scaling_rules(),
                _ => &[],
            };
            let known = || makers.keys().map(String::as_str).chain(own.iter().copied());
            let loadable = self.loadable.iter().copied();
            let hint = match (self.section_of(&used.name), did_you_mean(&used.name, known().chain(loadable))) {
                (Some(section), _) => format!("`{}` stands under `{section}`", used.name),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("known: {}", known().collect::<Vec<_>>().join(", ")),
            };
            let problem = Problem::new(&used.pointer, format!("unknown {kind} `{}`", used.name)).hint(hint);
            // With options the name is a key, without any it is the value.
            let is_key = used.pointer.rsplit('/').next() == Some(&*escape(&used.name));
            self.problems.push(if is_key { problem.at_key() } else { problem });
            return None;
        };
        if self.setting.folder != folder {
            self.setting.folder = folder.to_owned();
        }
        let behaviour = match maker.make(&used.options, &self.setting) {
            Ok(behaviour) => Some(behaviour),
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(|problem| problem.under(&used.pointer)));
                None
            }
        };
        made.insert(same, behaviour.clone());
        behaviour
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Generations for tests.

    use std::path::Path;

    use super::*;
    use crate::builtin;
    use crate::scenario::{Scenario, read};

    /// The first generation of a scenario that is right; seed 7, native behaviours and what `add` puts beside them.
    pub(crate) fn generation(scenario: &str, add: impl FnOnce(&mut Catalog)) -> Arc<Generation> {
        changed(scenario, |_| {}, add)
    }

    /// The same with `change` made to the scenario, for what no file can say.
    pub(crate) fn changed(scenario: &str, change: impl FnOnce(&mut Scenario), add: impl FnOnce(&mut Catalog)) -> Arc<Generation> {
        let mut catalog = Catalog::default();
        builtin::register(&mut catalog);
        add(&mut catalog);
        let mut draft = read::parse("test.yaml", scenario, Path::new("")).unwrap_or_else(|refusal| panic!("{refusal}"));
        change(&mut draft.scenario);
        let with = Ingredients {
            catalog: &catalog,
            loadable: Vec::new(),
            unloaded: Vec::new(),
            number: 1,
            seed: 7,
            epoch_unix_s: 0,
            alive: Gauge::noop(),
        };
        Arc::new(build(draft, &with).unwrap_or_else(|problems| panic!("{problems:?}")))
    }
}
