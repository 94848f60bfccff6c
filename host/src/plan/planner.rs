//! The phases of planning, in order: fault, reply, latency. Each behaviour is asked at most once.

use std::borrow::Cow;
use std::sync::Arc;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::fault::Verdict;
use crate::clock::Nanos;
use crate::plan::altered::alter;
use crate::plan::generation::{Generation, Model, Slot};
use crate::plan::identity::Identity;
use crate::plan::realise::{Refused, realise};
use crate::plan::reply::Reply;
use crate::plan::timing::Timing;
use crate::plan::verdict::{Outcome, Unplayable, leaves_nothing, resolve};
use crate::plan::{Phase, Plan};
use crate::types::api_error::{ApiError, ErrorKind};
use crate::types::request::Request;
use crate::types::usage::Usage;

/// What the player knows of a request besides its text.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Who it is.
    pub identity: Identity,
    /// When it arrived.
    pub now: Nanos,
    /// Tokens of its prompt.
    pub input_tokens: u32,
    /// Requests that the model is answering as this one arrives.
    pub running: u32,
    /// Requests that wait for the model as this one arrives.
    pub waiting: u32,
}

/// Decides what will happen to `request`, which model entry `model` answers.
pub fn plan(generation: &Arc<Generation>, model: usize, request: &Arc<Request>, facts: &Facts) -> Plan {
    let mut plan = Plan {
        generation: Arc::clone(generation),
        model,
        identity: facts.identity,
        last_asked: None,
        struck: None,
        outcome: Outcome::Answer,
        reply: Reply::default(),
        timing: Timing::immediate(),
        usage: Usage { input: facts.input_tokens, ..Usage::default() },
        told: Usage { input: facts.input_tokens, ..Usage::default() },
        fallbacks: Vec::new(),
    };
    if let Err(refusal) = decide(&mut plan, request, facts) {
        plan.outcome = Outcome::Refuse(refusal);
        plan.reply = Reply::default();
    }
    plan
}

fn decide(plan: &mut Plan, request: &Arc<Request>, facts: &Facts) -> Result<(), ApiError> {
    let generation = Arc::clone(&plan.generation);
    let entry = &generation.scenario.models[plan.model];
    let model = &generation.models[plan.model];
    let limit = output_limit(request, entry.context_window, entry.max_output_tokens, facts.input_tokens)?;
    let mut call = Call {
        identity: facts.identity.identity,
        attempt: facts.identity.attempt,
        occurrence: facts.identity.occurrence,
        seed: 0,
        now: facts.now,
        model: plan.model as u32,
        tenant: 0,
        stage: 0,
        operation: request.operation,
        input_tokens: facts.input_tokens,
        max_output_tokens: limit,
        running: facts.running,
        waiting: facts.waiting,
        request,
        draws: None,
    };
    let events = facts.identity.event_key(generation.seed);
    let content = facts.identity.content_key(generation.seed);

    plan.last_asked = Some(Phase::Fault);
    let (verdict, struck) = judge(model, &mut call, events, &mut plan.fallbacks)?;
    plan.struck = struck;
    let struck_seed = call.seed;
    let unplayable =
        |error: Unplayable| failed("fault", struck.map_or("", |struck| &model.faults[struck].name), &error.to_string());
    if leaves_nothing(&verdict) {
        plan.outcome = resolve(verdict, 0).map_err(unplayable)?;
        return Ok(());
    }

    plan.last_asked = Some(Phase::Reply);
    call.seed = content.named("responder").bits();
    let answers = ask(&model.reply, "responder", &mut plan.fallbacks, |reply| reply.respond(&call, request.choices))?;
    plan.reply = realise(&generation, request, &answers, content.named("reply"), limit).map_err(|refused| match refused {
        Refused::Client(error) => error,
        Refused::Responder(message) => failed("responder", &model.reply.name, &message),
    })?;
    (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();
    plan.told = plan.usage;

    plan.last_asked = Some(Phase::Latency);
    let steps = plan.reply.steps();
    let key = events.named("latency");
    call.seed = key.bits();
    let schedule = ask(&model.latency, "latency", &mut plan.fallbacks, |latency| latency.plan(&call, steps))?;
    plan.timing = Timing::of_schedule(schedule, key.named("gap"))
        .map_err(|error| failed("latency", &model.latency.name, &error.to_string()))?;
    plan.outcome = resolve(verdict, steps).map_err(unplayable)?;
    call.seed = struck_seed;
    alter(plan, &call);
    Ok(())
}

/// The first verdict that is not "pass", and the index of the fault that gave it.
fn judge(
    model: &Model,
    call: &mut Call<'_>,
    events: crate::random::Key,
    fallbacks: &mut Vec<&'static str>,
) -> Result<(Verdict, Option<usize>), ApiError> {
    for (index, slot) in model.faults.iter().enumerate() {
        call.seed = events.named("fault").with(index as u64).bits();
        match ask(slot, "fault", fallbacks, |fault| fault.decide(call))? {
            Verdict::Pass => {}
            verdict => return Ok((verdict, Some(index))),
        }
    }
    Ok((Verdict::Pass, None))
}

/// Asks a behaviour, and its fallback if it fails.
fn ask<B: ?Sized, T>(
    slot: &Slot<B>,
    kind: &'static str,
    fallbacks: &mut Vec<&'static str>,
    question: impl Fn(&B) -> Result<T, BehaviorError>,
) -> Result<T, ApiError> {
    let error = match question(&slot.primary) {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    match &slot.fallback {
        Some(fallback) => {
            fallbacks.push(kind);
            question(fallback).map_err(|error| failed(kind, &slot.name, &error.to_string()))
        }
        None => Err(failed(kind, &slot.name, &error.to_string())),
    }
}

/// A behaviour failed and nothing took its place: our own 500, so that nobody takes it for a fault that was asked for.
fn failed(kind: &str, name: &str, message: &str) -> ApiError {
    let message = match name {
        "" => format!("simwright: {kind}: {message}"),
        _ if message.contains(name) => format!("simwright: {message}"),
        _ => format!("simwright: {kind} `{name}`: {message}"),
    };
    ApiError { kind: ErrorKind::Server, code: Some(Cow::Borrowed("behaviour_failed")), ..ApiError::of_status(500, message) }
}

/// The most tokens that a reply may have, or the vendor's refusal of a prompt that is too long.
fn output_limit(request: &Request, context_window: u32, model_limit: u32, input_tokens: u32) -> Result<u32, ApiError> {
    let asked = request.max_output_tokens.unwrap_or(model_limit).min(model_limit);
    if input_tokens >= context_window {
        let message = format!(
            "This model's maximum context length is {context_window} tokens. However, your messages resulted in {input_tokens} \
             tokens. Please reduce the length of the messages."
        );
        return Err(ApiError::invalid("messages", message).with_code("context_length_exceeded"));
    }
    Ok(asked.min(context_window - input_tokens))
}
