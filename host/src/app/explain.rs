//! What would happen to one request, and why: plans it without a server and shows the plan as a time line.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::app::workshop::Workshop;
use crate::app::{StartError, read};
use crate::clock::real::RealClock;
use crate::dialect::Dialect;
use crate::dialect::openai::OpenAi;
use crate::engine::token_counts::input_tokens;
use crate::plan::Plan;
use crate::plan::identity::{Identity, content_of};
use crate::plan::planner::{Facts, plan};
use crate::plan::reply::ReplyCursor;
use crate::plan::timing::{Due, TimingCursor};
use crate::plan::verdict::{Interrupt, Outcome};
use crate::types::api_error::ApiError;
use crate::types::reply::StreamEvent;

/// One request to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The scenario's file; without one the built-in scenario.
    pub scenario: Option<PathBuf>,
    /// The body of a chat request, JSON.
    pub request: Vec<u8>,
    /// The run's seed; goes before the scenario's.
    pub seed: Option<u64>,
    /// 0 for the first attempt, 1 for the first retry.
    pub attempt: u32,
    /// How often this attempt has been seen before.
    pub occurrence: u32,
}

/// Why a request cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The scenario cannot be used.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The request would be refused before it is planned.
    #[error("the request would be refused with {}: {}{}", .0.status, .0.message, .0.param.as_ref().map_or(String::new(), |param| format!(" (at `{param}`)")))]
    Refused(ApiError),
}

/// The plan of one request.
pub struct Explanation {
    plan: Plan,
    streams: bool,
    steps: Vec<(u64, String)>,
}

/// Plans the request that `options` describe, as a server's first request of this kind would be.
pub fn explain(options: &ExplainOptions) -> Result<Explanation, ExplainError> {
    let scenario = read(options.scenario.as_deref()).map_err(StartError::from)?;
    let workshop = Workshop::open(RealClock::start(), options.seed, 1)?;
    let generation = Arc::new(workshop.build(scenario, 1).map_err(StartError::from)?);
    let body = Bytes::copy_from_slice(&options.request);
    let request = OpenAi.parse_chat(body, HeaderMap::new()).map_err(ExplainError::Refused)?;
    let unknown = || ApiError::of_status(404, format!("no entry of the scenario answers for the model `{}`", request.model));
    let model = generation.scenario.find(&request.model).ok_or_else(unknown).map_err(ExplainError::Refused)?;
    let content = content_of(&request);
    let identity = Identity { content, identity: content, attempt: options.attempt, occurrence: options.occurrence };
    let input_tokens = input_tokens(&generation, &request);
    let streams = request.stream.is_some();
    let facts = Facts { identity, now: 0, input_tokens, running: 0, waiting: 0 };
    let plan = plan(&generation, model, &Arc::new(request), &facts);
    let steps = steps(&plan);
    Ok(Explanation { plan, streams, steps })
}

/// Offset in nanoseconds and text of each step.
fn steps(plan: &Plan) -> Vec<(u64, String)> {
    let (mut cursor, mut timing) = (ReplyCursor::of(&plan.reply), TimingCursor::default());
    let mut steps = Vec::new();
    for _ in 0..plan.reply.steps() {
        let offset = match plan.timing.advance(&mut timing) {
            Due::At(offset) => offset,
            Due::Step(_) => 0,
        };
        let mut text = String::new();
        cursor.step(&plan.reply, &plan.generation.styles, |event| match event {
            StreamEvent::Text { text: piece, .. } => text.push_str(piece),
            StreamEvent::ToolStart { name, .. } => text.push_str(&format!("[calls {name}] ")),
            StreamEvent::ToolArguments { fragment, .. } => text.push_str(fragment),
            _ => {}
        });
        steps.push((offset, text));
    }
    steps
}

impl Explanation {
    /// For programs.
    pub fn json(&self) -> Value {
        let (plan, entry) = (&self.plan, &self.plan.generation.scenario.models[self.plan.model]);
        let outcome = match &plan.outcome {
            Outcome::Answer => json!({"kind": "answer"}),
            Outcome::Refuse(error) => json!({
                "kind": "refuse", "status": error.status, "message": error.message, "retry_after_ms": error.retry_after_ms,
            }),
            Outcome::Interrupt(Interrupt { place, action }) => {
                json!({"kind": "interrupt", "action": action.kind(), "place": format!("{place:?}")})
            }
        };
        let identity = &plan.identity;
        json!({
            "scenario": plan.generation.scenario.name,
            "seed": plan.generation.seed,
            "model": entry.name,
            "content": format!("{:016x}", identity.content),
            "identity": format!("{:016x}", identity.identity),
            "attempt": identity.attempt,
            "occurrence": identity.occurrence,
            "behaviours": {
                "faults": entry.faults.iter().map(|used| &used.name).collect::<Vec<_>>(),
                "reply": entry.reply.name,
                "latency": entry.latency.name,
            },
            "fallbacks": plan.fallbacks,
            "outcome": outcome,
            "usage": {"input": plan.usage.input, "output": plan.usage.output, "reasoning": plan.usage.reasoning},
            "streams": self.streams,
            "steps": self.steps.iter().map(|(ns, text)| json!({"at_ms": *ns as f64 / 1e6, "text": text})).collect::<Vec<_>>(),
        })
    }

    /// For people: what decided, then the time line.
    pub fn text(&self) -> String {
        let (plan, entry) = (&self.plan, &self.plan.generation.scenario.models[self.plan.model]);
        let identity = &plan.identity;
        let faults = entry.faults.iter().map(|used| used.name.as_str()).collect::<Vec<_>>().join(", ");
        let mut lines = vec![
            format!("scenario   {} (seed {})", plan.generation.scenario.name, plan.generation.seed),
            format!("model      {}", entry.name),
            format!("request    {:016x}, attempt {}, occurrence {}", identity.identity, identity.attempt, identity.occurrence),
            format!("faults     {}", if faults.is_empty() { "none" } else { &faults }),
            format!("reply      {}", entry.reply.name),
            format!("latency    {}", entry.latency.name),
            format!("tokens     {} in, {} out", plan.usage.input, plan.usage.output),
        ];
        if !plan.fallbacks.is_empty() {
            lines.push(format!("fallbacks  {}", plan.fallbacks.join(", ")));
        }
        lines.push(match &plan.outcome {
            Outcome::Answer => "outcome    answered".to_owned(),
            Outcome::Refuse(error) => format!("outcome    refused with {}: {}", error.status, error.message),
            Outcome::Interrupt(Interrupt { place, action }) => format!("outcome    {} at {place:?}", action.kind()),
        });
        lines.push(String::new());
        lines.extend(self.time_line());
        lines.join("\n")
    }

    /// The first and last steps with their times; what lies between is counted.
    fn time_line(&self) -> Vec<String> {
        const SHOWN_FIRST: usize = 12;
        const SHOWN_LAST: usize = 3;
        let line = |index: usize| {
            let (ns, text) = &self.steps[index];
            format!("{:>10.1} ms  {:>5}  {text:?}", *ns as f64 / 1e6, index + 1)
        };
        let count = self.steps.len();
        if count <= SHOWN_FIRST + SHOWN_LAST {
            return (0..count).map(line).collect();
        }
        let hidden = count - SHOWN_FIRST - SHOWN_LAST;
        let mut lines: Vec<String> = (0..SHOWN_FIRST).map(line).collect();
        lines.push(format!("{:>13}  {:>5}  {hidden} more", "", "…"));
        lines.extend((count - SHOWN_LAST..count).map(line));
        lines
    }
}
