//! Every limit with its default and the reason for it. Code that enforces a limit names it from here, whatever file it stands in.
//!
//! The macro makes each a constant and an entry of its file's list, and [`all`] goes through them, which `simwright limits` prints: what
//! is written is what is shown. A name holds the unit: `BYTES`, `US`, `MS` and `S` for sizes and times, nothing for numbers.

pub use crate::types::limit::Limit;

macro_rules! limits {
    ($list:ident $($(#[doc = $reason:literal])+ pub const $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[doc = $reason])+ pub const $name: $type = $value;)+

        /// Every limit, in the order of this file.
        pub(super) const $list: &[crate::types::limit::Limit] = &[
            $(crate::types::limit::Limit { name: stringify!($name), value: $name as u64, reason: concat!($($reason),+) },)+
        ];
    };
}

mod doors;
mod kept;
mod packs;
mod plugins;
mod requests;
mod runs;
mod scenario;

pub use doors::*;
pub use kept::*;
pub use packs::*;
pub use plugins::*;
pub use requests::*;
pub use runs::*;
pub use scenario::*;

/// Every limit, one theme after the other.
pub fn all() -> impl Iterator<Item = &'static Limit> {
    const LISTS: [&[Limit]; 7] = [REQUESTS, DOORS, KEPT, PLUGINS, PACKS, SCENARIO, RUNS];
    LISTS.into_iter().flatten()
}
