//! Runs cases: on fresh instances, then on one instance in two orders, and compares what came with what must come.
//!
//! What is measured and shown is what fresh instances gave; of steps that ask many requests, what one instance gave, since a fresh
//! one for each is slow in some languages. The first few of them are compared like any other.

use std::ops::Range;
use std::sync::Arc;

use metrics::NoopRecorder;
use xxhash_rust::xxh3::xxh3_64;

use crate::types::problem::Problem;
use crate::vectors::expect::{Expect, Figure, Measured, Quantity, Share};
use crate::vectors::pattern::Mismatch;
use crate::vectors::report::{CaseReport, Difference, Fuel, Report};
use crate::vectors::rig::{Answered, Rig, word_of};
use crate::vectors::words::flow;
use crate::vectors::{Case, Suite};
use crate::wasm::{Plugin, PluginError};
use crate::worker;

/// Of many requests alike, so many are asked of fresh instances too.
const FRESH_OF_MANY: u64 = 16;

/// Says whether somebody still waits for what vectors say.
pub type Wanted<'a> = &'a (dyn Fn() -> bool + Sync);

/// Runs those cases of `suite` that are about `plugin`. It is tried apart from the world: a live plugin of the same name notices
/// nothing. Fails where the plugin cannot be linked again.
pub fn check(plugin: &Plugin, suite: &Suite) -> Result<Report, PluginError> {
    let given_up = || PluginError::new(plugin.name(), crate::wasm::Cause::Host, "its vectors were given up");
    check_while(plugin, suite, &|| true)?.ok_or_else(given_up)
}

/// The same; `None` if nobody wants to know any more, which is asked before each request.
pub fn check_while(plugin: &Plugin, suite: &Suite, is_wanted: Wanted<'_>) -> Result<Option<Report>, PluginError> {
    let is_about = |case: &&Case| case.plugin.as_deref().is_none_or(|name| plugin.is_called(name));
    let cases: Vec<&Case> = suite.cases.iter().filter(is_about).collect();
    let (fresh, reused, turned) = (plugin.apart(true)?, plugin.apart(false)?, plugin.apart(false)?);
    let run = || {
        // Whoever is a worker keeps one instance to itself, as live.
        worker::enter(0);
        let report = metrics::with_local_recorder(&NoopRecorder, || run(plugin, &cases, [fresh, reused, turned], is_wanted))?;
        Ok(Some(report).filter(|_| is_wanted()))
    };
    let done = std::thread::scope(|scope| std::thread::Builder::new().spawn_scoped(scope, run).map(|thread| thread.join()));
    let host = |message: &str| PluginError::new(plugin.name(), crate::wasm::Cause::Host, message);
    done.map_err(|error| host(&format!("no thread for its vectors: {error}")))?
        .map_err(|_| host("its vectors could not be run"))?
}

fn run(plugin: &Plugin, cases: &[&Case], apart: [Arc<Plugin>; 3], is_wanted: Wanted<'_>) -> Result<Report, PluginError> {
    let [mut fresh, mut reused, mut turned] = apart.map(Rig::new);
    let (mut report, mut runs) = (Report::new(plugin), Vec::new());
    for case in cases {
        let first = play(&mut fresh, case, Some(FRESH_OF_MANY), is_wanted);
        let again = play(&mut reused, case, None, is_wanted);
        let mut case_report = judge(case, &first, &again);
        let said = fresh.plugin().take_said();
        (case_report.said, case_report.said_dropped) = (said.lines, said.dropped);
        report.fuel.add([&first.answers, &again.answers], case, &mut case_report);
        report.cases.push(case_report);
        runs.push((first, again));
    }
    let last_to_first = cases.iter().rev().map(|case| play(&mut turned, case, Some(FRESH_OF_MANY), is_wanted));
    let mut last_to_first: Vec<_> = last_to_first.collect();
    last_to_first.reverse();
    let mut is_searched = false;
    for (index, ((first, again), turned)) in runs.iter().zip(&last_to_first).enumerate() {
        let Some((which, other)) = [("in order", again), ("in the opposite order", turned)]
            .into_iter()
            .find_map(|(which, run)| Some((which, first.first_difference(run)?)))
        else {
            continue;
        };
        // One search among the others is enough to mend it; with one for each case, time would grow with their square.
        let others = if is_searched { 0..0 } else { 0..cases.len() };
        let culprit = culprit(plugin, cases, others, index, first, is_wanted)?;
        is_searched |= culprit.as_deref() != Some(&*cases[index].name);
        report.cases[index].differences.push(hidden_state(which, &other, culprit.as_deref()));
    }
    report.note_clock(fresh.plugin().looked_at_clock());
    report.note_unused(plugin, cases);
    Ok(report)
}

