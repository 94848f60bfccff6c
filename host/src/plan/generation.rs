//! The running set: one immutable scenario with its behaviours made and warm, swapped whole on reload.

use std::sync::Arc;

use metrics::Gauge;

use crate::behavior::catalog::{Makers, Setting};
use crate::behavior::fault::Fault;
use crate::behavior::latency::Latency;
use crate::behavior::responder::Responder;
use crate::behavior::tokenizer::Tokenizer;
use crate::behavior::writer::{JsonWriter, TextWriter};
use crate::random::Key;
use crate::scenario::check::{one_fault, told};
use crate::scenario::when::When;
use crate::scenario::{IncidentSet, ModelEntry, Scenario};
use crate::station::autoscaler::{Asked, Scaler};
use crate::station::balancer::chooser::Choosers;
use crate::station::pipeline::Site;
use crate::types::problem::did_you_mean;

/// One immutable set of scenario and behaviours. Requests hold the one they began with.
pub struct Generation {
    /// 1 for the first of a run, then one more with each change.
    pub number: u64,
    /// Seed of all draws.
    pub seed: u64,
    /// The scenario it was built from.
    pub scenario: Arc<Scenario>,
    /// One a model entry, in the scenario's order.
    pub models: Vec<Model>,
    /// One an incident, in the scenario's order.
    pub changes: Vec<Change>,
    /// What chooses between replicas, by station; `None` if no station has such a plugin.
    pub choosers: Option<Choosers>,
    /// Plugins that say how many replicas there shall be, by station.
    pub scalers: Vec<Option<Arc<dyn Scaler>>>,
    /// Styles of text, by the index that segments carry.
    pub styles: Vec<Arc<dyn TextWriter>>,
    /// The styles' names, by the same index; the first is the default.
    pub style_names: Vec<String>,
    /// Counts and splits texts.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// Writes JSON that fits a schema.
    pub json: Arc<dyn JsonWriter>,
    /// Makes the faults that requests bring in their headers; `None` where they may not.
    pub own_faults: Option<Arc<OwnFaults>>,
    pub(crate) _alive: Alive,
}

/// What faults of requests are made with.
pub struct OwnFaults {
    /// Every fault that there is.
    pub makers: Makers<dyn Fault>,
    /// What each is told.
    pub setting: Setting,
}

/// The behaviours of one model entry.
#[derive(Clone)]
pub struct Model {
    /// Asked in order until one does not pass.
    pub faults: Vec<Slot<dyn Fault>>,
    /// Decides the answer: the first whose conditions hold.
    pub reply: Vec<Slot<dyn Responder>>,
    /// Decides when it leaves: the first whose conditions hold.
    pub latency: Vec<Slot<dyn Latency>>,
    /// What each stage of its pipeline takes; the first whose conditions hold.
    pub stages: Vec<Vec<Slot<dyn Latency>>>,
    /// The stages that are tried again, in the order of their steps, and how often; each time takes its own time.
    pub retried: Vec<(usize, u8)>,
    /// The number by which plugins know each stage: index in the names that they are told.
    pub stage_numbers: Arc<[u32]>,
    /// Texts that stages answer with, and where their tokens end.
    pub texts: Vec<(Arc<str>, Arc<[u32]>)>,
    /// The incidents that concern it.
    pub incidents: IncidentSet,
}

/// The behaviours of one incident, the same for every model that it concerns.
#[derive(Clone)]
pub struct Change {
    /// What its draws are keyed by, so that they do not move when another incident is written above it.
    pub name_bits: u64,
    /// Asked before the model's own.
    pub faults: Vec<Slot<dyn Fault>>,
    /// Asked in place of the model's own, if its conditions hold.
    pub reply: Vec<Slot<dyn Responder>>,
    /// Asked in place of the model's own, if its conditions hold.
    pub latency: Vec<Slot<dyn Latency>>,
}

/// A behaviour in use, with what takes its place when it fails.
pub struct Slot<B: ?Sized> {
    /// Its name in the scenario.
    pub name: String,
    /// When it counts; without conditions always.
    pub when: Option<Arc<When>>,
    /// The behaviour.
    pub primary: Arc<B>,
    /// What takes its place.
    pub fallback: Option<Arc<B>>,
}

impl<B: ?Sized> Clone for Slot<B> {
    fn clone(&self) -> Self {
        let (primary, fallback) = (Arc::clone(&self.primary), self.fallback.clone());
        Self { name: self.name.clone(), when: self.when.clone(), primary, fallback }
    }
}

/// Where a behaviour stands that a request may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotAt {
    /// The incident that brought it; `None` for the model's own.
    pub incident: Option<usize>,
    /// Its index in that list.
    pub index: usize,
}

impl Generation {
    /// The same behaviours in a generation of another number, which `alive` counts.
    pub fn renumbered(&self, number: u64, alive: Gauge) -> Self {
        Self {
            number,
            seed: self.seed,
            scenario: Arc::clone(&self.scenario),
            models: self.models.clone(),
            changes: self.changes.clone(),
            choosers: self.choosers.clone(),
            scalers: self.scalers.clone(),
            styles: self.styles.clone(),
            style_names: self.style_names.clone(),
            tokenizer: Arc::clone(&self.tokenizer),
            json: Arc::clone(&self.json),
            own_faults: self.own_faults.clone(),
            _alive: Alive::begin(alive),
        }
    }

