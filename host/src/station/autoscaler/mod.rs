//! How many replicas a group shall have: asked once in an interval with what was to be seen in it, and answered with a number.
//!
//! A [`Rule`] wishes (`target` follows the load, `schedule` the time), or a [`Scaler`] from outside does. What is wished becomes what is
//! wanted through two [`Pace`]s, one up and one down: a wish must have held for a time, changes are bounded, and pauses follow them. That
//! is how Kubernetes' horizontal pod autoscaler does it (stabilisation windows, policies), with the numbers left to the scenario.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::Nanos;
use crate::station::Unanswered;

mod schedule;
mod target;
#[cfg(test)]
mod tests;

pub use schedule::Schedule;
pub use target::Target;

/// What an autoscaler is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The fewest replicas. Without any, the first request that comes starts one.
    pub least: u32,
    /// The most, at least `least` and 1. Those that start or drain count.
    pub most: u32,
    /// From one decision to the next, in nanoseconds, at least 1. Decisions fall on multiples of it since the run began.
    pub every_ns: Nanos,
    /// From the start of a replica until it is ready, in nanoseconds.
    pub boot_ns: Nanos,
    /// How long a replica may finish what it has before that is broken off, in nanoseconds. 0: as long as it takes.
    pub drain_ns: Nanos,
    /// What is wished where nobody else is asked, or gives no answer.
    pub rule: Rule,
    /// How more come to be wanted.
    pub up: Pace,
    /// How fewer come to be wanted.
    pub down: Pace,
}

/// What is wished.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// What is wanted already.
    Keep,
    /// So many that each has its share of the load.
    Target(Target),
    /// So many as the time says.
    Schedule(Schedule),
}

impl Rule {
    /// Why it wishes what it does, in words.
    fn reason(&self, sight: &Sight) -> String {
        match self {
            // It wishes for bounds that have changed.
            Self::Keep => "what there is, within `min` and `max`".to_owned(),
            Self::Target(target) => target.reason(sight),
            Self::Schedule(_) => "the time says so".to_owned(),
        }
    }
}

/// How a wish becomes what is wanted, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long every wish must have been beyond what is wanted, in nanoseconds; the nearest of them counts.
    pub after_ns: Nanos,
    /// Replicas of one decision at most, at least 1.
    pub step: u32,
    /// How long after a change in either direction, in nanoseconds.
    pub pause_ns: Nanos,
}

impl Pace {
    /// At once, by any number.
    pub const FREE: Self = Self { after_ns: 0, step: u32::MAX, pause_ns: 0 };
}

/// What is to be seen of a group. Rates, shares and means are of the time since the decision before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sight {
    /// When.
    pub now: Nanos,
    /// Time since the decision before, in nanoseconds.
    pub interval_ns: Nanos,
    /// How many were wanted last.
    pub wanted: u32,
    /// Replicas that take requests.
    pub ready: u32,
    /// Replicas that are on their way to that.
    pub starting: u32,
    /// Replicas that only finish what they have.
    pub draining: u32,
    /// Requests that are worked on.
    pub running: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// Requests that came.
    pub arrivals: u64,
    /// Requests that were turned away.
    pub refused: u64,
    /// The time that replicas computed, in replicas: 1.5 if two computed, one of them half of the time.
    pub busy: f64,
    /// The same as a share of the replicas that were ready or draining, 0 to 1.
    pub busy_share: f64,
    /// The KV caches of ready replicas in use, in replicas.
    pub kv: f64,
    /// From coming to the first token: mean, in nanoseconds; 0 if none came.
    pub first_token_ns: Nanos,
    /// The longest of them.
    pub first_token_max_ns: Nanos,
}

/// A rule that is no part of this program: a plugin. It neither waits nor looks at a clock.
pub trait Scaler: Send + Sync {
    /// The wish for the group called `station`, which has these `settings`, or why there is none.
    fn wish(&self, station: &str, seed: u64, settings: &Settings, sight: &Sight) -> Result<Wished, Unanswered>;
}

/// What a scaler wishes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wished {
    /// The wish.
    pub wish: Wish,
    /// In its own words.
    pub reason: String,
}

/// What a scaler wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// What is wanted already.
    Keep,
    /// So many, within the settings' bounds.
    Replicas(u32),
}

/// That more or fewer replicas are wanted from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub at: Nanos,
    /// How many were wanted before.
    pub from: u32,
    /// How many are wanted.
    pub to: u32,
    /// How many were wished; what is wanted follows at the pace of the settings.
    pub wished: u32,
    /// Who wished.
    pub by: Decider,
    /// Why.
    pub reason: String,
}

/// Who wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider {
    /// The rule of the settings.
    Rule,
    /// Somebody from outside.
    Plugin,
    /// The rule of the settings, because who was asked gave no answer.
    Fallback,
    /// A request that came while nobody was ready or starting.
    Request,
}

