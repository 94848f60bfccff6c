//! Where a run stands on its scenario's time line: a state machine that is told the time and every request.
//!
//! [`Timeline`] keeps the state only; what the phases are it is told each time, so that it outlives generations. The server and
//! virtual time use the same one. [`applying`] draws which incidents a request meets, given the phase and what operators switched.

use crate::clock::Nanos;
use crate::random::{Draws, Key};
use crate::scenario::phases::{Lasts, Phases, Repeat, Start};
use crate::scenario::{IncidentSet, Scenario};

/// Where a run stands on its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// When the line came into force.
    origin: Nanos,
    /// Requests before the first phase.
    early: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    In(Stay),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stay {
    phase: usize,
    since: Nanos,
    requests: u64,
    round: u32,
}

/// The phase that a run is in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseNow {
    /// Its index in the line.
    pub phase: usize,
    /// When it began.
    pub since: Nanos,
    /// Requests that have arrived in it.
    pub requests: u64,
    /// How often the line has been played before.
    pub round: u32,
    /// The strength of its incidents now, 0 to 1.
    pub strength: f64,
}

/// Whether a line has begun.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// It has not begun.
    Waiting,
    /// It is in this phase.
    In(PhaseNow),
    /// It has ended.
    Over,
}

impl Timeline {
    /// A line that comes into force at `origin`.
    pub fn new(origin: Nanos) -> Self {
        Self { origin, early: 0, state: State::Waiting }
    }

    /// A request arrives at `now`. Gives the phase that it meets; its strength is that before the request.
    pub fn enter(&mut self, phases: &Phases, now: Nanos) -> Option<PhaseNow> {
        let progress = self.look(phases, now);
        match &mut self.state {
            State::Waiting => self.early += 1,
            State::In(stay) => stay.requests += 1,
            State::Over => {}
        }
        match progress {
            Progress::In(now) => Some(now),
            Progress::Waiting | Progress::Over => None,
        }
    }

    /// Where the line stands at `now`.
    pub fn look(&mut self, phases: &Phases, now: Nanos) -> Progress {
        self.settle(phases, now);
        match self.state {
            State::Waiting => Progress::Waiting,
            State::Over => Progress::Over,
            State::In(stay) => {
                let phase = &phases.line[stay.phase];
                let share = match phase.lasts {
                    Lasts::Time(ns) => now.saturating_sub(stay.since) as f64 / ns as f64,
                    Lasts::Requests(count) => stay.requests as f64 / count as f64,
                    Lasts::Hand => 0.0,
                };
                let (from, to) = phase.strength;
                let strength = from + (to - from) * share.clamp(0.0, 1.0);
                let Stay { phase, since, requests, round } = stay;
                Progress::In(PhaseNow { phase, since, requests, round, strength })
            }
        }
    }

    /// The first phase begins now, whatever was before.
    pub fn start(&mut self, phases: &Phases, now: Nanos) {
        self.go_to(phases, 0, now);
    }

    /// The next phase begins now; a line that waits begins, and one that is over stays so.
    pub fn next(&mut self, phases: &Phases, now: Nanos) {
        self.settle(phases, now);
        match self.state {
            State::Waiting => self.start(phases, now),
            State::In(stay) => self.state = after(phases, stay, now),
            State::Over => {}
        }
    }

    /// The phase with index `phase` begins now.
    pub fn go_to(&mut self, phases: &Phases, phase: usize, now: Nanos) {
        let round = match self.state {
            State::In(stay) => stay.round,
            State::Waiting | State::Over => 0,
        };
        self.state = State::In(Stay { phase: phase.min(phases.line.len() - 1), since: now, requests: 0, round });
    }

    /// Leaves every phase that has ended by `now`.
    fn settle(&mut self, phases: &Phases, now: Nanos) {
        if self.state == State::Waiting {
            let since = match phases.start {
                Start::After(ns) => Some(self.origin.saturating_add(ns)).filter(|since| *since <= now),
                Start::Requests(count) => (self.early >= count).then_some(now),
                Start::Hand => None,
            };
            let Some(since) = since else { return };
            self.state = State::In(Stay { phase: 0, since, requests: 0, round: 0 });
        }
        while let State::In(stay) = self.state {
            let ended = match phases.line[stay.phase].lasts {
                Lasts::Time(ns) => Some(stay.since.saturating_add(ns)).filter(|end| *end <= now),
                Lasts::Requests(count) => (stay.requests >= count).then_some(now),
                Lasts::Hand => None,
            };
            let Some(end) = ended else { return };
            self.state = rounds_later(phases, stay, now).map_or_else(|| after(phases, stay, end), State::In);
        }
    }
}

