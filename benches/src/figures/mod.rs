//! The arithmetic behind the figures, without sockets or processes.
//!
//! [`prometheus`] reads what a server says about itself, [`buckets`] turns two scrapes into quantiles, [`rounds`] turns several
//! rounds into one number and the worst, and [`verdict`] judges it against its budget.

pub mod buckets;
pub mod prometheus;
pub mod rounds;
pub mod verdict;