impl Decider {
    /// The word for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Plugin => "plugin",
            Self::Fallback => "fallback",
            Self::Request => "request",
        }
    }
}

/// A scaler with what it is asked with.
#[derive(Clone)]
pub struct Asked {
    /// The plugin.
    pub scaler: Arc<dyn Scaler>,
    /// The name of its group.
    pub station: Arc<str>,
    /// Below this the seeds of its decisions are drawn.
    pub draws: crate::random::Key,
}

/// The wishes so far, and what became of them.
pub struct Autoscaler {
    settings: Settings,
    asked: Option<Asked>,
    /// Wishes with their times, oldest first, as far back as a pace looks.
    wishes: VecDeque<(Nanos, u32)>,
    changed_at: Option<Nanos>,
    fell_back: u64,
}

impl Autoscaler {
    /// An autoscaler of a group that has had `count` replicas until `now`.
    pub fn new(settings: Settings, now: Nanos, count: u32) -> Self {
        Self { settings, asked: None, wishes: VecDeque::from([(now, count)]), changed_at: None, fell_back: 0 }
    }

    /// Forgets all wishes: the group has had `count` replicas until `now`, when it begins.
    pub fn begin(&mut self, now: Nanos, count: u32) {
        (self.wishes, self.changed_at) = (VecDeque::from([(now, count)]), None);
    }

    /// Asks `asked` from now on, or the rule of the settings.
    pub fn ask(&mut self, asked: Option<Asked>) {
        self.asked = asked;
    }

    /// Decides whether more or fewer are wanted from now on; `None` if as many are.
    pub fn decide(&mut self, sight: &Sight) -> Option<Decision> {
        let (wish, by, reason) = self.wish(sight);
        let wish = wish.clamp(self.settings.least, self.settings.most);
        let (now, wanted) = (sight.now, sight.wanted);
        let Settings { up, down, .. } = self.settings;
        self.wishes.push_back((now, wish));
        let kept_ns = up.after_ns.max(down.after_ns);
        while self.wishes.front().is_some_and(|(at, _)| at.saturating_add(kept_ns) < now) {
            self.wishes.pop_front();
        }
        let within =
            |after_ns: Nanos| self.wishes.iter().filter(move |(at, _)| at.saturating_add(after_ns) >= now).map(|wish| wish.1);
        let least = within(up.after_ns).min().unwrap_or(wish);
        let most = within(down.after_ns).max().unwrap_or(wish);
        let may = |pace: Pace| self.changed_at.is_none_or(|at| at.saturating_add(pace.pause_ns) <= now);
        let next = if least > wanted && may(up) {
            least.min(wanted.saturating_add(up.step))
        } else if most < wanted && may(down) {
            most.max(wanted.saturating_sub(down.step))
        } else {
            wanted
        };
        if next == wanted {
            return None;
        }
        self.changed_at = Some(now);
        let reason = match by {
            Decider::Rule => self.settings.rule.reason(sight),
            Decider::Fallback => format!("{reason}; {}", self.settings.rule.reason(sight)),
            Decider::Plugin | Decider::Request => reason,
        };
        Some(Decision { at: now, from: wanted, to: next, wished: wish, by, reason })
    }

    /// A request came at `now` while nobody was ready or starting: one is wanted at least. `None` if it was already.
    pub fn wake(&mut self, now: Nanos, wanted: u32) -> Option<Decision> {
        if wanted > 0 {
            return None;
        }
        self.wishes.push_back((now, 1));
        self.changed_at = Some(now);
        let reason = "a request came, and no replica was there".to_owned();
        Some(Decision { at: now, from: 0, to: 1, wished: 1, by: Decider::Request, reason })
    }

    /// How many are wished, by whom, and why, as far as that is not for the rule to say.
    fn wish(&mut self, sight: &Sight) -> (u32, Decider, String) {
        let (mut by, mut reason) = (Decider::Rule, String::new());
        if let Some(Asked { scaler, station, draws }) = &self.asked {
            match scaler.wish(station, draws.with(sight.now).bits(), &self.settings, sight) {
                Ok(Wished { wish: Wish::Replicas(wish), reason }) => return (wish, Decider::Plugin, reason),
                Ok(Wished { wish: Wish::Keep, reason }) => return (sight.wanted, Decider::Plugin, reason),
                Err(error) => {
                    self.fell_back += 1;
                    (by, reason) = (Decider::Fallback, error.to_string());
                }
            }
        }
        let wish = match &self.settings.rule {
            Rule::Keep => sight.wanted,
            Rule::Target(target) => target.wish(sight),
            Rule::Schedule(schedule) => schedule.wish(sight.now),
        };
        (wish, by, reason)
    }

    /// How often the rule of the settings had to wish, because who was asked gave no answer.
    pub fn fell_back(&self) -> u64 {
        self.fell_back
    }

    /// What it is like.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
