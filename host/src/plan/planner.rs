//! The phases of planning, in order: fault, reply, latency. Each behaviour is asked at most once.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::fault::Verdict;
use crate::behavior::latency::Delay;
use crate::clock::Nanos;
use crate::plan::altered::alter;
use crate::plan::generation::{Generation, Model, Slot, SlotAt};
use crate::plan::identity::Identity;
use crate::plan::notes::{enter, note_answers, note_delays};
use crate::plan::realise::{Refused, realise, realise_length};
use crate::plan::refused::refused;
use crate::plan::reply::Reply;
use crate::plan::timeline::PhaseNow;
use crate::plan::timing::Timing;
use crate::plan::token_counts::{check_length, longest_prompt};
use crate::plan::verdict::{Outcome, Unplayable, leaves_nothing, resolve};
use crate::plan::{Phase, Plan, step_time};
use crate::random::{Draws, Key};
use crate::scenario::ModelEntry;
use crate::scenario::when::{Seen, When};
use crate::scenario::{IncidentSet, Scenario};
use crate::station::Refusal;
use crate::types::api_error::{ApiError, ErrorKind};
use crate::types::overrides;
use crate::types::request::Request;
use crate::types::usage::Usage;

/// What the player knows of a request besides its text.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Who it is.
    pub identity: Identity,
    /// Which attempt it is, from 1: what the client announced, else how often this identity has been seen.
    pub attempt: u32,
    /// Which of its model entry's requests it is, from 1, counted since the run began.
    pub number: u64,
    /// When it arrived.
    pub now: Nanos,
    /// The phase in which it arrived: index in the scenario's time line.
    pub phase: Option<usize>,
    /// The incidents that apply to it; [`crate::plan::timeline::applying`] draws them.
    pub incidents: IncidentSet,
    /// Tokens of its prompt.
    pub input_tokens: u32,
    /// Requests that the model is answering as this one arrives.
    pub running: u32,
    /// Requests that wait for the model as this one arrives.
    pub waiting: u32,
    /// How long its reply is, where a workload has decided that: the responder is not asked then, and only the entry's limits shorten
    /// the reply. In real time nobody says it.
    pub output_tokens: Option<u32>,
    /// The tier that counts for its tenant.
    pub tier: Option<usize>,
    /// Why a station turned it away: then no behaviour is asked.
    pub refused: Option<Refusal>,
}

impl Facts {
    /// What is known of the first request of a run.
    pub fn first(identity: Identity) -> Self {
        Self {
            identity,
            attempt: 1,
            number: 1,
            now: 0,
            phase: None,
            incidents: IncidentSet::default(),
            input_tokens: 0,
            running: 0,
            waiting: 0,
            output_tokens: None,
            tier: None,
            refused: None,
        }
    }

    /// What is known of a request as it arrives at `now` in `phase`, before its entry is found. `announced` is the attempt that its client
    /// names, from 0; a client that announces none makes one whenever it asks the same again.
    pub fn arriving(identity: Identity, announced: Option<u32>, now: Nanos, phase: Option<PhaseNow>) -> Self {
        let attempt = announced.unwrap_or(identity.occurrence).saturating_add(1);
        Self { attempt, now, phase: phase.map(|now| now.phase), ..Self::first(identity) }
    }

    /// What conditions of `scenario` see of `request`; shares are drawn below `events`, or the key that [`Seen::at`] sets.
    pub fn seen<'a>(
        &self,
        scenario: &'a Scenario,
        seed: u64,
        events: Key,
        request: &'a Request,
        draws: Option<&'a Draws>,
    ) -> Seen<'a> {
        Seen {
            request,
            tenant_header: scenario.tenant_header.as_ref(),
            attempt: self.attempt,
            prompt_tokens: self.input_tokens,
            number: self.number,
            now: self.now,
            key: events,
            identity: (seed, self.identity.identity),
            draws,
        }
    }
}

