//! When each token leaves: a formula, an explicit list, or a replica that decides step by step.
//!
//! The player holds a [`TimingCursor`] and asks for one deadline after the other. Deadlines are offsets from the request's
//! arrival, added up in integer nanoseconds: a late token never makes the next one late.

use std::sync::Arc;

use crate::behavior::latency::{Delay, Pause, Schedule};
use crate::clock::Nanos;
use crate::random::Key;
use crate::stats::distribution::LogNormal;
use crate::types::limits::DELAY_US_MAX;

/// How the deadlines of one reply are found.
#[derive(Debug, Clone)]
pub enum Timing {
    /// A law for the first token and one for the gaps, drawn by the token's number.
    Formula(Formula),
    /// A list of gaps.
    Explicit(Explicit),
    /// A batching server decides; the deadline is the end of its step.
    Replica(ReplicaTicket),
}

/// Two laws and a seed.
#[derive(Debug, Clone)]
pub struct Formula {
    first: Law,
    between: Law,
    pauses: Box<[Pause]>,
    key: Key,
}

/// A list of gaps in microseconds; the last one repeats.
#[derive(Debug, Clone)]
pub struct Explicit {
    first: Law,
    gaps_us: Arc<[u32]>,
    pauses: Box<[Pause]>,
    key: Key,
}

/// A place in a replica's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaTicket {
    /// Which replica.
    pub replica: u32,
    /// Which sequence in it.
    pub sequence: u64,
}

/// A duration ready to be drawn.
#[derive(Debug, Clone)]
enum Law {
    Ns(Nanos),
    Uniform(Nanos, Nanos),
    LogNormal(LogNormal),
}

/// How far a reply has got in its timing.
#[derive(Debug, Clone, Default)]
pub struct TimingCursor {
    token: u32,
    pause: u32,
    offset: Nanos,
}

/// When the next token is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// So many nanoseconds after the request's arrival.
    At(Nanos),
    /// When the replica's step ends.
    Step(ReplicaTicket),
}

/// A schedule that names a rule which this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("delay of unknown kind `{0}`; this version knows us, uniform, log-normal and each-us")]
pub struct UnknownDelay(pub String);

impl Timing {
    /// Everything at once.
    pub fn immediate() -> Self {
        Self::Formula(Formula { first: Law::Ns(0), between: Law::Ns(0), pauses: Box::default(), key: Key::of_seed(0) })
    }

    /// The timing that `schedule` describes, its draws below `key`. Delays above the limit are cut to it.
    pub fn of_schedule(schedule: Schedule, key: Key) -> Result<Self, UnknownDelay> {
        let pauses = schedule.pauses.into_boxed_slice();
        let first = match schedule.first {
            Delay::Each(list) => Law::Ns(ns(list.first().copied().unwrap_or(0))),
            other => Law::of(other)?,
        };
        Ok(match schedule.between {
            Delay::Each(gaps_us) => Self::Explicit(Explicit { first, gaps_us, pauses, key }),
            between => Self::Formula(Formula { first, between: Law::of(between)?, pauses, key }),
        })
    }

    /// When the next token is due. Each call goes one token further.
    pub fn advance(&self, cursor: &mut TimingCursor) -> Due {
        let (delay, pauses) = match self {
            Self::Formula(formula) => {
                let law = if cursor.token == 0 { &formula.first } else { &formula.between };
                (law.draw(formula.key, cursor.token), &formula.pauses)
            }
            Self::Explicit(explicit) if cursor.token == 0 => (explicit.first.draw(explicit.key, 0), &explicit.pauses),
            Self::Explicit(explicit) => {
                let last = explicit.gaps_us.len().saturating_sub(1);
                let gap = explicit.gaps_us.get(last.min(cursor.token as usize - 1)).copied().unwrap_or(0);
                (ns(gap), &explicit.pauses)
            }
            Self::Replica(ticket) => return Due::Step(*ticket),
        };
        cursor.offset = cursor.offset.saturating_add(delay);
        while let Some(pause) = pauses.get(cursor.pause as usize).filter(|pause| pause.after_token <= cursor.token) {
            cursor.offset = cursor.offset.saturating_add(ns(pause.us));
            cursor.pause += 1;
        }
        cursor.token += 1;
        Due::At(cursor.offset)
    }
}