/// `stay` after the whole rounds that nobody saw, if there were any: passed over at once, but for the last of a line that ends.
fn rounds_later(phases: &Phases, stay: Stay, now: Nanos) -> Option<Stay> {
    let cycle = phases.cycle().filter(|_| stay.phase == 0)?;
    let rounds = now.saturating_sub(stay.since) / cycle;
    let rounds = match phases.repeat {
        Repeat::Forever => rounds,
        Repeat::Times(times) => rounds.min(u64::from(times.saturating_sub(stay.round.saturating_add(1)))),
    };
    let since = stay.since.saturating_add(rounds.saturating_mul(cycle));
    let round = stay.round.saturating_add(u32::try_from(rounds).unwrap_or(u32::MAX));
    (rounds > 0).then_some(Stay { phase: 0, since, requests: 0, round })
}

/// What comes after `stay`, which ended at `end`.
fn after(phases: &Phases, stay: Stay, end: Nanos) -> State {
    let next = Stay { phase: stay.phase + 1, since: end, requests: 0, round: stay.round };
    if next.phase < phases.line.len() {
        return State::In(next);
    }
    let round = stay.round.saturating_add(1);
    match phases.repeat {
        Repeat::Times(times) if round >= times => State::Over,
        Repeat::Times(_) | Repeat::Forever => State::In(Stay { phase: 0, round, ..next }),
    }
}

/// How strong the incident `incident` of `scenario` is in the phase `phase`, 0 to 1: what an operator set (`by_hand`), else the greater
/// of what `active:` and the phase say.
pub fn strength(scenario: &Scenario, incident: usize, phase: Option<PhaseNow>, by_hand: Option<f64>) -> f64 {
    by_hand.unwrap_or_else(|| {
        let always = if scenario.active.has(incident) { 1.0 } else { 0.0 };
        let said = phase.and_then(|now| Some((scenario.phases.as_ref()?.line.get(now.phase)?, now.strength)));
        said.filter(|(phase, _)| phase.incidents.has(incident)).map_or(always, |(_, strength)| strength.max(always))
    })
}