/// The model entry that answers `request`: the first that matches and whose conditions hold. `number` says of an entry which of its
/// requests this one would be, from 1. `None` means that there is no such model, a 404.
pub fn pick(
    generation: &Generation,
    request: &Request,
    facts: &Facts,
    draws: Option<&Draws>,
    number: impl Fn(usize) -> u64,
) -> Option<usize> {
    let seed = seed_of(generation, request);
    let events = facts.identity.event_key(seed);
    let seen = facts.seen(&generation.scenario, seed, events, request, draws);
    let key = events.named("entry");
    generation
        .scenario
        .find_any(request.names(), |entry, when| when.holds(&Seen { number: number(entry), ..seen.at(key.with(entry as u64)) }))
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
        events: facts.identity.event_key(seed_of(generation, request)),
        last_asked: None,
        phase: facts.phase,
        incidents: facts.incidents.and(generation.models[model].incidents),
        struck: None,
        by_request: false,
        passed_over: 0,
        asked: (None, None),
        outcome: Outcome::Answer,
        reply: Reply::default(),
        timing: Timing::immediate(),
        usage: Usage { input: facts.input_tokens, ..Usage::default() },
        told: Usage { input: facts.input_tokens, ..Usage::default() },
        step: None,
        stages: SmallVec::new(),
        choices: SmallVec::new(),
        fallbacks: Vec::new(),
    };
    if let Some(refusal) = &facts.refused {
        plan.outcome = Outcome::Refuse(refused(refusal, &request.model));
        (plan.usage, plan.told) = (Usage::default(), Usage::default());
        return plan;
    }
    if let Err(refusal) = decide(&mut plan, generation, request, facts, draws) {
        plan.outcome = Outcome::Refuse(*refusal);
        plan.reply = Reply::default();
    }
    plan
}

fn decide(
    plan: &mut Plan,
    generation: &Generation,
    request: &Arc<Request>,
    facts: &Facts,
    draws: Option<&Draws>,
) -> Result<(), Box<ApiError>> {
    let entry = &generation.scenario.models[plan.model];
    let longest = longest_prompt(generation, request, facts.input_tokens, entry.context_window);
    check_length(request, entry.context_window, longest, facts.input_tokens)?;
    let limit = output_limit(request, entry, longest);
    let mut call = Call {
        identity: facts.identity.identity,
        attempt: facts.identity.attempt,
        occurrence: facts.identity.occurrence,
        seed: 0,
        now: facts.now,
        model: plan.model as u32,
        // Callers of no tier are of the nameless one after the last.
        tenant: facts.tier.unwrap_or(generation.scenario.tiers.len()) as u32,
        stage: 0,
        operation: request.operation,
        input_tokens: facts.input_tokens,
        max_output_tokens: limit,
        running: facts.running,
        waiting: facts.waiting,
        request,
        draws,
    };
    let seed = seed_of(generation, request);
    let content = facts.identity.content_key(seed);
    let seen = facts.seen(&generation.scenario, seed, plan.events, request, call.draws);
    let events = plan.events;

    plan.last_asked = Some(Phase::Fault);
    let (verdict, by) = judge(plan, generation, &mut call, &seen, events)?;
    let struck_seed = call.seed;
    let unplayable = |error: Unplayable| failed("fault", by.unwrap_or(""), &error.to_string());
    if leaves_nothing(&verdict) {
        plan.outcome = resolve(verdict, 0).map_err(unplayable)?;
        return Ok(());
    }

    match facts.output_tokens.or(request.overrides.as_ref().and_then(|own| own.output_tokens)) {
        _ if !request.operation.has_words() => plan.reply = Reply::wordless(),
        Some(tokens) => write(plan, generation, request, content, tokens, limit)?,
        None => answer(plan, generation, &mut call, &seen, content)?,
    }
    pace(plan, generation, &mut call, &seen, events.named("latency"))?;
    take_way(plan, generation, &mut call, &seen, events.named("stage"))?;
    if matches!(verdict, Verdict::Pass) {
        return Ok(());
    }
    plan.outcome = resolve(verdict, plan.reply.steps()).map_err(unplayable)?;
    call.seed = struck_seed;
    enter(draws, || format!("fault {}", by.unwrap_or("")));
    alter(plan, &call);
    Ok(())
}

