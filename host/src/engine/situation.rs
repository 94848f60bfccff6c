//! What goes on beside a scenario: the phase that its time line is in, and the incidents that an operator switched.
//!
//! A situation belongs to one generation; [`Situation::carry`] brings what must survive a reload to the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Nanos;
use crate::plan::timeline::{PhaseNow, Progress, Timeline, applying};
use crate::random::{Draws, Key};
use crate::scenario::phases::Phases;
use crate::scenario::{IncidentSet, Scenario};

/// The bits of a number that stands for "no operator has said anything".
const UNSAID: u64 = u64::MAX;

/// The phase and the switches of one generation.
pub struct Situation {
    /// Where its time line stands; there even if the scenario has none, and shared with the generations that say the same line.
    timeline: Arc<Mutex<Timeline>>,
    /// The strength of each incident that an operator set, as bits.
    by_hand: Box<[AtomicU64]>,
}

/// How an operator moves the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move<'a> {
    /// The first phase begins.
    Start,
    /// The next phase begins.
    Next,
    /// The phase of this name begins.
    To(&'a str),
}

/// Why the time line cannot be moved, or an incident not be switched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmoved {
    /// There is no line.
    #[error("the scenario has no `phases`; write a line of them, or switch `incidents` by hand")]
    NoPhases,
    /// There is no such phase; these are there.
    #[error("the scenario has no phase `{0}`; it has: {1}")]
    NoPhase(String, String),
    /// There is no such incident; these are there.
    #[error("the scenario has no incident `{0}`; it has: {known}", known = if .1.is_empty() { "none" } else { .1 })]
    NoIncident(String, String),
}

impl Situation {
    /// The situation of a scenario whose time line comes into force at `now`.
    pub fn new(scenario: &Scenario, now: Nanos) -> Self {
        let by_hand = scenario.incidents.iter().map(|_| AtomicU64::new(UNSAID)).collect();
        Self { timeline: Arc::new(Mutex::new(Timeline::new(now))), by_hand }
    }

    /// The situation of `new`, which follows `old` at `now`: incidents keep what operators set, by name, and the time line goes on where
    /// it stands if the section is the same.
    pub fn carry(&self, old: &Scenario, new: &Scenario, now: Nanos) -> Self {
        let section = |scenario: &Scenario| scenario.source.value.get("phases").cloned();
        let mut next = Self::new(new, now);
        match (section(old), section(new)) {
            (before, after) if before == after => next.timeline = Arc::clone(&self.timeline),
            (_, Some(_)) => tracing::info!("the time line of the phases begins anew"),
            _ => {}
        }
        for (incident, switch) in new.incidents.iter().zip(&next.by_hand) {
            if let Some(index) = old.incidents.iter().position(|before| before.name == incident.name) {
                switch.store(self.by_hand[index].load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        next
    }

    /// A request arrives at `now`. Gives the phase that it meets.
    pub fn enter(&self, scenario: &Scenario, now: Nanos) -> Option<PhaseNow> {
        let phases = scenario.phases.as_ref()?;
        self.timeline().enter(phases, now)
    }

    /// Where the time line stands at `now`; `None` without one.
    pub fn look(&self, scenario: &Scenario, now: Nanos) -> Option<Progress> {
        let phases = scenario.phases.as_ref()?;
        Some(self.timeline().look(phases, now))
    }

    /// The phase at `now`, without a request.
    pub fn phase(&self, scenario: &Scenario, now: Nanos) -> Option<PhaseNow> {
        match self.look(scenario, now)? {
            Progress::In(now) => Some(now),
            Progress::Waiting | Progress::Over => None,
        }
    }

    /// The incidents that a request meets in `phase`; draws below `events`, and `draws` notes what.
    pub fn applying(&self, scenario: &Scenario, phase: Option<PhaseNow>, events: Key, draws: Option<&Draws>) -> IncidentSet {
        applying(scenario, phase, |incident| self.by_hand(incident), events, draws)
    }

    /// The strength of the incident `incident` that an operator set.
    pub fn by_hand(&self, incident: usize) -> Option<f64> {
        let bits = self.by_hand.get(incident)?.load(Ordering::Relaxed);
        (bits != UNSAID).then_some(f64::from_bits(bits))
    }

    /// Sets the strength of an incident, 0 to 1, or leaves it to the scenario again.
    pub fn switch(&self, scenario: &Scenario, name: &str, strength: Option<f64>) -> Result<(), Unmoved> {
        let names = scenario.incidents.iter().map(|incident| incident.name.as_str());
        let index = names.clone().position(|known| known == name);
        let index = index.ok_or_else(|| Unmoved::NoIncident(name.to_owned(), names.collect::<Vec<_>>().join(", ")))?;
        self.by_hand[index].store(strength.map_or(UNSAID, f64::to_bits), Ordering::Relaxed);
        Ok(())
    }

    /// Moves the time line at `now`.
    pub fn move_on(&self, scenario: &Scenario, how: Move<'_>, now: Nanos) -> Result<(), Unmoved> {
        let phases: &Phases = scenario.phases.as_ref().ok_or(Unmoved::NoPhases)?;
        let mut timeline = self.timeline();
        match how {
            Move::Start => timeline.start(phases, now),
            Move::Next => timeline.next(phases, now),
            Move::To(name) => {
                let names = || phases.line.iter().map(|phase| phase.name.as_str()).collect::<Vec<_>>().join(", ");
                let phase = phases.find(name).ok_or_else(|| Unmoved::NoPhase(name.to_owned(), names()))?;
                timeline.go_to(phases, phase, now);
            }
        }
        Ok(())
    }

    fn timeline(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