/// What came of one case.
struct Played {
    /// What the plugin says of its options, if it does not accept them.
    refused: Option<Vec<Problem>>,
    /// By step and request.
    answers: Vec<Vec<Answered>>,
}

/// Where two runs of a case differ.
struct Differs {
    step: usize,
    request: usize,
    fresh: String,
    reused: String,
}

/// Asks all of `case`, of each step `at_most` so many requests, as long as somebody wants to know; its state begins empty.
fn play(rig: &mut Rig, case: &Case, at_most: Option<u64>, is_wanted: Wanted<'_>) -> Played {
    rig.plugin().forget_state();
    let ready = match rig.set_up(case) {
        Ok(ready) => ready,
        Err(problems) => return Played { refused: Some(problems), answers: Vec::new() },
    };
    let many = |step: &super::Step| step.over.map_or(1, |over| over.requests).min(at_most.unwrap_or(u64::MAX));
    let steps = case.steps.iter().enumerate();
    let answers = steps.map(|(index, step)| {
        let numbers = (0..many(step)).take_while(|_| is_wanted());
        numbers.map(|number| rig.ask(&ready, case, index, number)).collect()
    });
    Played { refused: None, answers: answers.collect() }
}

impl Played {
    /// The first request that `other` answers otherwise, among those that both were asked; fuel does not count.
    fn first_difference(&self, other: &Self) -> Option<Differs> {
        for (step, (own, others)) in self.answers.iter().zip(&other.answers).enumerate() {
            for (request, (fresh, reused)) in own.iter().zip(others).enumerate() {
                if digest(fresh) != digest(reused) {
                    let [fresh, reused] = [fresh, reused].map(said);
                    return Some(Differs { step, request, fresh, reused });
                }
            }
        }
        None
    }
}

fn digest(answered: &Answered) -> u64 {
    xxh3_64(format!("{:?} {:?} {}", answered.decided, answered.tokens_at, answered.tokens).as_bytes())
}

/// What the plugin decided, on one line.
fn said(answered: &Answered) -> String {
    let own = answered.decided.iter().filter(|(word, _)| *word != "outcome");
    own.map(|(word, value)| format!("{word}: {}", flow(value))).collect::<Vec<_>>().join(", ")
}

/// The case, itself or one of `others`, that must run before the one at `index`, on one instance, for its answers to change; `None` if it
/// takes several.
fn culprit(
    plugin: &Plugin,
    cases: &[&Case],
    others: Range<usize>,
    index: usize,
    fresh: &Played,
    is_wanted: Wanted<'_>,
) -> Result<Option<String>, PluginError> {
    // Itself first: an instance that was asked before may remember that.
    let others = others.filter(|other| *other != index);
    for other in [index].into_iter().chain(others).take_while(|_| is_wanted()) {
        let mut rig = Rig::new(plugin.apart(false)?);
        play(&mut rig, cases[other], Some(FRESH_OF_MANY), is_wanted);
        if fresh.first_difference(&play(&mut rig, cases[index], Some(FRESH_OF_MANY), is_wanted)).is_some() {
            return Ok(Some(cases[other].name.clone()));
        }
    }
    Ok(None)
}

fn hidden_state(order: &str, differs: &Differs, culprit: Option<&str>) -> Difference {
    let before = match culprit {
        Some(name) => format!("`{name}`"),
        None => format!("other cases, {order}"),
    };
    Difference {
        place: None,
        path: step_path(differs.step, Some(differs.request), "same answer on a reused instance"),
        expected: differs.fresh.clone(),
        got: differs.reused.clone(),
        note: Some(format!(
            "it depends on what ran before on the same instance: {before}; keep what must be remembered in the host's `state`, and \
             draw from `call.seed` alone"
        )),
    }
}

fn step_path(step: usize, request: Option<usize>, what: &str) -> String {
    let request = request.filter(|request| *request > 0).map_or_else(String::new, |request| format!("request {}, ", request + 1));
    if step > 0 { format!("step {}, {request}{what}", step + 1) } else { format!("{request}{what}") }
}

/// Compares what came of `case` with what must come.
fn judge(case: &Case, fresh: &Played, reused: &Played) -> CaseReport {
    let mut report = CaseReport::of(case);
    if let Some(difference) = judge_options(case, fresh.refused.as_deref()) {
        report.differences.push(difference);
        return report;
    }
    for (index, step) in case.steps.iter().enumerate() {
        let answers = if step.over.is_some() { &reused.answers } else { &fresh.answers };
        let Some(answers) = answers.get(index) else { continue };
        report.calls += answers.len() as u64;
        let differences = judge_step(&step.expect, answers);
        let numbered = differences.into_iter().map(|difference| Difference {
            path: step_path(index, None, &difference.path),
            place: Some(step.place.clone()),
            ..difference
        });
        report.differences.extend(numbered);
    }
    report
}

