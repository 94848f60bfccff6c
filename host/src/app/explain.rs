//! What would happen to one request, and why: plans it without a server and shows the plan as a time line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::app::way::Way;
use crate::app::workshop::Workshop;
use crate::app::{StartError, read};
use crate::clock::real::RealClock;
use crate::dialect::openai;
use crate::engine::situation::{Move, Situation, Unmoved};
use crate::engine::{Origin, facts_of};
use crate::http::handler::origin_of;
use crate::plan::generation::Generation;
use crate::plan::identity::content_of;
use crate::plan::planner::{Facts, pick, plan_noting};
use crate::plan::reply::ReplyCursor;
use crate::plan::timing::TimingCursor;
use crate::plan::verdict::{Action, Interrupt, Outcome, Place};
use crate::plan::{Phase, Plan};
use crate::random::{Draw, Drawn, Draws};
use crate::station::pipeline::route::ReplyBy;
use crate::types::api_error::ApiError;
use crate::types::quantity::show_duration_us;
use crate::types::reply::StreamEvent;
use crate::types::request::Request;

/// One request to explain, and when it comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The scenario's file; without one the built-in scenario.
    pub scenario: Option<PathBuf>,
    /// The body of a chat request, JSON.
    pub request: Vec<u8>,
    /// The run's seed; goes before the scenario's.
    pub seed: Option<u64>,
    /// The request's headers; conditions look at them, and they may name identity and attempt.
    pub headers: HeaderMap,
    /// The attempt that the client announces, 0 for the first; goes before its headers.
    pub attempt: Option<u32>,
    /// How often this attempt has been seen before.
    pub occurrence: u32,
    /// Which of its entry's requests it is, from 1; the first if not given.
    pub number: Option<u64>,
    /// When it comes, after the run began.
    pub at: Duration,
    /// The phase that begins as it comes; if not given, the one that the time line is in by then.
    pub phase: Option<String>,
    /// Incidents that are switched on.
    pub incidents: Vec<String>,
}

/// Why a request cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The scenario cannot be used.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The scenario has no such phase or incident.
    #[error("{0}")]
    Unmoved(#[from] Unmoved),
    /// The request would be refused before it is planned.
    #[error("the request would be refused with {}: {}{}", .0.status, .0.message, .0.param.as_ref().map_or(String::new(), |param| format!(" (at `{param}`)")))]
    Refused(ApiError),
}

/// The plan of one request.
pub struct Explanation {
    plan: Plan,
    /// What it goes through, if its model has a pipeline.
    way: Option<Way>,
    asked_model: Box<str>,
    streams: bool,
    steps: Vec<Step>,
    draws: Vec<Draw>,
    facts: Facts,
    content: u64,
}

/// A line of the time line.
struct Step {
    /// Nanoseconds after the request's arrival.
    at: u64,
    what: What,
}

