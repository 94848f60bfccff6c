//! Numbers about numbers: [`law`] is any law of delays by a uniform draw, on top of [`distribution`] (normal and log-normal) and
//! [`gamma`]; [`zipf`] is who is popular; [`histogram`] remembers what was measured in fixed memory; [`embedding`] is texts as vectors.

pub mod distribution;
pub mod embedding;
pub mod gamma;
pub mod histogram;
pub mod law;
pub mod zipf;