/// Asks what is answered. The text is drawn below `content`; which responder is asked, like all that happens, below the events.
fn answer(
    plan: &mut Plan,
    generation: &Generation,
    call: &mut Call<'_>,
    seen: &Seen<'_>,
    content: Key,
) -> Result<(), Box<ApiError>> {
    let request = call.request;
    plan.last_asked = Some(Phase::Reply);
    call.seed = content.named("responder").bits();
    enter(call.draws, || "reply".to_owned());
    let replies = generation.replies(plan.model, plan.incidents);
    let (at, slot) = first_that_holds(generation, replies, seen, seen.key.named("responder"))?;
    plan.asked.0 = Some(at);
    enter(call.draws, || format!("reply {}", slot.name));
    let answers = ask(slot, "responder", &mut plan.fallbacks, |reply| reply.respond(call, request.choices))?;
    let key = content.named("reply");
    if let Some(draws) = call.draws {
        note_answers(draws, request, &answers, key);
    }
    let refused = |refused| match refused {
        Refused::Client(error) => error,
        Refused::Responder(message) => failed("responder", &slot.name, &message),
    };
    realise(&mut plan.reply, generation, request, &answers, key, call.max_output_tokens).map_err(refused)?;
    (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();
    plan.told = plan.usage;
    Ok(())
}

/// Plans a reply of `tokens` in the first style, at most `limit`, without asking anybody.
fn write(
    plan: &mut Plan,
    generation: &Generation,
    request: &Request,
    content: Key,
    tokens: u32,
    limit: u32,
) -> Result<(), Box<ApiError>> {
    plan.last_asked = Some(Phase::Reply);
    let written = realise_length(&mut plan.reply, generation, request, tokens, content.named("reply"), limit);
    written.map_err(|_| failed("workload", "", "a reply of a given length cannot be written"))?;
    (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();
    plan.told = plan.usage;
    Ok(())
}

/// Asks when it leaves; all of that is drawn below `key`. Where only replicas write the reply, the latency model may say what their
/// steps take, and anything else that it says counts for nothing.
fn pace(plan: &mut Plan, generation: &Generation, call: &mut Call<'_>, seen: &Seen<'_>, key: Key) -> Result<(), Box<ApiError>> {
    let pipeline = generation.scenario.models[plan.model].pipeline.as_ref();
    if pipeline.is_some_and(|pipeline| !pipeline.asks_latency) {
        return Ok(());
    }
    let steps = plan.reply.steps();
    plan.last_asked = Some(Phase::Latency);
    call.seed = key.bits();
    enter(call.draws, || "latency".to_owned());
    let (at, slot) = first_that_holds(generation, generation.latencies(plan.model, plan.incidents), seen, key)?;
    plan.asked.1 = Some(at);
    enter(call.draws, || format!("latency {}", slot.name));
    let mut schedule = ask(slot, "latency", &mut plan.fallbacks, |latency| latency.plan(call, steps))?;
    if let Some(own) = &call.request.overrides {
        schedule.first = own.first_us.map_or(schedule.first, Delay::Us);
        schedule.between = own.between_us.map_or(schedule.between, Delay::Us);
    }
    if pipeline.is_some_and(|pipeline| !pipeline.times_reply) {
        let step = step_time::of(&schedule.first).transpose();
        plan.step = step.map_err(|message| failed("latency", &slot.name, &message))?;
        return Ok(());
    }
    plan.timing = match Timing::of_schedule(schedule, key.named("gap")) {
        Ok(timing) => timing,
        Err(error) => return Err(failed("latency", &slot.name, &error.to_string())),
    };
    if let Some(draws) = call.draws {
        note_delays(draws, &plan.timing, steps);
    }
    Ok(())
}

/// Asks what the stages of the model's pipeline take, and which way its switches go; all of that is drawn below `key`.
fn take_way(
    plan: &mut Plan,
    generation: &Generation,
    call: &mut Call<'_>,
    seen: &Seen<'_>,
    key: Key,
) -> Result<(), Box<ApiError>> {
    let Some(pipeline) = &generation.scenario.models[plan.model].pipeline else { return Ok(()) };
    for (index, switch) in pipeline.switches.iter().enumerate() {
        let key = key.named("switch").with(index as u64);
        let holds =
            |way: usize, when: &Option<Arc<When>>| when.as_ref().is_none_or(|when| when.holds(&seen.at(key.with(way as u64))));
        let way = switch.iter().enumerate().position(|(way, when)| holds(way, when));
        plan.choices.push(way.unwrap_or(switch.len().saturating_sub(1)) as u8);
    }
    let model = &generation.models[plan.model];
    let first = (0..model.stages.len()).map(|stage| (stage, 0));
    let again = model.retried.iter().flat_map(|(stage, times)| (1..=*times).map(|tries| (*stage, tries)));
    for (stage, tries) in first.chain(again) {
        let takes = take_stage(plan, model, call, seen, key.with(stage as u64), (stage, tries))?;
        plan.stages.push(takes);
    }
    call.stage = 0;
    Ok(())
}

/// Asks what `stage` takes that has been tried so many times before, in nanoseconds; all of it is drawn below `key`.
fn take_stage(
    plan: &mut Plan,
    model: &Model,
    call: &mut Call<'_>,
    seen: &Seen<'_>,
    key: Key,
    (stage, tries): (usize, u8),
) -> Result<Nanos, Box<ApiError>> {
    let at = |slot: usize| key.named("when").with(slot as u64).named("when");
    let mut slots = model.stages[stage].iter().enumerate();
    let Some((_, slot)) = slots.find(|&(position, slot)| holds(slot, seen, || at(position))) else { return Ok(0) };
    let key = if tries == 0 { key } else { key.named("again").with(tries.into()) };
    call.stage = model.stage_numbers[stage];
    call.seed = key.bits();
    enter(call.draws, || {
        let name = &plan.generation.scenario.models[plan.model].pipeline.as_ref().map_or("", |way| &way.route.stages[stage]);
        if tries == 0 { format!("stage {name}") } else { format!("stage {name}, retry {tries}") }
    });
    let schedule = ask(slot, "latency", &mut plan.fallbacks, |latency| latency.plan(call, 1))?;
    let timing =
        Timing::of_schedule(schedule, key.named("gap")).map_err(|error| failed("latency", &slot.name, &error.to_string()))?;
    if let Some(draws) = call.draws {
        note_delays(draws, &timing, 1);
    }
    Ok(timing.length(1))
}

/// The first verdict that is not "pass", and the name of the fault that gave it.
fn judge<'a>(
    plan: &mut Plan,
    generation: &'a Generation,
    call: &mut Call<'_>,
    seen: &Seen<'_>,
    events: Key,
) -> Result<(Verdict, Option<&'a str>), Box<ApiError>> {
    if let Some(written) = call.request.overrides.as_ref().and_then(|own| own.fault.as_deref()) {
        match own_fault(generation, call, written, events.named("override"))? {
            Verdict::Pass => {}
            verdict => {
                plan.by_request = true;
                return Ok((verdict, None));
            }
        }
    }
    let mut asked = 0;
    for (position, (at, slot)) in generation.faults(plan.model, plan.incidents).enumerate() {
        let key = slot_key(generation, events, at).named("fault").with(at.index as u64);
        enter(call.draws, || format!("fault {} {}", position + 1, slot.name));
        if !holds(slot, seen, || key.named("when")) {
            plan.passed_over |= 1_u64.checked_shl(position as u32).unwrap_or(0);
            continue;
        }
        call.seed = key.bits();
        match ask(slot, "fault", &mut plan.fallbacks, |fault| fault.decide(call))? {
            Verdict::Pass => {}
            verdict => {
                plan.struck = Some(asked);
                return Ok((verdict, Some(&slot.name)));
            }
        }
        asked += 1;
    }
    Ok((Verdict::Pass, None))
}

/// What the fault decides that the request itself brings, as it is `written`; its draws are keyed by `key`.
fn own_fault(generation: &Generation, call: &mut Call<'_>, written: &str, key: Key) -> Result<Verdict, Box<ApiError>> {
    let name = overrides::FAULT;
    let bad = |message: &str| Box::new(ApiError::invalid(name, format!("The header '{name}' is wrong: {message}.")));
    let fault = generation.own_fault(written).map_err(|message| bad(&message))?;
    enter(call.draws, || format!("fault of the header {name}"));
    call.seed = key.bits();
    fault.decide(call).map_err(|error| failed("fault", name, &error.to_string()))
}

/// The seed of the draws for `request`: the run's, unless the request brings its own.
pub fn seed_of(generation: &Generation, request: &Request) -> u64 {
    request.overrides.as_ref().and_then(|own| own.seed).unwrap_or(generation.seed)
}

/// The key below `events` below which what stands at `at` draws: its own, whatever else applies.
fn slot_key(generation: &Generation, events: Key, at: SlotAt) -> Key {
    match at.incident {
        Some(incident) => events.named("incident").with(generation.changes[incident].name_bits),
        None => events,
    }
}

/// Does `slot` count? Its conditions draw below `key`, which is made only for them: most have none.
fn holds<B: ?Sized>(slot: &Slot<B>, seen: &Seen<'_>, key: impl FnOnce() -> Key) -> bool {
    slot.when.as_ref().is_none_or(|when| when.holds(&seen.at(key())))
}

/// The first of `slots` whose conditions hold; they draw below `key`. A scenario's lists end with one that has none.
fn first_that_holds<'a, B: ?Sized + 'a>(
    generation: &Generation,
    mut slots: impl Iterator<Item = (SlotAt, &'a Slot<B>)>,
    seen: &Seen<'_>,
    key: Key,
) -> Result<(SlotAt, &'a Slot<B>), Box<ApiError>> {
    let below = |at: SlotAt| slot_key(generation, key, at).named("when").with(at.index as u64).named("when");
    let found = slots.find(|&(at, slot)| holds(slot, seen, || below(at)));
    found.ok_or_else(|| failed("scenario", "", "no behaviour of the list counts for this request"))
}

/// Asks a behaviour, and its fallback if it fails.
fn ask<B: ?Sized, T>(
    slot: &Slot<B>,
    kind: &'static str,
    fallbacks: &mut Vec<&'static str>,
    question: impl Fn(&B) -> Result<T, BehaviorError>,
) -> Result<T, Box<ApiError>> {
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
fn failed(kind: &str, name: &str, message: &str) -> Box<ApiError> {
    let message = match name {
        "" => format!("simwright: {kind}: {message}"),
        _ if message.contains(name) => format!("simwright: {message}"),
        _ => format!("simwright: {kind} `{name}`: {message}"),
    };
    let code = Some(Cow::Borrowed(super::BEHAVIOUR_FAILED));
    Box::new(ApiError { kind: ErrorKind::Server, code, ..ApiError::of_status(500, message) })
}

/// The most tokens that a reply to `request` may have, whose prompt has `input_tokens`.
pub fn output_limit(request: &Request, entry: &ModelEntry, input_tokens: u32) -> u32 {
    let asked = request.max_output_tokens.unwrap_or(entry.max_output_tokens).min(entry.max_output_tokens);
    asked.min(entry.context_window.saturating_sub(input_tokens))
}
