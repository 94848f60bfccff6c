//! Plays a handful of requests through a plugin in virtual time, by the planner and the player of `simulate`, and says what came.
//!
//! Without a scenario the plugin decides all that it can for one model, and what it does not decide is plain: text of 60 tokens, no
//! delays, no faults. Equal seeds give equal runs, and so equal pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::explain::Explanation;
use crate::app::trial::picture::{Pen, time};
use crate::app::trial::{Subject, TrialError, steady_host};
use crate::app::{StartError, read};
use crate::clock::Nanos;
use crate::fleet::{Ended, Fate, Limits, Watch, run as play};
use crate::plan::generation::Generation;
use crate::plan::identity::{Identity, content_of};
use crate::plan::planner::{Facts, pick};
use crate::plan::token_counts::input_tokens;
use crate::plan::verdict::Outcome;
use crate::random::Draws;
use crate::scenario::read::parse;
use crate::scenario::refusal::Refusal;
use crate::scenario::{Draft, Scenario};
use crate::stats::histogram::Snapshot;
use crate::types::problem::Problem;
use crate::types::request::{Message, Request, Role};
use crate::vectors::rig_model;
use crate::wasm::apart::Said;
use crate::wasm::{Kind, Plugin};
use crate::worker;
use crate::workload::Workload;

/// What to play.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// The plugin's options.
    pub options: Value,
    /// A scenario that uses the plugin by its name, in place of one of the plugin alone.
    pub scenario: Option<PathBuf>,
    /// How many requests come.
    pub requests: u64,
    /// Over which time they come, one as likely at any moment as at any other.
    pub over: Duration,
    /// The run's seed; goes before the scenario's.
    pub seed: u64,
}

/// What came.
pub struct Played {
    /// The plugin's name.
    pub plugin: String,
    /// What it decides.
    pub decides: Vec<&'static str>,
    seed: u64,
    requests: u64,
    ended: Vec<Ended>,
    gaps: Snapshot,
    stream: Option<Stream>,
    state: Vec<(String, String)>,
    said: Said,
    virtual_ns: Nanos,
}

