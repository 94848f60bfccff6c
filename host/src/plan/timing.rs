//! When each token leaves, as a latency model says: a formula, or an explicit list. Stations may say otherwise.
//!
//! The player holds a [`TimingCursor`] and asks for one deadline after the other. Deadlines are offsets from the request's
//! arrival, or from the moment at which stations let its reply begin, added up in integer nanoseconds: a late token never makes the next one late.

use std::sync::{Arc, LazyLock};

use moka::sync::Cache;

use crate::behavior::fault::Named;
use crate::behavior::latency::{Delay, Drawn, Pause, PauseRule, PauseWhen, Schedule};
use crate::clock::Nanos;
use crate::grammar::law::{KINDS, Kind, Scope};
use crate::random::Key;
use crate::stats::distribution::{LogNormal, normal_cdf, normal_quantile};
use crate::stats::law::Law;
use crate::types::limits::{DELAY_US_MAX, NAMED_LAWS_BYTES};

/// How the deadlines of one reply are found.
#[derive(Debug, Clone)]
pub enum Timing {
    /// A law for the first token and one for the gaps, drawn by the token's number.
    Formula(Formula),
    /// A list of gaps.
    Explicit(Explicit),
}

/// Two laws and a seed.
#[derive(Debug, Clone)]
pub struct Formula {
    first: Draw,
    between: Draw,
    pauses: Option<Box<Pauses>>,
    key: Key,
}

/// A list of gaps in microseconds; the last one repeats.
#[derive(Debug, Clone)]
pub struct Explicit {
    first: Draw,
    gaps_us: Arc<[u32]>,
    pauses: Option<Box<Pauses>>,
    key: Key,
}

/// A duration ready to be drawn.
#[derive(Debug, Clone)]
enum Draw {
    Ns(Nanos),
    Uniform(Nanos, Nanos),
    LogNormal(LogNormal),
    Law(Drawn),
}

/// Extra waiting: a list, and rules that are asked after every token. Few replies have any, and each in flight keeps its timing.
#[derive(Debug, Clone)]
struct Pauses {
    list: Box<[Pause]>,
    rules: Option<Arc<[PauseRule]>>,
}

/// How far a reply has got in its timing.
#[derive(Debug, Clone, Default)]
pub struct TimingCursor {
    token: u32,
    pause: u32,
    offset: Nanos,
    /// Normal score of the last gap, where one gap resembles the next.
    score: f64,
}

/// A schedule that names a law which there is not, or wrong parameters of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("delay of kind `{kind}`: {message}")]
pub struct BadDelay {
    kind: String,
    message: String,
}

impl Timing {
    /// Everything at once.
    pub fn immediate() -> Self {
        Self::Formula(Formula { first: Draw::Ns(0), between: Draw::Ns(0), pauses: None, key: Key::of_seed(0) })
    }

    /// The timing that `schedule` describes, its draws below `key`. Delays above the limit are cut to it.
    pub fn of_schedule(schedule: Schedule, key: Key) -> Result<Self, BadDelay> {
        let has_pauses = !schedule.pauses.is_empty() || schedule.rules.is_some();
        let pauses = || Box::new(Pauses { list: schedule.pauses.into_boxed_slice(), rules: schedule.rules });
        let pauses = has_pauses.then(pauses);
        let first = Draw::of(schedule.first)?;
        Ok(match schedule.between {
            Delay::Each(gaps_us) => Self::Explicit(Explicit { first, gaps_us, pauses, key }),
            between => Self::Formula(Formula { first, between: Draw::of(between)?, pauses, key }),
        })
    }

    /// When the next token is due, in nanoseconds from the beginning of the reply. Each call goes one token further.
    pub fn advance(&self, cursor: &mut TimingCursor) -> Nanos {
        let (delay, pauses, key) = match self {
            Self::Formula(formula) => {
                let draw = if cursor.token == 0 { &formula.first } else { &formula.between };
                (draw.draw(formula.key, cursor), &formula.pauses, formula.key)
            }
            Self::Explicit(explicit) if cursor.token == 0 => {
                (explicit.first.draw(explicit.key, cursor), &explicit.pauses, explicit.key)
            }
            Self::Explicit(explicit) => {
                let last = explicit.gaps_us.len().saturating_sub(1);
                let gap = explicit.gaps_us.get(last.min(cursor.token as usize - 1)).copied().unwrap_or(0);
                (ns(gap), &explicit.pauses, explicit.key)
            }
        };
        cursor.offset = cursor.offset.saturating_add(delay);
        if let Some(pauses) = pauses {
            while let Some(pause) = pauses.list.get(cursor.pause as usize).filter(|pause| pause.after_token <= cursor.token) {
                cursor.offset = cursor.offset.saturating_add(ns(pause.us));
                cursor.pause += 1;
            }
            if let Some(rules) = &pauses.rules {
                cursor.offset = cursor.offset.saturating_add(waiting(rules, key.named("pause"), cursor.token));
            }
        }
        cursor.token += 1;
        cursor.offset
    }
}

impl Timing {
    /// From the beginning to the token number `tokens`, counted from 1; 0 for none.
    pub fn length(&self, tokens: u32) -> Nanos {
        if let Self::Formula(Formula { first, between: Draw::Ns(between), pauses: None, key }) = self
            && tokens > 0
        {
            let first = first.draw(*key, &mut TimingCursor::default());
            return first.saturating_add(between.saturating_mul(u64::from(tokens - 1)));
        }
        let mut cursor = TimingCursor::default();
        (0..tokens).fold(0, |_, _| self.advance(&mut cursor))
    }