/// Does the plugin accept the options as it should?
fn judge_options(case: &Case, refused: Option<&[Problem]>) -> Option<Difference> {
    let show = |problems: &[Problem]| {
        let said = problems.iter().map(|problem| match problem.pointer.as_str() {
            "" => problem.message.clone(),
            pointer => format!("`{pointer}`: {}", problem.message),
        });
        said.collect::<Vec<_>>().join("; ")
    };
    let difference = |expected: String, got: String| {
        let place = Some(case.place.clone());
        Some(Difference { place, path: "options".to_owned(), expected, got, note: None })
    };
    match (&case.refused, refused) {
        (None, None) => None,
        (None, Some(problems)) => {
            let located: Vec<Problem> = problems.iter().map(|problem| case.locate(problem)).collect();
            let mut difference = difference("accepted".to_owned(), format!("refused: {}", show(problems)))?;
            difference.place = located.first().and_then(|problem| problem.place.clone()).or(difference.place);
            difference.note = problems.first().and_then(|problem| problem.hint.clone());
            Some(difference)
        }
        (Some(pointers), None) => difference(format!("refused at {}", pointers.join(", ")), "accepted".to_owned()),
        (Some(pointers), Some(problems)) => {
            let missing: Vec<&String> =
                pointers.iter().filter(|pointer| !problems.iter().any(|problem| problem.pointer == **pointer)).collect();
            if missing.is_empty() {
                return None;
            }
            difference(format!("refused at {}", pointers.join(", ")), show(problems))
        }
    }
}

fn judge_step(expect: &Expect, answers: &[Answered]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (number, answered) in answers.iter().enumerate() {
        let mut mismatches = Vec::new();
        for (word, pattern) in &expect.decisions {
            pattern.compare(answered.decided.get(*word), word, &mut mismatches);
        }
        mismatches.extend(unexpected_failures(expect, answered));
        if !mismatches.is_empty() {
            // What one difference shows whole needs no second telling.
            let decided = said(answered);
            let is_shown = mismatches.iter().any(|mismatch| decided == format!("{}: {}", mismatch.path, mismatch.got));
            let decided = (!answered.decided.is_empty() && !is_shown).then(|| format!("decided {decided}"));
            let each = mismatches.into_iter().map(|Mismatch { path, expected, got }| Difference {
                place: None,
                path: step_path(0, Some(number), &path),
                expected,
                got,
                note: None,
            });
            differences.extend(each);
            if let Some(last) = differences.last_mut() {
                last.note = decided;
            }
            // The others would say the same again.
            break;
        }
    }
    differences.extend(expect.measured.iter().filter_map(|measured| judge_measured(measured, answers)));
    differences.extend(expect.shares.iter().filter_map(|share| judge_share(share, answers)));
    differences
}

/// Behaviours that failed though nobody expects it: a trap is no answer, whatever else fits.
fn unexpected_failures(expect: &Expect, answered: &Answered) -> Vec<Mismatch> {
    let failed = answered
        .decided
        .iter()
        .filter(|(word, value)| value.get("failed").is_some() && !expect.decisions.iter().any(|(expected, _)| expected == word));
    let expected = || "an answer".to_owned();
    failed.map(|(word, value)| Mismatch { path: word.clone(), expected: expected(), got: flow(value) }).collect()
}

/// The values of `what` in all `answers`, in microseconds where it is a time.
fn values(what: Quantity, answers: &[Answered]) -> Vec<f64> {
    let us = |ns: &u64| *ns as f64 / 1e3;
    let of = |answered: &Answered| -> Vec<f64> {
        match what {
            Quantity::Ttft => answered.tokens_at.first().map(us).into_iter().collect(),
            Quantity::Gap => answered.tokens_at.windows(2).map(|pair| us(&(pair[1] - pair[0]))).collect(),
            Quantity::Total => answered.tokens_at.last().map(us).into_iter().collect(),
            Quantity::Tokens => vec![f64::from(answered.tokens)],
        }
    };
    answers.iter().flat_map(of).collect()
}