/// One stream, token by token.
struct Stream {
    tokens: Vec<Nanos>,
    strikes: Vec<(Nanos, &'static str)>,
    refused: Option<String>,
}

#[derive(Default)]
struct Seen(Vec<Ended>);

impl Watch for Seen {
    fn ended(&mut self, ended: &Ended) {
        self.0.push(*ended);
    }
}

/// Plays what `options` say through `subject`.
pub fn run(subject: &Subject, options: &RunOptions) -> Result<Played, TrialError> {
    let workshop = steady_host()?;
    let plugin = workshop.plugins().load(subject.spec())?.apart(false)?;
    let draft = match &options.scenario {
        None => alone(&plugin, options)?,
        Some(path) => read(Some(path)).map_err(StartError::from)?,
    };
    if options.scenario.is_none() {
        of_requests(&plugin)?;
    }
    used(&draft.scenario, plugin.name())?;
    let built = workshop.build_with(draft, options.seed, &plugin);
    let of_plugin = |refusal| if options.scenario.is_none() { in_options(refusal, plugin.name()) } else { refusal };
    let generation = built.map_err(of_plugin).map_err(StartError::from)?;
    let generation = Arc::new(generation);
    let workload = workload(&generation.scenario, options).map_err(StartError::from)?;
    worker::enter(0);
    plugin.forget_state();
    let mut seen = Seen::default();
    let refused = |problems| StartError::from(Refusal::of(&generation.scenario.source, problems));
    let report = play(&generation, &workload, Limits::default(), &mut seen).map_err(refused)?;
    let (state, said) = (plugin.state(report.virtual_ns), plugin.take_said());
    let stream = stream(&generation, &workload, &plugin);
    Ok(Played {
        plugin: plugin.name().to_owned(),
        decides: plugin.kinds().into_iter().map(|kind| kind.word()).collect(),
        seed: generation.seed,
        requests: report.requests,
        ended: seen.0,
        gaps: report.total.gap,
        stream,
        state,
        said,
        virtual_ns: report.virtual_ns,
    })
}

/// The scenario of the plugin alone.
fn alone(plugin: &Plugin, options: &RunOptions) -> Result<Draft, TrialError> {
    let mut model = rig_model(plugin, &options.options);
    if !plugin.kinds().contains(&Kind::Latency) {
        // What happens inside a stream is seen only where there is time between its tokens.
        model["latency"] = json!({ "constant": { "first": "300ms", "between": "20ms" } });
    }
    let scenario = json!({ "simwright": 1, "name": plugin.name(), "models": [model] });
    Ok(parse("(the plugin)", &scenario.to_string(), Path::new("")).map_err(StartError::from)?)
}

/// A refusal of the scenario that `alone` makes, as one of the options of the plugin `name`: they are all of it that a person wrote.
fn in_options(refusal: Refusal, name: &str) -> Refusal {
    let mut problems: Vec<Problem> = Vec::new();
    for mut problem in refusal.problems {
        let within = problem.pointer.split_once(&format!("/{name}")).map(|(_, within)| within.to_owned());
        (problem.pointer, problem.place) = (within.unwrap_or(problem.pointer), None);
        // Each kind that the plugin decides has been given the same options.
        if !problems.iter().any(|known| (&known.pointer, &known.message) == (&problem.pointer, &problem.message)) {
            problems.push(problem);
        }
    }
    Refusal { file: "the options".to_owned(), files: Vec::new(), problems }
}

/// Refuses a plugin of which no request asks for a decision.
pub(super) fn of_requests(plugin: &Plugin) -> Result<(), TrialError> {
    let groups = |kind: &Kind| matches!(kind, Kind::Balancer | Kind::Autoscaler);
    if !plugin.kinds().iter().all(groups) {
        return Ok(());
    }
    Err(TrialError::Unfound(format!(
        "plugin `{}` decides for a group of replicas, which a single request does not have\n  hint: name it at a station of a scenario, and play \
         that with `simwright simulate` or `plugin run --scenario`",
        plugin.name()
    )))
}

/// Refuses a scenario that does not use the plugin.
fn used(scenario: &Scenario, name: &str) -> Result<(), StartError> {
    if scenario.behaviours().any(|used| used.name == name) {
        return Ok(());
    }
    let problem = Problem::new("", format!("nothing in this scenario uses the plugin `{name}`"));
    let hint =
        format!("name it where a model's `faults`, `reply` or `latency` are, for example `latency: {name}`, or at a station");
    Err(Refusal::of(&scenario.source, vec![problem.hint(hint)]).into())
}

/// Who asks: as the scenario says, or people who ask the first model and try again twice.
fn workload(scenario: &Scenario, options: &RunOptions) -> Result<Workload, Refusal> {
    if let Some(workload) = &scenario.workload {
        let mut workload = Workload::clone(workload);
        workload.requests = Some(workload.requests.map_or(options.requests, |own| own.min(options.requests)));
        return Ok(workload);
    }
    let model = scenario.models.first().map_or("", |model| model.name.as_str()).replace('*', "x");
    let rate = options.requests as f64 / options.over.as_secs_f64().max(1e-3);
    let text = json!({
        "simwright": 1,
        "models": [{ "match": "*" }],
        "workload": {
            "arrivals": { "poisson": { "rate": rate } },
            "classes": [{ "model": model, "input": { "p50": 300, "p99": 2000 } }],
            "client": { "retries": 2 },
            "requests": options.requests,
        },
    });
    let read = parse("(the requests)", &text.to_string(), Path::new(""))?.whole()?;
    let unread = || Refusal::of(&read.source, vec![Problem::new("/workload", "it cannot be used")]);
    read.workload.as_deref().cloned().ok_or_else(unread)
}

/// The first of a few streams that has tokens to show, each planned on an empty state of `plugin`.
fn stream(generation: &Arc<Generation>, workload: &Workload, plugin: &Plugin) -> Option<Stream> {
    const TRIED: u32 = 16;
    let asked = workload.classes.first()?.model.to_string();
    let streams = (0..TRIED).filter_map(|number| {
        let mut request = Request::chat(&asked, vec![Message::new(Role::User, format!("Tell me something, {number}."))]);
        request.streams = true;
        let content = content_of(&request);
        let identity = Identity { content, identity: content, attempt: 0, occurrence: 0 };
        let facts = Facts { input_tokens: input_tokens(generation, &request), ..Facts::first(identity) };
        let model = pick(generation, &request, &facts, None, |_| 1)?;
        plugin.forget_state();
        let explained = Explanation::of(generation, model, &Arc::new(request), &facts, &Draws::default());
        let (tokens, strikes) = explained.times();
        Some(Stream { tokens, strikes, refused: refusal(&explained) })
    });
    let mut first = None;
    for stream in streams {
        if stream.tokens.len() > 1 {
            return Some(stream);
        }
        first = first.or(Some(stream));
    }
    first
}

fn refusal(explained: &Explanation) -> Option<String> {
    match &explained.plan().outcome {
        Outcome::Refuse(error) => Some(format!("{} {}", error.status, error.message)),
        _ => None,
    }
}

/// Slices of the run that are compared, at most.
const SLICES: usize = 60;
/// Columns beside them.
const BESIDE: usize = 32;

impl Played {
    fn first_tokens(&self) -> Vec<Nanos> {
        self.ended.iter().filter_map(|ended| Some(ended.first_token?.saturating_sub(ended.arrival))).collect()
    }