    /// Gives the offset of each of the first `tokens` tokens to `sink`, in order, until it returns `false`.
    pub fn each(&self, tokens: u32, mut sink: impl FnMut(Nanos) -> bool) {
        let mut cursor = TimingCursor::default();
        for _ in 0..tokens {
            if !sink(self.advance(&mut cursor)) {
                return;
            }
        }
    }

    /// The gap between any two tokens, if they are all the same; in nanoseconds.
    pub fn even_gap(&self) -> Option<Nanos> {
        match self {
            Self::Formula(Formula { between: Draw::Ns(between), pauses: None, .. }) => Some(*between),
            _ => None,
        }
    }

    /// What the delay before token `token` (from 0) is drawn from, a number in [0, 1); `None` if it is not drawn.
    pub fn drawn(&self, token: u32) -> Option<f64> {
        let (law, key) = match self {
            Self::Formula(formula) if token > 0 => (&formula.between, formula.key),
            Self::Formula(Formula { first, key, .. }) => (first, *key),
            Self::Explicit(Explicit { first, key, .. }) if token == 0 => (first, *key),
            Self::Explicit(_) => return None,
        };
        (!matches!(law, Draw::Ns(_))).then(|| key.with(token.into()).unit())
    }
}

/// What `rules` say of the time after `token`, counted from 1; nothing before the first one.
fn waiting(rules: &[PauseRule], key: Key, token: u32) -> Nanos {
    let mut ns: Nanos = 0;
    for (index, rule) in rules.iter().enumerate().filter(|_| token > 0) {
        let key = key.with(index as u64).with(token.into());
        let is_due = match rule.when {
            PauseWhen::After(after) => after == token,
            PauseWhen::Every(every) => token.is_multiple_of(every.max(1)),
            PauseWhen::Rate(rate) => key.unit() < rate,
        };
        if is_due {
            ns = ns.saturating_add(bounded(rule.law.quantile(key.named("length").unit())));
        }
    }
    ns
}

impl Draw {
    fn of(delay: Delay) -> Result<Self, BadDelay> {
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
            Delay::Law(drawn) => Self::Law(drawn),
            Delay::Other(named) => Self::Law(named_law(&named)?.into()),
        })
    }

    /// The delay before the next token.
    fn draw(&self, key: Key, cursor: &mut TimingCursor) -> Nanos {
        let unit = || key.with(cursor.token.into()).unit();
        match self {
            Self::Ns(ns) => *ns,
            Self::Uniform(min, max) => min + ((max - min) as f64 * unit()) as Nanos,
            Self::LogNormal(law) => law.quantile(unit()) as Nanos,
            Self::Law(drawn) => {
                let mut unit = unit();
                if drawn.correlation != 0.0 {
                    cursor.score = resembling(cursor, drawn.correlation, unit);
                    // A score far out has a share that rounds to 1, which no law has a value for.
                    unit = normal_cdf(cursor.score).min(1.0 - f64::EPSILON / 2.0);
                }
                bounded(drawn.law.quantile(unit) * drawn.factor + f64::from(drawn.extra_us) * 1e3)
            }
        }
    }
}

/// The next normal score of an autoregressive series of order one (Box and Jenkins): the last one times `correlation`, and so much of
/// the fresh draw `unit` that the score stays standard normal. The first gap is drawn afresh.
fn resembling(cursor: &TimingCursor, correlation: f64, unit: f64) -> f64 {
    let fresh = normal_quantile(unit);
    if cursor.token <= 1 {
        return fresh;
    }
    correlation * cursor.score + libm::sqrt(1.0 - correlation * correlation) * fresh
}

/// The law that a plugin names, with the parameters that a scenario would have. Made once for each text: a plugin names the same few
/// in every call.
fn named_law(named: &Named) -> Result<Arc<Law>, BadDelay> {
    type Known = Cache<(String, String), Arc<Law>>;
    static KNOWN: LazyLock<Known> = LazyLock::new(|| {
        let bytes =
            |(kind, json): &(String, String), _: &Arc<Law>| (kind.len() + json.len() + 256).try_into().unwrap_or(u32::MAX);
        Cache::builder().max_capacity(NAMED_LAWS_BYTES).weigher(bytes).build()
    });
    let key = (named.kind.clone(), named.json.clone());
    if let Some(law) = KNOWN.get(&key) {
        return Ok(law);
    }
    let bad = |message| BadDelay { kind: named.kind.clone(), message };
    let Some(kind) = Kind::find(&named.kind) else {
        let known = KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        return Err(bad(format!("unknown; this version knows {known}")));
    };
    let parameters = serde_json::from_str(&named.json).map_err(|error| bad(format!("its parameters are no JSON: {error}")))?;
    let law = kind.read(&parameters, "", Scope::delay(None)).map_err(|problems| {
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bad(said.join("; "))
    })?;
    let law = Arc::new(law);
    KNOWN.insert(key, Arc::clone(&law));
    Ok(law)
}

fn ns(us: u32) -> Nanos {
    u64::from(us).min(DELAY_US_MAX) * 1_000
}

/// `ns` in whole nanoseconds, at most the longest delay.
fn bounded(ns: f64) -> Nanos {
    (ns as Nanos).min(DELAY_US_MAX * 1_000)
}

#[cfg(test)]
#[path = "timing_tests.rs"]
mod tests;