enum What {
    /// A token of every choice that has one.
    Token(String),
    /// A fault.
    Interrupt(&'static str),
}

/// Plans the request that `options` describe, as a server would that has seen nothing else.
pub fn explain(options: &ExplainOptions) -> Result<Explanation, ExplainError> {
    let draft = read(options.scenario.as_deref()).map_err(StartError::from)?;
    let workshop = Workshop::open(RealClock::start(), options.seed, 1)?;
    let generation = Arc::new(workshop.build(draft, 1).map_err(StartError::from)?);
    let body = Bytes::copy_from_slice(&options.request);
    let request = openai::chat_request(body, options.headers.clone()).map_err(ExplainError::Refused)?;
    let unknown = || ApiError::unknown_model(&request.model);
    let draws = Draws::default();
    let facts = facts(options, &generation, &request, &draws)?;
    draws.enter("entry");
    let number = |_| facts.number;
    let model = pick(&generation, &request, &facts, Some(&draws), number).ok_or_else(unknown).map_err(ExplainError::Refused)?;
    Ok(Explanation::of(&generation, model, &Arc::new(request), &facts, &draws))
}

/// What a server would know of the request.
fn facts(options: &ExplainOptions, generation: &Generation, request: &Request, draws: &Draws) -> Result<Facts, Unmoved> {
    let (scenario, now) = (&generation.scenario, u64::try_from(options.at.as_nanos()).unwrap_or(u64::MAX));
    let situation = Situation::new(scenario, 0);
    for incident in &options.incidents {
        situation.switch(scenario, incident, Some(1.0))?;
    }
    if let Some(phase) = &options.phase {
        situation.move_on(scenario, Move::To(phase), now)?;
    }
    let told = origin_of(&options.headers, now);
    let origin = Origin { attempt: options.attempt.or(told.attempt), ..told };
    let facts = facts_of(generation, &situation, request, origin, Some(draws), |_, _| options.occurrence);
    Ok(Facts { number: options.number.unwrap_or(1), ..facts })
}

/// When each token would leave if nothing went wrong.
fn tokens(plan: &Plan) -> Vec<Step> {
    let (mut cursor, mut timing) = (ReplyCursor::of(&plan.reply), TimingCursor::default());
    let mut steps = Vec::new();
    for _ in 0..plan.reply.steps() {
        let offset = plan.timing.advance(&mut timing);
        let mut text = String::new();
        cursor.step(&plan.reply, &plan.generation.styles, |event| match event {
            StreamEvent::Text { text: piece, .. } => text.push_str(piece),
            StreamEvent::ToolStart { name, .. } => text.push_str(&format!("[calls {name}] ")),
            StreamEvent::ToolArguments { fragment, .. } => text.push_str(fragment),
            _ => {}
        });
        steps.push(Step { at: offset, what: What::Token(text) });
    }
    steps
}

/// The same on the way through a pipeline: when the reply began and who wrote it moves the tokens.
fn on_its_way(plan: &Plan, way: Option<&Way>) -> Vec<Step> {
    let Some(way) = way else { return tokens(plan) };
    let Some((by, begun)) = way.reply else { return Vec::new() };
    if let ReplyBy::Prepared(text) = by {
        let text = &plan.generation.models[plan.model].texts[usize::from(text)].0;
        return vec![Step { at: begun, what: What::Token(text.to_string()) }];
    }
    let mut steps = tokens(plan);
    for (index, step) in steps.iter_mut().enumerate() {
        step.at = match by {
            ReplyBy::Replica => way.tokens.get(index).or(way.tokens.last()).copied().unwrap_or(begun),
            ReplyBy::Timing => step.at.saturating_add(begun),
            ReplyBy::Instant | ReplyBy::Prepared(_) => begun,
        };
    }
    steps
}

/// `tokens` as `interrupt` leaves them: what is lost is gone, and what a stall holds up comes later. A reply that is complete before
/// it is left as it is.
fn interrupted(mut tokens: Vec<Step>, interrupt: &Interrupt) -> Vec<Step> {
    let is_finish = matches!(interrupt.action, Action::Finish(_));
    let index = match interrupt.place {
        Place::BeforeHead => 0,
        Place::AfterStep(step) => (step as usize).min(tokens.len()),
        // The token that is due in the same moment belongs to a reply that ends in order; whatever else happens is before it.
        Place::AfterTime(after) if is_finish => tokens.partition_point(|step| u128::from(step.at) <= after.as_nanos()),
        Place::AfterTime(after) => match tokens.partition_point(|step| u128::from(step.at) < after.as_nanos()) {
            complete if complete == tokens.len() => return tokens,
            index => index,
        },
    };
    let at = match interrupt.place {
        Place::AfterTime(after) if index < tokens.len() => after.as_nanos() as u64,
        _ => index.checked_sub(1).map_or(0, |before| tokens[before].at),
    };
    let mut after = tokens.split_off(index);
    tokens.push(Step { at, what: What::Interrupt(interrupt.action.kind()) });
    if let Action::Stall(stall) = interrupt.action {
        after.iter_mut().for_each(|step| step.at = step.at.saturating_add(stall.as_nanos() as u64));
    }
    if !interrupt.action.ends_the_reply() {
        tokens.append(&mut after);
    }
    tokens
}

impl Explanation {
    /// The plan of `request`, which the model entry `model` answers; `draws` has those that were made before it was planned.
    pub(super) fn of(generation: &Arc<Generation>, model: usize, request: &Arc<Request>, facts: &Facts, draws: &Draws) -> Self {
        let plan = plan_noting(generation, model, request, facts, Some(draws));
        let is_refused = matches!(plan.outcome, Outcome::Refuse(_));
        let way = if is_refused { None } else { Way::of(&plan, request, facts) };
        let steps = match &plan.outcome {
            Outcome::Refuse(_) => Vec::new(),
            Outcome::Answer => on_its_way(&plan, way.as_ref()),
            Outcome::Interrupt(interrupt) => interrupted(on_its_way(&plan, way.as_ref()), interrupt),
        };
        Self {
            plan,
            way,
            asked_model: request.model.clone(),
            streams: request.streams,
            steps,
            draws: draws.take(),
            facts: *facts,
            content: content_of(request),
        }
    }