    /// What became of the attempts, most first.
    fn outcomes(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for ended in &self.ended {
            let word = match ended.fate {
                Fate::Whole => "answered".to_owned(),
                Fate::Refused(status, _) => format!("refused with {status}"),
                Fate::Truncated => "cut short".to_owned(),
                Fate::Broken => "broken inside".to_owned(),
                Fate::Lost => "lost without a byte".to_owned(),
                Fate::Abandoned => "given up by the client".to_owned(),
            };
            *counts.entry(word).or_default() += 1;
        }
        let mut list: Vec<(String, usize)> = counts.into_iter().collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        list
    }

    /// By slice of the run: the median time to the first token, and the share of attempts that failed.
    fn over_time(&self, count: usize) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
        let end = self.ended.iter().map(|ended| ended.arrival).max().unwrap_or(0).max(1);
        let mut slices: Vec<(Vec<Nanos>, usize, usize)> = vec![Default::default(); count];
        for ended in &self.ended {
            let index = ((ended.arrival as u128 * count as u128 / (end as u128 + 1)) as usize).min(count - 1);
            let (first_tokens, all, failed) = &mut slices[index];
            first_tokens.extend(ended.first_token.map(|at| at.saturating_sub(ended.arrival)));
            *all += 1;
            *failed += usize::from(ended.fate != Fate::Whole);
        }
        let median = |(times, ..): &mut (Vec<Nanos>, usize, usize)| {
            times.sort_unstable();
            times.get(times.len().saturating_sub(1) / 2).map(|ns| *ns as f64)
        };
        let share = |(_, all, failed): &(Vec<Nanos>, usize, usize)| (*all > 0).then(|| *failed as f64 / *all as f64);
        let shares = slices.iter().map(share).collect();
        (slices.iter_mut().map(median).collect(), shares)
    }

    /// For people, drawn with `pen`.
    pub fn text(&self, pen: Pen) -> String {
        let mut lines = vec![
            format!("plugin     {}, decides {}", self.plugin, self.decides.join(", ")),
            format!("played     {} requests in {} of virtual time, seed {}", self.requests, time(self.virtual_ns), self.seed),
        ];
        let outcomes: Vec<String> = self.outcomes().into_iter().map(|(word, count)| format!("{count} {word}")).collect();
        lines.push(format!("attempts   {}: {}", self.ended.len(), outcomes.join(", ")));
        let first_tokens = self.first_tokens();
        let range = first_tokens.iter().min().copied().zip(first_tokens.iter().max().copied());
        lines.extend(spread(pen, "time to the first token", range, &first_tokens));
        lines.extend(spread(pen, "gap between tokens", self.gaps.min().zip(self.gaps.max()), &self.gap_sample()));
        lines.extend(self.course(pen));
        lines.extend(self.stream.iter().flat_map(|stream| stream.text(pen)));
        lines.extend(self.words());
        lines.join("\n")
    }

    /// Gaps that are spread as all of them are, a thousand at most; the longest is among them.
    fn gap_sample(&self) -> Vec<Nanos> {
        let count = self.gaps.count().min(1_000);
        (0..count).map(|rank| self.gaps.quantile((rank as f64 + 1.0) / count as f64)).collect()
    }