/// The incidents of `scenario` that a request meets in the phase `phase`. Each applies with the probability of its [`strength`], given
/// what operators set (`by_hand`). The draw is keyed by the incident's name below `events`, so that ramps reach plugins and native
/// behaviours alike, and an attempt that met an incident meets it in every run. `draws` notes it.
pub fn applying(
    scenario: &Scenario,
    phase: Option<PhaseNow>,
    by_hand: impl Fn(usize) -> Option<f64>,
    events: Key,
    draws: Option<&Draws>,
) -> IncidentSet {
    let mut met = IncidentSet::default();
    for (index, incident) in scenario.incidents.iter().enumerate() {
        let strength = strength(scenario, index, phase, by_hand(index));
        if strength <= 0.0 {
            continue;
        }
        let applies = strength >= 1.0 || {
            let drawn = events.named("incident").named(&incident.name).unit();
            if let Some(draws) = draws {
                let meaning = if drawn < strength { "applies" } else { "passes" };
                draws.enter(format!("incident {}", incident.name));
                draws.note_meaning(&incident.name, drawn, format!("{meaning} at a strength of {strength}"));
            }
            drawn < strength
        };
        if applies {
            met = met.with(index);
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::phases::Phase;

    const SECOND: Nanos = 1_000_000_000;

    fn phase(name: &str, lasts: Lasts, strength: (f64, f64)) -> Phase {
        Phase { name: name.to_owned(), lasts, incidents: IncidentSet::default().with(0), strength }
    }

    /// Two seconds of ramp, three of outage.
    fn by_time(repeat: Repeat, start: Start) -> Phases {
        let line = vec![phase("ramp", Lasts::Time(2 * SECOND), (0.0, 1.0)), phase("outage", Lasts::Time(3 * SECOND), (1.0, 1.0))];
        Phases { start, repeat, line }
    }

    fn index(progress: Progress) -> Option<usize> {
        match progress {
            Progress::In(now) => Some(now.phase),
            Progress::Waiting | Progress::Over => None,
        }
    }

    #[test]
    fn phases_by_time_follow_each_other_without_drift_however_rarely_somebody_looks() {
        let phases = by_time(Repeat::Forever, Start::After(SECOND));
        let mut often = Timeline::new(0);
        for tenth in 0..600_u64 {
            let now = tenth * SECOND / 10;
            let expected = now.checked_sub(SECOND).map(|since| usize::from(since % (5 * SECOND) >= 2 * SECOND));
            assert_eq!(index(often.look(&phases, now)), expected, "{now}");
            assert_eq!(index(Timeline::new(0).look(&phases, now)), expected, "{now}");
        }
        let Progress::In(now) = Timeline::new(0).look(&phases, 1_000_000 * 5 * SECOND + 2 * SECOND) else { panic!("in a phase") };
        assert_eq!((now.phase, now.round, now.since), (0, 1_000_000, (1_000_000 * 5 + 1) * SECOND));
        assert!((now.strength - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_line_that_is_played_twice_is_over_then() {
        let phases = by_time(Repeat::Times(2), Start::After(0));
        let at = |second: u64| Timeline::new(0).look(&phases, second * SECOND);
        assert_eq!((index(at(0)), index(at(4)), index(at(5)), index(at(9))), (Some(0), Some(1), Some(0), Some(1)));
        assert_eq!(at(10), Progress::Over);
        assert_eq!(at(1_000), Progress::Over);
        let mut line = Timeline::new(0);
        for second in 0..=10 {
            line.enter(&phases, second * SECOND);
        }
        assert_eq!(line.look(&phases, 10 * SECOND), Progress::Over);
        line.next(&phases, 11 * SECOND);
        assert_eq!(line.look(&phases, 11 * SECOND), Progress::Over);
        line.start(&phases, 11 * SECOND);
        assert_eq!(index(line.look(&phases, 11 * SECOND)), Some(0));
    }

    #[test]
    fn phases_by_count_hold_exactly_so_many_requests() {
        let line = vec![
            phase("ramp", Lasts::Requests(4), (0.2, 1.0)),
            phase("outage", Lasts::Requests(2), (1.0, 1.0)),
            phase("after", Lasts::Hand, (1.0, 1.0)),
        ];
        let phases = Phases { start: Start::Requests(3), repeat: Repeat::Times(1), line };
        let mut timeline = Timeline::new(0);
        let met: Vec<_> = (0..11).map(|now| timeline.enter(&phases, now)).collect();
        let indexes: Vec<_> = met.iter().map(|now| now.map(|now| now.phase)).collect();
        assert_eq!(indexes[..3], [None; 3]);
        assert_eq!(indexes[3..].iter().flatten().copied().collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1, 2, 2]);
        let strengths: Vec<_> = met[3..7].iter().flatten().map(|now| (now.strength * 10.0).round() as u32).collect();
        assert_eq!(strengths, [2, 4, 6, 8]);
    }

    #[test]
    fn a_hand_moves_the_line_and_time_goes_on_from_there() {
        let phases = by_time(Repeat::Times(1), Start::Hand);
        let mut timeline = Timeline::new(0);
        assert_eq!(timeline.look(&phases, 100 * SECOND), Progress::Waiting);
        timeline.next(&phases, 100 * SECOND);
        assert_eq!(index(timeline.look(&phases, 101 * SECOND)), Some(0));
        timeline.next(&phases, 101 * SECOND);
        assert_eq!(index(timeline.look(&phases, 103 * SECOND)), Some(1));
        timeline.go_to(&phases, 0, 103 * SECOND);
        assert_eq!(index(timeline.look(&phases, 104 * SECOND)), Some(0));
        assert_eq!(index(timeline.look(&phases, 105 * SECOND)), Some(1));
        assert_eq!(timeline.look(&phases, 108 * SECOND), Progress::Over);
    }

    #[test]
    fn an_incident_applies_to_the_share_of_requests_that_its_strength_says_and_always_to_the_same() {
        let text = "simwright: 1\nactive: always\nmodels: [{ match: a }]\nincidents:\n  first: { reply: echo }\n  always: { reply: echo }\n\
                    phases: { line: [{ for: 10s, incidents: [first, always], ramp: up }] }\n";
        let scenario =
            crate::scenario::read::parse("s.yaml", text, std::path::Path::new("")).expect("valid").whole().expect("right");
        let phases = scenario.phases.as_ref().expect("a line");
        let met = |second: u64, by_hand: Option<f64>, request: u64| {
            let now = Timeline::new(0).enter(phases, second * SECOND);
            let by_hand = |incident| by_hand.filter(|_| incident == 0);
            applying(&scenario, now, by_hand, Key::of_seed(5).with(request), None)
        };
        let with_first =
            |second, by_hand| -> Vec<u64> { (0..10_000).rev().filter(|&request| met(second, by_hand, request).has(0)).collect() };
        let (early, late) = (with_first(2, None), with_first(6, None));
        // Four standard deviations.
        assert!((early.len() as f64 - 2_000.0).abs() < 4.0 * (10_000.0_f64 * 0.2 * 0.8).sqrt(), "{}", early.len());
        assert!((late.len() as f64 - 6_000.0).abs() < 4.0 * (10_000.0_f64 * 0.6 * 0.4).sqrt(), "{}", late.len());
        assert!(early.iter().all(|request| late.contains(request)), "who meets a weak incident meets a strong one");
        assert_eq!(with_first(6, Some(0.2)), early);
        assert_eq!((with_first(0, None).len(), with_first(6, Some(1.0)).len()), (0, 10_000));
        assert!((0..100).all(|request| met(2, None, request).has(1)));
    }
}
