//! What a planned request brings to the stations of its model's pipeline.

use smallvec::SmallVec;

use crate::plan::Plan;
use crate::plan::verdict::{Action, Interrupt, Outcome, Place};
use crate::station::pipeline::Work;
use crate::station::replica::Prefix;

/// Bytes of one token on a link, prompt and reply alike: English has about four.
pub const TOKEN_BYTES: u32 = 4;

/// Whose request it is, as the stations see it.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Number of the tenant ([`Request::tenant_key`](crate::types::request::Request::tenant_key)).
    pub tenant: u64,
    /// The priority of its tier.
    pub priority: u8,
    /// What of the prompt others share.
    pub prefix: Prefix,
}

/// Does the request that `plan` answers go to the stations of its model's pipeline? Not if the model has none, nor if nothing of it is
/// answered.
pub fn enters(plan: &Plan) -> bool {
    plan.generation.scenario.models[plan.model].pipeline.is_some() && plan.outcome.is_answered()
}

/// What `plan` brings. A reply that is cut is written up to the cut.
pub fn work_of(plan: &Plan, caller: Caller) -> Work {
    let steps = plan.reply.steps();
    let written = match &plan.outcome {
        Outcome::Interrupt(Interrupt { place: Place::AfterStep(step), action }) if action.ends_the_reply() => steps.min(*step),
        Outcome::Interrupt(Interrupt { place: Place::BeforeHead, action: Action::Cut(_) | Action::Hang(_) }) => 0,
        Outcome::Refuse(_) => 0,
        _ => steps,
    };
    let is_cut = match &plan.outcome {
        Outcome::Interrupt(Interrupt { place: Place::AfterStep(_), action }) => action.ends_the_reply(),
        _ => false,
    };
    let asks_latency =
        plan.generation.scenario.models[plan.model].pipeline.as_ref().is_some_and(|pipeline| pipeline.asks_latency);
    Work {
        route: plan.model as u16,
        tenant: caller.tenant,
        priority: caller.priority,
        content: plan.identity.content,
        affinity: plan.identity.identity,
        prompt_tokens: plan.usage.input,
        output_tokens: written,
        prefix: caller.prefix,
        bytes: (plan.usage.input.saturating_add(written)).saturating_mul(TOKEN_BYTES),
        reply_ns: if asks_latency { plan.timing.length(written) } else { 0 },
        step: plan.step.map(Box::new),
        takes: SmallVec::from_slice(&plan.stages),
        choices: SmallVec::from_slice(&plan.choices),
        is_cut,
        draws: plan.events.named("station"),
    }
}
