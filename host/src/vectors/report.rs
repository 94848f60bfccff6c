//! What came out of test vectors: case by case, as a diff for people, as JSON for programs, as problems for whoever refuses a plugin.

use serde_json::{Value, json};

use crate::station::autoscaler::Sight;
use crate::types::problem::{Place, Problem};
use crate::vectors::words::flow;
use crate::vectors::{Asks, Case};
use crate::wasm::Plugin;

/// What came out of the cases of one plugin.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The plugin.
    pub plugin: String,
    /// Its cases, in the order of the files.
    pub cases: Vec<CaseReport>,
    /// Instructions of its calls, where these are counted.
    pub fuel: Fuel,
    /// What is no mistake, but worth a thought.
    pub warnings: Vec<String>,
}

/// What came out of one case.
#[derive(Debug, Clone)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// The options that the plugin was given, on one line.
    pub options: String,
    /// What was asked first, on one line.
    pub asked: String,
    /// Requests that were asked.
    pub calls: u64,
    /// Instructions of its dearest call, where they are counted.
    pub fuel_max: Option<u64>,
    /// What is not as it must be; empty if the case passes.
    pub differences: Vec<Difference>,
    /// What the plugin said meanwhile: level and line.
    pub said: Vec<(&'static str, String)>,
    /// Lines besides, which were too many to be kept.
    pub said_dropped: u64,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where it is asked for.
    pub place: Option<Place>,
    /// What it is about: `fault.http-error.status`.
    pub path: String,
    /// What must come.
    pub expected: String,
    /// What came.
    pub got: String,
    /// More to know.
    pub note: Option<String>,
}

/// Instructions of calls, by the word for the kind.
#[derive(Debug, Clone, Default)]
pub struct Fuel {
    calls: Vec<(&'static str, Vec<u64>)>,
}

impl Fuel {
    pub(super) fn note(&mut self, kind: &'static str, fuel: u64) {
        match self.calls.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, calls)) => calls.push(fuel),
            None => self.calls.push((kind, vec![fuel])),
        }
    }

    /// The word for each kind, with how many calls there were, and their median and largest number of instructions.
    pub fn figures(&self) -> Vec<(&'static str, usize, u64, u64)> {
        let figures = |(kind, calls): &(&'static str, Vec<u64>)| {
            let mut sorted = calls.clone();
            sorted.sort_unstable();
            let at = |rank: usize| sorted.get(rank).copied().unwrap_or(0);
            (*kind, sorted.len(), at(sorted.len().saturating_sub(1) / 2), at(sorted.len().saturating_sub(1)))
        };
        self.calls.iter().map(figures).collect()
    }
}

impl CaseReport {
    pub(super) fn of(case: &Case) -> Self {
        Self {
            name: case.name.clone(),
            place: case.place.clone(),
            options: flow(&case.options),
            asked: asked(case),
            calls: 0,
            fuel_max: None,
            differences: Vec::new(),
            said: Vec::new(),
            said_dropped: 0,
        }
    }

    /// Is all as it must be?
    pub fn passes(&self) -> bool {
        self.differences.is_empty()
    }

    fn text(&self) -> String {
        let Place { file, line, .. } = &self.place;
        let mut lines = vec![format!("FAIL  {}", self.name), format!("      {file}:{line}")];
        if self.options != "{}" {
            lines.push(format!("      options   {}", self.options));
        }
        if !self.asked.is_empty() {
            lines.push(format!("      asked     {}", self.asked));
        }
        for Difference { place, path, expected, got, note } in &self.differences {
            let at = place
                .as_ref()
                .filter(|place| place.line != *line)
                .map_or_else(String::new, |place| format!("  (line {})", place.line));
            lines.push(format!("    {path}{at}"));
            lines.push(format!("      - {expected}"));
            lines.push(format!("      + {got}"));
            lines.extend(note.as_ref().map(|note| format!("      {note}")));
        }
        const SAID_SHOWN: usize = 10;
        lines.extend(self.said.iter().take(SAID_SHOWN).map(|(level, line)| format!("      said      {level}: {line}")));
        let more = (self.said.len().saturating_sub(SAID_SHOWN) as u64).saturating_add(self.said_dropped);
        if more > 0 {
            lines.push(format!("      said      {more} lines more"));
        }
        lines.join("\n")
    }
}