    /// The fault that a request brings, as it is `written`. The error says what is wrong with it.
    pub fn own_fault(&self, written: &str) -> Result<Arc<dyn Fault>, String> {
        let Some(OwnFaults { makers, setting }) = self.own_faults.as_deref() else {
            return Err("this scenario takes none".to_owned());
        };
        let used = one_fault(written)?;
        let known = || makers.keys().map(String::as_str);
        let maker = makers.get(&used.name).ok_or_else(|| match did_you_mean(&used.name, known()) {
            Some(near) => format!("there is no fault `{}`; did you mean `{near}`?", used.name),
            None => format!("there is no fault `{}`", used.name),
        })?;
        maker.make(&used.options, setting).map_err(|problems| told(&problems))
    }

    /// The faults that a request to `model` may meet while `incidents` apply, in the order in which they are asked.
    pub fn faults(&self, model: usize, incidents: IncidentSet) -> impl Iterator<Item = (SlotAt, &Slot<dyn Fault>)> {
        let model = &self.models[model];
        in_order(&self.changes, &model.faults, incidents.and(model.incidents), |change| &change.faults)
    }

    /// The same for replies; the first whose conditions hold counts.
    pub fn replies(&self, model: usize, incidents: IncidentSet) -> impl Iterator<Item = (SlotAt, &Slot<dyn Responder>)> {
        let model = &self.models[model];
        in_order(&self.changes, &model.reply, incidents.and(model.incidents), |change| &change.reply)
    }

    /// The same for latency; the first whose conditions hold counts.
    pub fn latencies(&self, model: usize, incidents: IncidentSet) -> impl Iterator<Item = (SlotAt, &Slot<dyn Latency>)> {
        let model = &self.models[model];
        in_order(&self.changes, &model.latency, incidents.and(model.incidents), |change| &change.latency)
    }

    /// The stations of this scenario, with the ways of its models by their index; `None` if no model has a pipeline. Visits keep what
    /// their stages did only if `keeps_marks`.
    pub fn site(&self, keeps_marks: bool) -> Option<Site> {
        let models = &self.scenario.models;
        models.iter().any(|model| model.pipeline.is_some()).then(|| {
            let route = |model: &ModelEntry| model.pipeline.as_ref().map(|pipeline| pipeline.route.clone()).unwrap_or_default();
            let stations: Vec<_> = self.scenario.stations.iter().map(|station| station.settings.clone()).collect();
            let mut site = Site::new(&stations, models.iter().map(route).collect(), keeps_marks);
            self.hand_scalers(&mut site);
            site
        })
    }

    /// Lets the scalers of this generation decide at `site`, which is that of its stations.
    pub fn hand_scalers(&self, site: &mut Site) {
        for (index, (station, scaler)) in self.scenario.stations.iter().zip(&self.scalers).enumerate() {
            let draws = Key::of_seed(self.seed).named("autoscaler").named(&station.name);
            let asked = |scaler| Asked { scaler, station: station.name.as_str().into(), draws };
            site.ask_scaler(index, scaler.clone().map(asked));
        }
    }

    /// How often its balancers have given no choice so far.
    pub fn unanswered(&self) -> u64 {
        self.choosers.iter().flat_map(|choosers| choosers.iter().flatten()).map(|chooser| chooser.failures()).sum()
    }

    /// Would [`Generation::site`] make the same site for this generation as for `other`, so that both can share one?
    pub fn has_site_of(&self, other: &Self) -> bool {
        let stations = |generation: &Self| -> Vec<_> {
            generation.scenario.stations.iter().map(|station| (station.name.clone(), station.settings.clone())).collect()
        };
        let ways = |generation: &Self| -> Vec<_> {
            let models = generation.scenario.models.iter();
            models.map(|model| (model.name.clone(), model.pipeline.as_ref().map(|pipeline| pipeline.route.clone()))).collect()
        };
        stations(self) == stations(other) && ways(self) == ways(other)
    }

    /// Is one of the behaviours that a request may meet known to be slow, so that planning belongs in the slow lane?
    pub fn is_slow(&self, model: usize, incidents: IncidentSet) -> bool {
        self.faults(model, incidents).any(|(_, slot)| slot.primary.is_slow())
            || self.replies(model, incidents).any(|(_, slot)| slot.primary.is_slow())
            || self.latencies(model, incidents).any(|(_, slot)| slot.primary.is_slow())
            || self.models[model].stages.iter().flatten().any(|slot| slot.primary.is_slow())
    }
}

/// What incidents bring, in the order of the file, and then the model's own.
fn in_order<'a, B: ?Sized>(
    changes: &'a [Change],
    own: &'a [Slot<B>],
    incidents: IncidentSet,
    list: impl Fn(&'a Change) -> &'a Vec<Slot<B>>,
) -> impl Iterator<Item = (SlotAt, &'a Slot<B>)> {
    let at = |incident| move |(index, slot)| (SlotAt { incident, index }, slot);
    let brought = incidents.iter().flat_map(move |incident| list(&changes[incident]).iter().enumerate().map(at(Some(incident))));
    brought.chain(own.iter().enumerate().map(at(None)))
}

/// Counts generations alive for as long as it lives.
pub(crate) struct Alive(Gauge);

impl Alive {
    pub(crate) fn begin(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