impl Timing {
    /// What the delay before token `token` (from 0) is drawn from, a number in [0, 1); `None` if it is not drawn.
    pub fn drawn(&self, token: u32) -> Option<f64> {
        let (law, key) = match self {
            Self::Formula(formula) if token > 0 => (&formula.between, formula.key),
            Self::Formula(Formula { first, key, .. }) => (first, *key),
            Self::Explicit(Explicit { first, key, .. }) if token == 0 => (first, *key),
            Self::Explicit(_) | Self::Replica(_) => return None,
        };
        (!matches!(law, Law::Ns(_))).then(|| key.with(token.into()).unit())
    }
}

impl Law {
    fn of(delay: Delay) -> Result<Self, UnknownDelay> {
        Ok(match delay {
            Delay::Us(us) => Self::Ns(ns(us)),
            Delay::Uniform(min, max) => Self::Uniform(ns(min.min(max)), ns(max.max(min))),
            Delay::LogNormal(law) if law.p50_us == 0 => Self::Ns(0),
            Delay::LogNormal(law) => {
                let cap = if law.cap_us == 0 { DELAY_US_MAX } else { u64::from(law.cap_us).min(DELAY_US_MAX) };
                let nanos = |us: u64| us as f64 * 1_000.0;
                Self::LogNormal(LogNormal::of_quantiles(nanos(law.p50_us.into()), nanos(law.p99_us.into()), nanos(cap)))
            }
            Delay::Each(list) => Self::Ns(ns(list.first().copied().unwrap_or(0))),
            Delay::Other(named) => return Err(UnknownDelay(named.kind)),
        })
    }

    fn draw(&self, key: Key, token: u32) -> Nanos {
        let unit = || key.with(token.into()).unit();
        match self {
            Self::Ns(ns) => *ns,
            Self::Uniform(min, max) => min + ((max - min) as f64 * unit()) as Nanos,
            Self::LogNormal(law) => law.quantile(unit()) as Nanos,
        }
    }
}

fn ns(us: u32) -> Nanos {
    u64::from(us).min(DELAY_US_MAX) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::latency;

    fn offsets(schedule: Schedule, count: usize) -> Vec<Nanos> {
        let timing = Timing::of_schedule(schedule, Key::of_seed(1)).unwrap();
        let mut cursor = TimingCursor::default();
        let offset = |due| match due {
            Due::At(offset) => offset,
            Due::Step(_) => unreachable!("no replica here"),
        };
        (0..count).map(|_| offset(timing.advance(&mut cursor))).collect()
    }

    #[test]
    fn deadlines_add_up_without_drift() {
        let schedule =
            Schedule { first: Delay::Us(50_000), between: Delay::Us(10_000), pauses: vec![Pause { after_token: 2, us: 5_000 }] };
        assert_eq!(offsets(schedule, 4), [50_000_000, 60_000_000, 75_000_000, 85_000_000]);
    }

    #[test]
    fn an_explicit_list_repeats_its_last_gap() {
        let schedule = Schedule { first: Delay::Us(1), between: Delay::Each([10, 20].into()), pauses: vec![] };
        assert_eq!(offsets(schedule, 5), [1_000, 11_000, 31_000, 51_000, 71_000]);
    }

    #[test]
    fn gaps_are_drawn_by_token_and_repeat_for_the_same_key() {
        let law = latency::LogNormal { p50_us: 10_000, p99_us: 40_000, cap_us: 0 };
        let schedule = || Schedule { first: Delay::Us(0), between: Delay::LogNormal(law), pauses: vec![] };
        let offsets_a = offsets(schedule(), 1_001);
        assert_eq!(offsets_a, offsets(schedule(), 1_001));
        let mut gaps: Vec<_> = offsets_a.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        let median_ms = gaps[500] as f64 / 1e6;
        assert!((8.5..11.5).contains(&median_ms), "median {median_ms}");
    }

    #[test]
    fn an_unknown_delay_is_named() {
        let named = crate::behavior::fault::Named { kind: "weibull".into(), json: String::new() };
        let schedule = Schedule { first: Delay::Other(named), between: Delay::Us(0), pauses: vec![] };
        let error = Timing::of_schedule(schedule, Key::of_seed(0)).unwrap_err();
        assert!(error.to_string().contains("`weibull`"));
    }
}