    /// When each token leaves, and the faults that are seen on the way; in nanoseconds after the request.
    pub(super) fn times(&self) -> (Vec<u64>, Vec<(u64, &'static str)>) {
        let struck = |step: &Step| if let What::Interrupt(kind) = step.what { Some((step.at, kind)) } else { None };
        let tokens = self.steps.iter().filter(|step| struck(step).is_none()).map(|step| step.at);
        (tokens.collect(), self.steps.iter().filter_map(struck).collect())
    }

    /// The plan itself.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The hash of what was asked, made anew from the request.
    pub(super) fn content(&self) -> u64 {
        self.content
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (plan, entry) = (&self.plan, &self.plan.generation.scenario.models[self.plan.model]);
        let outcome = match &plan.outcome {
            Outcome::Answer => json!({"kind": "answer"}),
            Outcome::Refuse(error) => json!({
                "kind": "refuse", "status": error.status, "message": error.message, "retry_after_ms": error.retry_after_ms,
            }),
            Outcome::Interrupt(interrupt) => {
                json!({"kind": "interrupt", "action": interrupt.action.kind(), "place": place(interrupt)})
            }
        };
        let identity = &plan.identity;
        json!({
            "scenario": plan.generation.scenario.name,
            "seed": plan.generation.seed,
            "asked_model": self.asked_model,
            "model": entry.name,
            "content": format!("{:016x}", identity.content),
            "identity": format!("{:016x}", identity.identity),
            "attempt": identity.attempt,
            "occurrence": identity.occurrence,
            "facts": {"attempt": self.facts.attempt, "number": self.facts.number, "at_ms": ms(self.facts.now), "tier": self.tier()},
            "phase": plan.phase_name(),
            "incidents": plan.incident_names().collect::<Vec<_>>(),
            "behaviours": {
                "faults": plan.faults().map(|slot| &slot.name).collect::<Vec<_>>(),
                "struck": plan.struck,
                "in_vain": self.in_vain(),
                "reply": plan.responder(),
                "latency": plan.latency(),
            },
            "fallbacks": plan.fallbacks,
            "way": self.way.as_ref().map(Way::json),
            "outcome": outcome,
            "usage": {"input": plan.usage.input, "output": plan.usage.output, "reasoning": plan.usage.reasoning},
            "streams": self.streams,
            "draws": self.draws.iter().map(|draw| json!({
                "of": draw.scope, "name": draw.name, "value": drawn(draw.value), "meaning": draw.meaning,
            })).collect::<Vec<_>>(),
            "steps": self.steps.iter().map(|step| match &step.what {
                What::Token(text) => json!({"at_ms": ms(step.at), "text": text}),
                What::Interrupt(kind) => json!({"at_ms": ms(step.at), "fault": kind}),
            }).collect::<Vec<_>>(),
        })
    }

    /// The name of the tier that counts for the caller.
    fn tier(&self) -> Option<&str> {
        Some(&self.plan.generation.scenario.tiers[self.facts.tier?].name)
    }

    /// For people: who decided what, then the time line.
    pub fn text(&self) -> String {
        let (plan, entry) = (&self.plan, &self.plan.generation.scenario.models[self.plan.model]);
        let identity = &plan.identity;
        let how = if self.streams { "streamed" } else { "not streamed" };
        let (attempt, occurrence) = (identity.attempt, identity.occurrence);
        let mut lines = vec![
            format!("scenario   {}, seed {}", plan.generation.scenario.name, plan.generation.seed),
            format!("request    {}, {how}, {} tokens of prompt", self.asked_model, plan.usage.input),
            format!("identity   {:016x}, attempt {attempt}, occurrence {occurrence}", identity.identity),
            format!("entry      {}", entry.name),
        ];
        lines.extend(self.tier().map(|tier| format!("tier       {tier}")));
        lines.extend(self.about_facts());
        let incidents: Vec<&str> = plan.incident_names().collect();
        lines.extend(plan.phase_name().map(|phase| format!("phase      {phase}")));
        if !incidents.is_empty() {
            lines.push(format!("incidents  {}", incidents.join(", ")));
        }
        lines.push(format!("faults     {}", self.about_faults()));
        // A name here says that the behaviour was asked.
        lines.extend(plan.responder().map(|name| format!("reply      {name}{}", self.about_reply())));
        lines.extend(self.paced_by().map(|name| format!("latency    {name}{}", self.about_latency())));
        if !plan.fallbacks.is_empty() {
            lines.push(format!("fallback   of {}", plan.fallbacks.join(", ")));
        }
        lines.push(match &plan.outcome {
            Outcome::Answer if self.way.as_ref().is_some_and(|way| way.reply.is_none()) => {
                "outcome    refused on its way".to_owned()
            }
            Outcome::Answer if self.streams => "outcome    answered".to_owned(),
            Outcome::Answer => "outcome    answered, all of it when the last token is due".to_owned(),
            Outcome::Refuse(error) => format!("outcome    refused with {}: {}", error.status, error.message),
            Outcome::Interrupt(interrupt) if self.in_vain().is_some() => {
                format!("outcome    answered before {} {}", interrupt.action.kind(), place(interrupt))
            }
            Outcome::Interrupt(interrupt) => format!("outcome    {} {}", interrupt.action.kind(), place(interrupt)),
        });
        if let Outcome::Refuse(ApiError { retry_after_ms: Some(wait), .. }) = &plan.outcome {
            lines.push(format!("           the client is asked to wait {wait} ms"));
        }
        lines.extend(self.way.iter().flat_map(Way::lines));
        if !self.draws.is_empty() {
            lines.push(format!("\n{:>16}  of", "draw"));
            lines.extend(self.draws.iter().map(draw_line));
        }
        if !self.steps.is_empty() {
            lines.push(format!("\n{:>13}  {:>5}", "at", "token"));
        }
        lines.extend(self.time_line());
        lines.join("\n")
    }

    /// Who decides when the tokens leave.
    fn paced_by(&self) -> Option<String> {
        match self.way.as_ref().and_then(|way| way.written_by.as_deref()) {
            Some(station) => Some(format!("steps of {station}")),
            None => self.plan.latency().map(str::to_owned),
        }
    }

    fn asked(&self, phase: Phase) -> bool {
        self.plan.last_asked >= Some(phase)
    }

    /// What conditions saw that is not in the request, unless it is as of the first request of a run.
    fn about_facts(&self) -> Option<String> {
        let Facts { attempt, number, now, .. } = self.facts;
        let since = show_duration_us(now / 1_000);
        let line = format!("seen as    attempt {attempt}, request {number} of its entry, {since} after the run began");
        ((attempt, number, now) != (1, 1, 0)).then_some(line)
    }

    /// Why the fault that struck changes nothing.
    fn in_vain(&self) -> Option<&'static str> {
        match self.plan.outcome {
            Outcome::Answer if self.plan.struck.is_some() => Some("found nothing to spoil"),
            Outcome::Interrupt(_) if !self.steps.iter().any(|step| matches!(step.what, What::Interrupt(_))) => {
                Some("came too late")
            }
            _ => None,
        }
    }