    /// How it went over the run, where it did not go the same all the time.
    fn course(&self, pen: Pen) -> Vec<String> {
        let (first_tokens, failed) = self.over_time(pen.width.saturating_sub(BESIDE).clamp(8, SLICES));
        let mut lines = Vec::new();
        let changes = |values: &[Option<f64>]| {
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            known.iter().any(|value| Some(value) != known.first())
        };
        let most = |values: &[Option<f64>]| values.iter().flatten().fold(0.0_f64, |most, value| most.max(*value));
        if changes(&first_tokens) {
            lines.push(format!("  first token  {}  up to {}", pen.spark(&first_tokens), time(most(&first_tokens) as u64)));
        }
        if most(&failed) > 0.0 {
            lines.push(format!("  failures     {}  up to {:.0}%", pen.spark(&failed), most(&failed) * 100.0));
        }
        if !lines.is_empty() {
            let span = time(self.ended.iter().map(|ended| ended.arrival).max().unwrap_or(0));
            lines.splice(0..0, [String::new(), format!("over the {span} in which requests came")]);
        }
        lines
    }

    /// What the plugin said, counted and kept.
    fn words(&self) -> Vec<String> {
        const SHOWN: usize = 8;
        let mut lines = Vec::new();
        let mut block = |title: &str, all: Vec<String>, besides: u64| {
            if all.is_empty() {
                return;
            }
            lines.push(String::new());
            lines.push(title.to_owned());
            let more = besides.saturating_add(all.len().saturating_sub(SHOWN) as u64);
            lines.extend(all.into_iter().take(SHOWN).map(|line| format!("  {line}")));
            if more > 0 {
                lines.push(format!("  and {more} more"));
            }
        };
        let said = self.said.lines.iter().map(|(level, line)| format!("{level:<5} {line}"));
        block("it said", said.collect(), self.said.dropped);
        block("it counted", self.said.counts.iter().map(|(name, count)| format!("{name} {count}")).collect(), 0);
        block("its state at the end", self.state.iter().map(|(key, value)| format!("{key} = {value}")).collect(), 0);
        lines
    }

    /// For programs: times in seconds.
    pub fn json(&self) -> Value {
        let seconds = |ns: &Nanos| *ns as f64 * 1e-9;
        let first_tokens = self.first_tokens();
        let stream = self.stream.as_ref().map(|stream| {
            json!({
                "tokens_at_s": stream.tokens.iter().map(seconds).collect::<Vec<_>>(),
                "strikes": stream.strikes.iter().map(|(at, what)| json!({"at_s": seconds(at), "what": what})).collect::<Vec<_>>(),
                "refused": stream.refused,
            })
        });
        json!({
            "plugin": self.plugin, "decides": self.decides, "seed": self.seed, "requests": self.requests,
            "virtual_s": seconds(&self.virtual_ns),
            "attempts": self.outcomes().into_iter().map(|(word, count)| (word, json!(count))).collect::<serde_json::Map<_, _>>(),
            "ttft_s": first_tokens.iter().map(seconds).collect::<Vec<_>>(),
            "gap": crate::report::times_json(&self.gaps),
            "stream": stream,
            "said": self.said.lines.iter().map(|(level, line)| json!({"level": level, "line": line})).collect::<Vec<_>>(),
            "said_dropped": self.said.dropped,
            "counts": self.said.counts,
            "state": self.state.iter().cloned().map(|(key, value)| (key, json!(value))).collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Stream {
    fn text(&self, pen: Pen) -> Vec<String> {
        let mut lines = vec![String::new()];
        match (&self.refused, &self.tokens[..]) {
            (Some(refusal), _) => lines.push(format!("one stream    refused: {refusal}")),
            (None, []) => lines.push("one stream    without a token".to_owned()),
            (None, [first, ..]) => {
                let last = self.tokens.last().copied().unwrap_or(*first);
                let count = self.tokens.len();
                lines.push(format!(
                    "one stream    {count} tokens, the first after {}, the last after {}",
                    time(*first),
                    time(last)
                ));
                lines.extend(pen.stream(&self.tokens, &self.strikes));
            }
        }
        lines
    }
}

/// How `values` lie from the least to the most: a histogram, or one line where all are alike. Nothing if there are none.
fn spread(pen: Pen, what: &str, range: Option<(Nanos, Nanos)>, values: &[Nanos]) -> Vec<String> {
    match range {
        None => Vec::new(),
        Some((least, most)) if least == most => vec![String::new(), format!("{what}    always {}", time(least))],
        Some(_) => [String::new(), format!("{what}    {}", figures(values))].into_iter().chain(pen.histogram(values)).collect(),
    }
}

fn figures(values: &[Nanos]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |share: f64| sorted.get(((share * sorted.len() as f64).ceil() as usize).max(1) - 1).copied().unwrap_or(0);
    format!("p50 {}, p99 {}, {} to {}", time(at(0.5)), time(at(0.99)), time(at(0.0)), time(at(1.0)))
}
