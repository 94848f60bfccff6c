//! What the program says about itself: [`metrics`] for machines, [`logs`] for people.

pub mod logs;
pub mod metrics;