    /// Who passed and who struck, in the order in which they were asked.
    fn about_faults(&self) -> String {
        let faults: Vec<&str> = self.plan.faults().map(|slot| slot.name.as_str()).collect();
        let effect = self.in_vain().map_or(String::new(), |why| format!(" but {why}"));
        match self.plan.struck {
            _ if faults.is_empty() => "none".to_owned(),
            Some(0) => format!("{} struck{effect}", faults[0]),
            Some(struck) => format!("{} passed, {} struck{effect}", faults[..struck].join(", "), faults[struck]),
            None if self.asked(Phase::Reply) => format!("{} passed", faults.join(", ")),
            None if self.plan.last_asked.is_none() => "not asked".to_owned(),
            // One of them failed, as the outcome says.
            None => faults.join(", "),
        }
    }

    /// `: 93 tokens`, or nothing if there is no reply.
    fn about_reply(&self) -> String {
        if let Some((ReplyBy::Prepared(_), _)) = self.way.as_ref().and_then(|way| way.reply) {
            return ": not sent, a stage answers with its own text".to_owned();
        }
        match self.plan.usage {
            usage if usage.output == 0 => String::new(),
            usage if usage.reasoning > 0 => format!(": {} tokens, {} of them reasoning", usage.output, usage.reasoning),
            usage => format!(": {} tokens", usage.output),
        }
    }

