//! What is known before a run of the way that a model's requests go.

use crate::plan::generation::Generation;
use crate::plan::prefix::block_tokens;
use crate::station::pipeline::route::{Route, Step};
use crate::types::problem::Problem;
use crate::workload::{Arrivals, Workload};

/// What is known beforehand of the way of a model's requests.
pub(super) struct Way {
    pub(super) has_pipeline: bool,
    /// Is it a row of stages, each passed once, so that what is not service is waiting?
    pub(super) is_row: bool,
    /// Tokens of a block at its replicas, if they keep prefixes.
    pub(super) block_tokens: Option<u32>,
}

impl Way {
    pub(super) fn of(generation: &Generation, model: usize) -> Self {
        let pipeline = generation.scenario.models[model].pipeline.as_ref();
        let route = pipeline.map(|pipeline| &pipeline.route);
        Self { has_pipeline: pipeline.is_some(), is_row: route.is_none_or(is_row), block_tokens: block_tokens(generation, model) }
    }
}

fn is_row(route: &Route) -> bool {
    route.steps.iter().all(|step| match step {
        Step::Stage(stage) => stage.on_failure.is_none() && stage.on_hit.is_none() && stage.retry.is_none(),
        Step::End => true,
        Step::Fork { .. } | Step::Join | Step::Switch { .. } | Step::Jump(_) => false,
    })
}

/// Recorded blocks that cannot be made of those of the replicas.
pub(super) fn unfit_blocks(workload: &Workload, ways: &[Way]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in &workload.sources {
        let Arrivals::Trace(trace) = &source.arrivals else { continue };
        if !trace.has_blocks {
            continue;
        }
        let recorded = trace.block_tokens;
        for own in ways.iter().filter_map(|way| way.block_tokens).filter(|own| recorded % own != 0) {
            let message = format!("its blocks have {recorded} tokens, and those of the replicas {own}: they cannot be shared");
            let hint = format!("give the replicas `block-tokens` that divide {recorded}");
            problems.push(Problem::new("/workload/arrivals/trace", message).hint(hint));
        }
    }
    problems.dedup();
    problems
}