/// What the first step asks, in a few words.
fn asked(case: &Case) -> String {
    let Some(step) = case.steps.first() else { return String::new() };
    let (request, call) = (&step.request, &step.call);
    let mut words = vec![format!("{} {:?}", request.model, shortened(request.last_user_text())), format!("seed {}", call.seed)];
    let mut add = |name: &str, value: u64| {
        if value > 0 {
            words.push(format!("{name} {value}"));
        }
    };
    add("attempt", call.attempt.into());
    add("occurrence", call.occurrence.into());
    add("running", call.running.into());
    add("waiting", call.waiting.into());
    if call.now > 0 {
        words.push(format!("{} after the start", crate::types::quantity::show_duration_us(call.now / 1_000)));
    }
    if !call.tenant.is_empty() {
        words.push(format!("tenant {}", call.tenant));
    }
    match &step.asks {
        Asks::Request => {}
        Asks::Balancer(backends) => words.push(format!("{} backends", backends.len())),
        Asks::Autoscaler(group) => {
            let Sight { wanted, running, waiting, .. } = group.sight;
            words = vec![format!("`{}`: wanted {wanted}, running {running}, waiting {waiting}", group.station)];
        }
    }
    words.extend(step.over.map(|over| format!("{} requests", over.requests)));
    if case.steps.len() > 1 {
        words.push(format!("the first of {} steps", case.steps.len()));
    }
    words.join(", ")
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN { text.to_owned() } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

impl Report {
    pub(super) fn new(plugin: &Plugin) -> Self {
        Self { plugin: plugin.name().to_owned(), ..Self::default() }
    }

    pub(super) fn note_clock(&mut self, looked: bool) {
        if looked {
            let advice = "that shows the call's time; take `call.now-ns` and save a call of the host";
            self.warnings.push(format!("it looks at a clock of WASI's while it decides: {advice}"));
        }
    }

    /// Do all cases pass?
    pub fn is_good(&self) -> bool {
        self.cases.iter().all(CaseReport::passes)
    }

    /// How many cases do not pass.
    pub fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.passes()).count()
    }

    /// Every difference as a problem, for whoever refuses a plugin whose vectors fail.
    pub fn problems(&self) -> Vec<Problem> {
        let of = |case: &CaseReport| -> Vec<Problem> {
            let problem = |difference: &Difference| {
                let Difference { place, path, expected, got, note } = difference;
                let message = format!("plugin `{}`, case `{}`: {path} is {got}, expected {expected}", self.plugin, case.name);
                let mut problem = Problem::new("", message);
                problem.place = Some(place.clone().unwrap_or_else(|| case.place.clone()));
                match note {
                    Some(note) => problem.hint(note.clone()),
                    None => problem,
                }
            };
            case.differences.iter().map(problem).collect()
        };
        self.cases.iter().flat_map(of).collect()
    }

    /// For people: what fails, then fuel, warnings and the sum.
    pub fn text(&self) -> String {
        let mut blocks: Vec<String> = Vec::new();
        let passed: Vec<String> =
            self.cases.iter().filter(|case| case.passes()).map(|case| format!("ok    {}", case.name)).collect();
        if !passed.is_empty() {
            blocks.push(passed.join("\n"));
        }
        blocks.extend(self.cases.iter().filter(|case| !case.passes()).map(CaseReport::text));
        let mut lines = Vec::new();
        for (kind, calls, median, most) in self.fuel.figures() {
            lines.push(format!("fuel      {kind}: {median} instructions in the median, {most} at most, {calls} calls"));
        }
        lines.extend(self.warnings.iter().map(|warning| format!("warning   {warning}")));
        if !lines.is_empty() {
            blocks.push(lines.join("\n"));
        }
        blocks.push(self.sum());
        blocks.join("\n\n")
    }

    /// One line: `brown-out: 7 cases pass, fresh and reused`.
    pub fn sum(&self) -> String {
        let (all, failed) = (self.cases.len(), self.failed());
        let cases = |count: usize| if count == 1 { "1 case".to_owned() } else { format!("{count} cases") };
        match (all, failed) {
            (0, _) => format!("{}: there are no cases", self.plugin),
            (1, 0) => format!("{}: 1 case passes, on fresh and on reused instances", self.plugin),
            (all, 0) => format!("{}: {} pass, on fresh and on reused instances", self.plugin, cases(all)),
            (all, failed) => format!("{}: {failed} of {} fail", self.plugin, cases(all)),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let difference = |difference: &Difference| {
            json!({
                "path": difference.path, "expected": difference.expected, "got": difference.got, "note": difference.note,
                "line": difference.place.as_ref().map(|place| place.line),
            })
        };
        let case = |case: &CaseReport| {
            json!({
                "name": case.name, "file": case.place.file, "line": case.place.line, "passes": case.passes(),
                "requests": case.calls, "fuel_max": case.fuel_max,
                "differences": case.differences.iter().map(difference).collect::<Vec<_>>(),
                "said": case.said.iter().map(|(level, line)| json!({"level": level, "line": line})).collect::<Vec<_>>(),
            })
        };
        let fuel = self.fuel.figures().into_iter();
        json!({
            "plugin": self.plugin,
            "passes": self.is_good(),
            "cases": self.cases.iter().map(case).collect::<Vec<_>>(),
            "fuel": fuel.map(|(kind, calls, p50, max)| json!({"of": kind, "calls": calls, "p50": p50, "max": max})).collect::<Vec<_>>(),
            "warnings": self.warnings,
        })
    }
}