    /// The times in short, as far as the reply comes.
    fn about_latency(&self) -> String {
        let at: Vec<u64> = self.steps.iter().filter(|step| matches!(step.what, What::Token(_))).map(|step| step.at).collect();
        let [first, .., last] = at[..] else {
            return at.first().map_or(String::new(), |only| format!(": the only token after {:.1} ms", ms(*only)));
        };
        let mut gaps: Vec<u64> = at.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        gaps.sort_unstable();
        let (median, longest) = (ms(gaps[gaps.len() / 2]), ms(gaps[gaps.len() - 1]));
        let (first, last) = (ms(first), ms(last));
        format!(
            ": first token after {first:.1} ms, last after {last:.1} ms; gaps {median:.1} ms in the median, {longest:.1} ms at most"
        )
    }

    /// The first and last steps with their times; what lies between is counted.
    fn time_line(&self) -> Vec<String> {
        const SHOWN_FIRST: usize = 8;
        const SHOWN_LAST: usize = 3;
        let line = |index: usize| {
            let at = ms(self.steps[index].at);
            match &self.steps[index].what {
                What::Token(text) => {
                    let number = self.steps[..=index].iter().filter(|step| matches!(step.what, What::Token(_))).count();
                    format!("{at:>10.1} ms  {number:>5}  {text:?}")
                }
                What::Interrupt(kind) => format!("{at:>10.1} ms         {kind}"),
            }
        };
        let count = self.steps.len();
        if count <= SHOWN_FIRST + SHOWN_LAST {
            return (0..count).map(line).collect();
        }
        // A fault is what the reader came for: it and what is around it are always shown.
        let fault = self.steps.iter().position(|step| matches!(step.what, What::Interrupt(_)));
        let near = |index: usize| fault.is_some_and(|fault| index.abs_diff(fault) <= 1);
        let (mut lines, mut hidden) = (Vec::new(), 0);
        for index in 0..count {
            if index < SHOWN_FIRST || index >= count - SHOWN_LAST || near(index) {
                if hidden > 0 {
                    lines.push(format!("{:>13}  {:>5}  {hidden} more", "", "…"));
                }
                hidden = 0;
                lines.push(line(index));
            } else {
                hidden += 1;
            }
        }
        lines
    }
}

/// One draw for people.
fn draw_line(draw: &Draw) -> String {
    let value = match draw.value {
        Drawn::Unit(unit) => format!("{unit:.6}"),
        Drawn::Seed(seed) => format!("{seed:016x}"),
    };
    // A behaviour that draws once calls its draw after itself; there is no need to say it twice.
    let name = if draw.scope.ends_with(&format!(" {}", draw.name)) { "" } else { draw.name.as_str() };
    let words = [name, draw.meaning.as_str()].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
    format!("{value:>16}  {}: {words}", draw.scope)
}

fn drawn(value: Drawn) -> Value {
    match value {
        Drawn::Unit(unit) => unit.into(),
        // As text, because many readers of JSON keep 53 bits of a number.
        Drawn::Seed(seed) => format!("{seed:016x}").into(),
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Where `interrupt` strikes, in words.
fn place(interrupt: &Interrupt) -> String {
    match interrupt.place {
        Place::BeforeHead => "before the first byte".to_owned(),
        Place::AfterStep(step) => format!("after token {step}"),
        Place::AfterTime(after) => format!("{:.1} ms after the request", after.as_secs_f64() * 1e3),
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
