//! What Simwright costs, as ratios against bare servers that are measured in the same run.
//!
//! Reading order: [`cli`] lists the measurements, [`measure`] holds one file for each. They start servers through [`child`] (the
//! bare ones are in [`baseline`]), ask them through [`load`], and hand their [`figures`] to [`report`]. [`scenario`] writes what
//! Simwright plays, [`palette`] has options for every native behaviour, [`bodies`] has what no parser likes, and [`clock`] is the only
//! file that reads the time. [`inside`] is for programs that measure in their own process.

pub mod baseline;
pub mod bodies;
pub mod child;
pub mod cli;
pub mod clock;
pub mod figures;
pub mod inside;
pub mod load;
pub mod measure;
pub mod palette;
pub mod report;
pub mod rivals;
pub mod scenario;
