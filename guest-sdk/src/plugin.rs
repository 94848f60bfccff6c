//! How a plugin is set up: once per instance, with options that the scenario gives and the setting in which it works.
//!
//! A type made by [`options!`](crate::options!) is a plugin as it stands. A plugin that prepares more than options (a table, a
//! compiled list) is a type of its own with [`Plugin::configure`]. Instances come and go: a changed scenario makes new ones with
//! new names, and the host keeps as many as it has workers. What must outlive an instance belongs into [`state`](crate::state).

use std::time::Duration;

use crate::call::Call;
use crate::options::Options;

pub use crate::bindings::base::simwright::plugin::types::{Named, Problem};
pub use crate::bindings::lifecycle::exports::simwright::plugin::lifecycle::{About, Names, Setting};

/// A plugin as the host sees it: something made from options.
pub trait Plugin: Sized {
    /// What the scenario may set. `()` if nothing.
    type Options: Options;

    /// Makes an instance. Errors are mistakes in the options, as many as there are; they refuse the scenario.
    fn configure(options: Self::Options, setting: &Setting) -> Result<Self, Vec<Problem>>;
}

impl<T: Options> Plugin for T {
    type Options = T;

    fn configure(options: T, _setting: &Setting) -> Result<T, Vec<Problem>> {
        Ok(options)
    }
}

impl Problem {
    /// A mistake in the option at `path`, a JSON pointer such as `/depth`; empty for the whole. The message starts in lower case
    /// and names the culprit in backticks.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None }
    }

    /// The same with a hint at what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Setting {
    /// The clock that turns a call's time into hours and weekdays.
    pub fn clock(&self) -> Clock {
        Clock { epoch_unix_s: self.epoch_unix_s }
    }

    /// The name of the scenario's entry that answers `call`; empty if the scenario has no such entry.
    pub fn model(&self, call: &Call) -> &str {
        self.names.models.get(call.model as usize).map_or("", String::as_str)
    }

    /// The name of the caller's tenant or tier; empty if the scenario has none.
    pub fn tenant(&self, call: &Call) -> &str {
        self.names.tenants.get(call.tenant as usize).map_or("", String::as_str)
    }
}

/// What happens at a moment of the run: a call, a choice between backends, a decision about a group.
pub trait Moment {
    /// Time since the run began, on whichever clock runs.
    fn now(&self) -> Duration;
}

impl Moment for Call {
    fn now(&self) -> Duration {
        self.now()
    }
}

/// Turns a call's time into times of day, in real and in virtual time alike. Copy it out of the [`Setting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    epoch_unix_s: u64,
}

impl Clock {
    /// The moment at which the run began, since 1970-01-01T00:00:00Z.
    pub fn epoch(self) -> Duration {
        Duration::from_secs(self.epoch_unix_s)
    }

    /// The moment of `call` since 1970-01-01T00:00:00Z.
    pub fn unix_time(self, call: &impl Moment) -> Duration {
        self.epoch().saturating_add(call.now())
    }

    /// The hour of the day in UTC as a fraction: 13.5 is half past one. From 0, below 24.
    pub fn hour_of_day(self, call: &impl Moment) -> f64 {
        self.hour_of_day_at(call, 0.0)
    }

    /// The hour of the day where clocks are `utc_offset_hours` ahead of UTC. From 0, below 24.
    pub fn hour_of_day_at(self, call: &impl Moment, utc_offset_hours: f64) -> f64 {
        let time = self.unix_time(call);
        // The day is split off in whole seconds, so that the fraction keeps its precision decades after 1970.
        let hour = ((time.as_secs() % 86_400) as f64 + f64::from(time.subsec_nanos()) / 1e9) / 3600.0;
        (hour + utc_offset_hours).rem_euclid(24.0)
    }

    /// The day of the week in UTC: 0 is Monday, 6 is Sunday.
    pub fn weekday(self, call: &impl Moment) -> u32 {
        // 1970-01-01 was a Thursday.
        ((self.unix_time(call).as_secs() / 86_400 + 3) % 7) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn hours_and_weekdays_come_from_the_epoch_and_the_calls_time() {
        // 2026-01-01T00:00:00Z, a Thursday.
        let clock = testing::setting().epoch(1_767_225_600).build().clock();
        let call = testing::call().now(Duration::from_secs(13 * 3600 + 1800)).build();
        assert_eq!(clock.hour_of_day(&call), 13.5);
        assert_eq!(clock.hour_of_day_at(&call, 12.0), 1.5);
        assert_eq!(clock.hour_of_day_at(&call, -14.0), 23.5);
        assert_eq!(clock.weekday(&call), 3);
        let four_days_later = testing::call().now(Duration::from_secs(4 * 86_400)).build();
        assert_eq!(clock.weekday(&four_days_later), 0);
    }

    #[test]
    fn names_beyond_the_scenario_are_empty() {
        let setting = testing::setting().models(["gpt-5"]).build();
        assert_eq!(setting.model(&testing::call().build()), "gpt-5");
        assert_eq!(setting.model(&testing::call().model(7).build()), "");
        assert_eq!(setting.tenant(&testing::call().build()), "");
    }
}
