//! What a planned request brings to the stations of its model's pipeline.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::plan::Plan;
use crate::plan::generation::Generation;
use crate::plan::planner::{Facts, output_limit};
use crate::plan::prefix::prefix_of;
use crate::plan::verdict::{Action, Interrupt, Outcome, Place};
use crate::station::balancer::chooser::Asker;
use crate::station::pipeline::Work;
use crate::station::replica::Prefix;
use crate::types::request::Request;

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
    /// Its tier.
    pub tier: Option<usize>,
    /// The request, where choosers may want to look into it.
    pub request: Option<Arc<Request>>,
}

impl Caller {
    /// Whose `request` is, of which `facts` are known and which the entry `model` answers.
    pub fn of(generation: &Generation, model: usize, request: &Arc<Request>, facts: &Facts) -> Self {
        let tenant = request.tenant_key(generation.scenario.tenant_header.as_ref());
        let priority = facts.tier.map_or(0, |tier| generation.scenario.tiers[tier].priority);
        let prefix = prefix_of(generation, model, request);
        Self { tenant, priority, prefix, tier: facts.tier, request: Some(Arc::clone(request)) }
    }
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
        asker: caller.request.and_then(|request| asker(plan, caller.tier, request)),
    }
}

/// What the request tells choosers of itself; nothing if its generation has none.
fn asker(plan: &Plan, tier: Option<usize>, request: Arc<Request>) -> Option<Box<Asker>> {
    let choosers = Arc::clone(plan.generation.choosers.as_ref()?);
    let scenario = &plan.generation.scenario;
    Some(Box::new(Asker {
        choosers,
        model: plan.model as u32,
        tenant: tier.unwrap_or(scenario.tiers.len()) as u32,
        attempt: plan.identity.attempt,
        occurrence: plan.identity.occurrence,
        max_output_tokens: output_limit(&request, &scenario.models[plan.model], plan.usage.input),
        stages: Arc::clone(&plan.generation.models[plan.model].stage_numbers),
        request,
    }))
}
