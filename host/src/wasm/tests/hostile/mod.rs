//! Guests that mean harm. Each case has an id, P1 to P18, which the tests name; and here is where they are.
//!
//! # Cases
//!
//! P1 loops and P10 floods of host calls: [`time`]. P2 memory and P3 recursion: [`space`]. P4 traps and P5 panics of the host: [`traps`].
//! P6 to P8 values: [`values`], `judge` and `tests/answers`. P9 imports, P15 compile bombs and P16 broken files: [`files`], and `it/compiler.rs`.
//! P12 what the last guest left: [`bleed`]. P17 the cache: `compile_cache`. P11, P13, P14, P18, and most others once more behind the
//! real server: `it/hostile`.
//!
//! Tests run in a size that takes seconds together; `SIMWRIGHT_FULL=1` asks for the whole.

mod bleed;
mod files;
mod mangler;
mod space;
mod time;
mod traps;
mod values;

pub(super) use space::around as of_modules;

/// `full` if tests are to run in their full size, else `quick`.
fn size<T>(quick: T, full: T) -> T {
    if std::env::var_os("SIMWRIGHT_FULL").is_some_and(|value| value == "1") { full } else { quick }
}
