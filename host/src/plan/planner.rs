//! The phases of planning, in order: fault, reply, latency. Each behaviour is asked at most once.

use std::borrow::Cow;
use std::sync::Arc;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::fault::Verdict;
use crate::behavior::responder::{Answer, Item};
use crate::clock::Nanos;
use crate::plan::generation::{Generation, Model, Slot};
use crate::plan::identity::Identity;
use crate::plan::realise::{Refused, realise};
use crate::plan::reply::Reply;
use crate::plan::timing::Timing;
use crate::plan::verdict::{Outcome, Unplayable, leaves_nothing, resolve};
use crate::plan::{Phase, Plan};
use crate::random::{Draws, Key};
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
    plan_noting(generation, model, request, facts, None)
}

/// The same; `draws` notes every draw by name. The plan is the same with it and without.
pub fn plan_noting(
    generation: &Arc<Generation>,
    model: usize,
    request: &Arc<Request>,
    facts: &Facts,
    draws: Option<&Draws>,
) -> Plan {
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
        fallbacks: Vec::new(),
    };
    if let Err(refusal) = decide(&mut plan, request, facts, draws) {
        plan.outcome = Outcome::Refuse(refusal);
        plan.reply = Reply::default();
    }
    plan
}

fn decide(plan: &mut Plan, request: &Arc<Request>, facts: &Facts, draws: Option<&Draws>) -> Result<(), ApiError> {
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
        draws,
    };
    let events = facts.identity.event_key(generation.seed);
    let content = facts.identity.content_key(generation.seed);

    plan.last_asked = Some(Phase::Fault);
    let (verdict, struck) = judge(model, &mut call, events, &mut plan.fallbacks)?;
    plan.struck = struck;
    let unplayable =
        |error: Unplayable| failed("fault", struck.map_or("", |struck| &model.faults[struck].name), &error.to_string());
    if leaves_nothing(&verdict) {
        plan.outcome = resolve(verdict, 0).map_err(unplayable)?;
        return Ok(());
    }

    plan.last_asked = Some(Phase::Reply);
    call.seed = content.named("responder").bits();
    enter(draws, || format!("reply {}", model.reply.name));
    let answers = ask(&model.reply, "responder", &mut plan.fallbacks, |reply| reply.respond(&call, request.choices))?;
    if let Some(draws) = draws {
        note_answers(draws, request, &answers, content.named("reply"));
    }
    plan.reply = realise(&generation, request, &answers, content.named("reply"), limit).map_err(|refused| match refused {
        Refused::Client(error) => error,
        Refused::Responder(message) => failed("responder", &model.reply.name, &message),
    })?;
    (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();

    plan.last_asked = Some(Phase::Latency);
    let steps = plan.reply.steps();
    let key = events.named("latency");
    call.seed = key.bits();
    enter(draws, || format!("latency {}", model.latency.name));
    let schedule = ask(&model.latency, "latency", &mut plan.fallbacks, |latency| latency.plan(&call, steps))?;
    plan.timing = Timing::of_schedule(schedule, key.named("gap"))
        .map_err(|error| failed("latency", &model.latency.name, &error.to_string()))?;
    if let Some(draws) = draws {
        note_delays(draws, &plan.timing, steps);
    }
    plan.outcome = resolve(verdict, steps).map_err(unplayable)?;
    Ok(())
}

fn enter(draws: Option<&Draws>, scope: impl Fn() -> String) {
    if let Some(draws) = draws {
        draws.enter(scope());
    }
}

/// Notes from which seed each choice is written, and how long the responder wants what the host writes for it.
fn note_answers(draws: &Draws, request: &Request, answers: &[Answer], key: Key) {
    let wanted = |answer: &Answer| {
        let tokens = answer.items.iter().filter_map(|item| match item {
            Item::Generate(text) | Item::Think(text) => Some(text.tokens),
            _ => None,
        });
        tokens.map(|tokens| format!("{tokens} tokens")).collect::<Vec<_>>().join(" and ")
    };
    for index in 0..request.choices {
        let answer = answers.get(index as usize).or(answers.last());
        let meaning = answer.map(wanted).unwrap_or_default();
        draws.note_seed(&format!("choice {index}"), key.with(index.into()).bits(), meaning);
    }
    if request.logprobs.is_some() {
        draws.note_seed("log probabilities", key.named("logprob").bits(), "");
    }
}

/// Notes what the delays before the first tokens are drawn from; the others follow in the same way.
fn note_delays(draws: &Draws, timing: &Timing, steps: u32) {
    const NOTED: u32 = 8;
    for token in 0..steps.min(NOTED) {
        if let Some(unit) = timing.drawn(token) {
            let name = if token == 0 { "first token".to_owned() } else { format!("gap after token {token}") };
            draws.note(&name, unit);
        }
    }
}

/// The first verdict that is not "pass", and the index of the fault that gave it.
fn judge(
    model: &Model,
    call: &mut Call<'_>,
    events: Key,
    fallbacks: &mut Vec<&'static str>,
) -> Result<(Verdict, Option<usize>), ApiError> {
    for (index, slot) in model.faults.iter().enumerate() {
        call.seed = events.named("fault").with(index as u64).bits();
        enter(call.draws, || format!("fault {} {}", index + 1, slot.name));
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
