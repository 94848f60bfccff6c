//! What the plugin has to say to the people who run it: lines in the host's log and counters in its metrics.
//!
//! `log::info!("{n} retries")` and its siblings take the arguments of `format!`. Lines are bounded per call.

use crate::host;

pub use crate::bindings::base::simwright::plugin::log::Level;

/// Writes one line. The macros of this module read better.
pub fn write(level: Level, message: &str) {
    host::log(level, message);
}

/// Adds to a counter of the plugin's own in the host's metrics.
pub fn count(metric: &str, by: u64) {
    host::count(metric, by);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($arguments)+)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($arguments)+)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($arguments)+)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($arguments)+)) };
}

pub use crate::__log_debug as debug;
pub use crate::__log_error as error;
pub use crate::__log_info as info;
pub use crate::__log_warn as warn;

#[cfg(test)]
mod tests {
    use crate::log;
    use crate::testing::FakeHost;

    #[test]
    fn lines_and_counters_reach_the_host() {
        let host = FakeHost::new();
        log::info!("{} retries", 3);
        log::count("refused", 2);
        log::count("refused", 1);
        assert_eq!(host.logs(), [(log::Level::Info, "3 retries".to_owned())]);
        assert_eq!(host.counter("refused"), 3);
    }
}