fn judge_measured(measured: &Measured, answers: &[Answered]) -> Option<Difference> {
    let Measured { what, of, bounds } = measured;
    let mut values = values(*what, answers);
    let path = [what.word().to_owned(), of.word()].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(".");
    let difference = |got: String| Some(Difference { place: None, path: path.clone(), expected: bounds.show(), got, note: None });
    if values.is_empty() {
        let why =
            if *what == Quantity::Gap { "there is no gap: the reply has fewer than two tokens" } else { "there is no reply" };
        return difference(why.to_owned());
    }
    values.sort_by(f64::total_cmp);
    let show = |value: f64| what.unit().show(value);
    match of {
        Figure::Each => {
            let outside = values.iter().find(|value| !bounds.hold(**value))?;
            let count = values.iter().filter(|value| !bounds.hold(**value)).count();
            let all = if values.len() == 1 { String::new() } else { format!(" ({count} of {} lie outside)", values.len()) };
            difference(format!("{}{all}", show(*outside)))
        }
        Figure::Mean => {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            if bounds.hold(mean) { None } else { difference(show(mean)) }
        }
        Figure::Quantile(share) => {
            // The nearest rank: a value that really came.
            let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let value = values[rank - 1];
            if bounds.hold(value) { None } else { difference(format!("{} (of {} values)", show(value), values.len())) }
        }
    }
}

fn judge_share(share: &Share, answers: &[Answered]) -> Option<Difference> {
    let is_so = |answered: &&Answered| share.of.iter().all(|(word, pattern)| pattern.holds(answered.decided.get(*word)));
    let count = answers.iter().filter(is_so).count();
    let found = count as f64 / answers.len().max(1) as f64;
    if share.bounds.hold(found) {
        return None;
    }
    let got = format!("{} ({count} of {})", share.bounds.unit.show(found), answers.len());
    Some(Difference { place: None, path: share.said.clone(), expected: share.bounds.show(), got, note: None })
}

impl Case {
    /// `problem`, whose pointer is into the options, with its place in the file.
    fn locate(&self, problem: &Problem) -> Problem {
        self.source.locate(Problem { place: None, ..problem.clone() }.under(&self.options_pointer))
    }
}

impl Fuel {
    /// Adds the fuel of every call on fresh instances, and says so in `report` if one took more than its case allows, there or on the
    /// instance that answered all requests.
    fn add(&mut self, [first, again]: [&Vec<Vec<Answered>>; 2], case: &Case, report: &mut CaseReport) {
        for (kind, fuel) in first.iter().flatten().flat_map(|answered| answered.fuel.iter().copied()) {
            self.note(kind, fuel);
        }
        let calls = first.iter().chain(again).flatten().flat_map(|answered| answered.fuel.iter().copied());
        let most = calls.max_by_key(|(_, fuel)| *fuel);
        report.fuel_max = most.map(|(_, fuel)| fuel);
        if let (Some((kind, fuel)), Some(budget)) = (most, case.max_fuel)
            && fuel > budget
        {
            report.differences.push(Difference {
                place: Some(case.place.clone()),
                path: "max-fuel".to_owned(),
                expected: format!("at most {budget} instructions a call"),
                got: format!("{fuel} for `{kind}`"),
                note: None,
            });
        }
    }
}

impl Report {
    /// What the plugin decides and no case looks at, and options that none sets.
    fn note_unused(&mut self, plugin: &Plugin, cases: &[&Case]) {
        if cases.is_empty() {
            return;
        }
        let sets = |name: &str| cases.iter().any(|case| case.options.get(name).is_some());
        let unset: Vec<String> = plugin.options().iter().filter(|name| !sets(name)).map(|name| format!("`{name}`")).collect();
        match &unset[..] {
            [] => {}
            [one] => self.warnings.push(format!("no case sets the option {one}")),
            many => self.warnings.push(format!("no case sets the options {}", many.join(", "))),
        }
        let measures = |expect: &Expect, word: &str| match word {
            "latency" => expect.measured.iter().any(|measured| measured.what != Quantity::Tokens),
            "reply" => expect.measured.iter().any(|measured| measured.what == Quantity::Tokens),
            "fault" => expect.decisions.iter().any(|(word, _)| *word == "outcome"),
            _ => false,
        };
        let looks = |expect: &Expect, word: &str| {
            let named = expect.decisions.iter().any(|(known, _)| *known == word);
            named || measures(expect, word) || expect.shares.iter().any(|share| share.of.iter().any(|(known, _)| *known == word))
        };
        for word in plugin.kinds().into_iter().map(word_of) {
            if !cases.iter().flat_map(|case| &case.steps).any(|step| looks(&step.expect, word)) {
                self.warnings.push(format!("no case looks at what it decides as `{word}`"));
            }
        }
    }
}
