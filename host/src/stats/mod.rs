//! Numbers about numbers: [`distribution`] draws from laws, [`histogram`] remembers what was measured in fixed memory.

pub mod distribution;
pub mod histogram;
