//! Files of test vectors become cases; every mistake of every file is named at once, at its place.
//!
//! A file is a list of cases, or a map: `plugin` (whom the cases are about, where a pack has several), `defaults` (`options`, `request`,
//! `call`, `backends`, `group`, `max-fuel` for all cases) and `cases`. A case has a `name`, `options`, and either one step (`request`,
//! `call`, `backends` or `group`, `over`, `expect`) or `steps`, a list of such; `refused` in place of them names the options that the
//! plugin must not accept. What is expected says who is asked.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::scenario::refusal::Refusal;
use crate::scenario::source::{Source, SourceFile};
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::{SCENARIO_BYTES_MAX, VECTOR_CASES_MAX, VECTOR_REQUESTS_MAX};
use crate::types::problem::{Place, Problem};
use crate::vectors::expect::Expect;
use crate::vectors::group::Scene;
use crate::vectors::request::{Asked, CallAsked};
use crate::vectors::{Asks, Case, Over, Step, Suite};

/// The folder of a project or pack in which its vectors are.
pub const FOLDER: &str = "tests";

/// The files of vectors in the folder `tests` of `project`, in order; none if there is no such folder.
pub fn files_of(project: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(project.join(FOLDER)) else { return Vec::new() };
    let is_vectors =
        |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") && path.is_file();
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_vectors).collect();
    files.sort_unstable();
    files
}

/// Reads `files`. The refusal names every mistake in all of them.
pub fn read(files: &[PathBuf]) -> Result<Suite, Refusal> {
    let mut suite = Suite::default();
    let mut refusal = Refusal { file: String::new(), files: Vec::new(), problems: Vec::new() };
    for path in files {
        let file = path.display().to_string();
        let text = match text_of(path) {
            Ok(text) => text,
            Err(problem) => {
                refusal.file = file;
                refusal.problems.push(problem);
                continue;
            }
        };
        match parse(&file, &text) {
            Ok(cases) => suite.cases.extend(cases),
            Err(found) => {
                refusal.file = found.file;
                refusal.files.extend(found.files);
                refusal.problems.extend(found.problems);
            }
        }
    }
    if refusal.problems.is_empty() { Ok(suite) } else { Err(refusal) }
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Problem::new("", format!("cannot read `{shown}`: {error}"));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > SCENARIO_BYTES_MAX {
        let message = format!("`{shown}` has {size} bytes; a file of vectors has at most {SCENARIO_BYTES_MAX}");
        return Err(Problem::new("", message).hint("split it"));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Reads the cases in `text`, which `file` names in messages.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, Refusal> {
    let source = Source::parse(file, text).map_err(|problem| Refusal {
        file: file.to_owned(),
        files: vec![SourceFile { name: file.to_owned(), text: text.to_owned(), folder: PathBuf::new() }],
        problems: vec![problem],
    })?;
    let source = Arc::new(source);
    let mut problems = Vec::new();
    let cases = Reader { source: &source, defaults: Defaults::default() }.file(&mut problems);
    if problems.is_empty() { Ok(cases) } else { Err(Refusal::of(&source, problems)) }
}

/// What a file says for all of its cases.
#[derive(Default)]
struct Defaults {
    plugin: Option<String>,
    options: Map<String, Value>,
    request: Asked,
    call: CallAsked,
    scene: Scene,
    max_fuel: Option<u64>,
}

/// What all steps of a case have in common.
#[derive(Default)]
struct Common {
    request: Asked,
    call: CallAsked,
    scene: Scene,
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    defaults: Defaults,
}

impl Reader<'_> {
    fn file(mut self, problems: &mut Vec<Problem>) -> Vec<Case> {
        let value = &self.source.value;
        let (items, pointer) = match value {
            Value::Array(items) => (items.as_slice(), String::new()),
            value => {
                let mut fields = Fields::of(value, "");
                self.defaults.plugin = fields.text("plugin").map(str::to_owned);
                if let Some(defaults) = fields.value("defaults") {
                    self.read_defaults(defaults, problems);
                }
                fields.require("cases");
                let items = fields.list("cases");
                problems.extend(fields.finish());
                (items, "/cases".to_owned())
            }
        };
        if items.len() > VECTOR_CASES_MAX {
            let message = format!("there are {} cases, and a file may have {VECTOR_CASES_MAX}", items.len());
            problems.push(Problem::new(pointer, message).hint("split it, or ask many alike with `over`"));
            return Vec::new();
        }
        let mut names = HashSet::new();
        let mut cases = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let case = self.case(item, &pointer, problems);
            if !case.name.is_empty() && !names.insert(case.name.clone()) {
                let message = format!("another case is called `{}` too", case.name);
                problems.push(Problem::new(format!("{pointer}/name"), message).hint("say what this one shows"));
            }
            cases.push(case);
        }
        cases
    }

    fn read_defaults(&mut self, value: &Value, problems: &mut Vec<Problem>) {
        let mut fields = Fields::of(value, "/defaults");
        self.defaults.options = options(&mut fields);
        if let Some(request) = fields.value("request") {
            self.defaults.request = Asked::read(request, "/defaults/request", problems);
        }
        if let Some(call) = fields.value("call") {
            self.defaults.call = CallAsked::read(call, "/defaults/call", problems);
        }
        self.defaults.scene = Scene::read(&mut fields, problems);
        self.defaults.max_fuel = fields.integer("max-fuel", 1..=u64::MAX);
        problems.extend(fields.finish());
    }

    fn case(&self, value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Case {
        let mut fields = Fields::of(value, pointer);
        fields.require("name");
        let name = fields.text("name").unwrap_or_default().to_owned();
        let mut merged = self.defaults.options.clone();
        merged.extend(options(&mut fields));
        let max_fuel = fields.integer("max-fuel", 1..=u64::MAX).or(self.defaults.max_fuel);
        let refused = fields.value("refused").is_some().then(|| {
            let pointers = fields.texts("refused").into_iter().map(str::to_owned).collect::<Vec<_>>();
            if let Some(bad) = pointers.iter().find(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
                fields.problem("refused", format!("`{bad}` is no JSON pointer; write for example `/{bad}`"));
            }
            pointers
        });
        let steps = match (&refused, fields.value("steps")) {
            (_, Some(_)) => self.steps(&mut fields),
            (None, None) => vec![self.step(&mut fields, pointer, &Common::default())],
            (Some(_), None) => Vec::new(),
        };
        if refused.is_some() && (!steps.is_empty() || fields.value("expect").is_some()) {
            fields.problem("refused", "options that are refused answer nothing; leave out `expect` and `steps`, or this");
        }
        problems.extend(fields.finish());
        Case {
            name,
            plugin: self.defaults.plugin.clone(),
            place: self.place(pointer),
            options: Value::Object(merged),
            refused,
            max_fuel,
            steps,
            source: Arc::clone(self.source),
            options_pointer: format!("{pointer}/options"),
        }
    }

    /// The steps of a case; what stands beside them of what is asked holds for all.
    fn steps(&self, fields: &mut Fields<'_>) -> Vec<Step> {
        let mut problems = Vec::new();
        let request = fields.value("request").map(|value| Asked::read(value, &fields.pointer("request"), &mut problems));
        let call = fields.value("call").map(|value| CallAsked::read(value, &fields.pointer("call"), &mut problems));
        let scene = Scene::read(fields, &mut problems);
        let common = Common { request: request.unwrap_or_default(), call: call.unwrap_or_default(), scene };
        let pointer = fields.pointer("steps");
        let items = fields.list("steps");
        if items.is_empty() {
            fields.problem("steps", "there are no steps");
        }
        let mut steps = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let mut step = Fields::of(item, pointer.clone());
            steps.push(self.step(&mut step, &pointer, &common));
            problems.extend(step.finish());
        }
        fields.extend(problems);
        steps
    }

    fn step(&self, fields: &mut Fields<'_>, pointer: &str, common: &Common) -> Step {
        let mut problems = Vec::new();
        let request = fields.value("request").map(|value| Asked::read(value, &fields.pointer("request"), &mut problems));
        let request = request.unwrap_or_default().over(&common.request).over(&self.defaults.request);
        let request = request.request().map_err(|problem| problems.push(problem)).ok();
        let call = fields.value("call").map(|value| CallAsked::read(value, &fields.pointer("call"), &mut problems));
        let call = call.unwrap_or_default().over(&common.call).over(&self.defaults.call).facts();
        let over = over(fields);
        fields.require("expect");
        let mistakes = problems.len();
        let expect = fields.value("expect").map(|value| {
            let pointer = fields.pointer("expect");
            Expect::read(value, &pointer, over.is_some(), &mut problems)
        });
        let own = Scene::read(fields, &mut problems);
        let has_own = own.backends.is_some();
        let scene = own.over(&common.scene).over(&self.defaults.scene);
        // Of what cannot be read nobody knows whom it asks.
        let asks = expect.as_ref().filter(|_| problems.len() == mistakes).map(|expect| asks(expect, scene, fields, has_own));
        let asks = asks.unwrap_or(Ok(Asks::Request)).unwrap_or_else(|problem| {
            problems.push(problem);
            Asks::Request
        });
        fields.extend(problems);
        Step {
            place: self.place(&format!("{pointer}/expect")),
            // Without a request there are problems, and then nobody looks at the step.
            request: request.unwrap_or_else(|| Arc::new(crate::types::request::Request::chat("", Vec::new()))),
            call,
            asks,
            over,
            expect: expect.unwrap_or_default(),
        }
    }

    fn place(&self, pointer: &str) -> Place {
        let problem = Problem::new(pointer, "");
        // A field's name says where it is; an entry of a list has none.
        let is_field = self.source.keys.contains_key(pointer);
        let located = self.source.locate(if is_field { problem.at_key() } else { problem });
        located.place.unwrap_or_else(|| Place { file: self.source.name().to_owned(), line: 1, column: 1 })
    }
}

/// Who is asked: whoever decides what is expected. `has_own` says that the step itself has backends.
fn asks(expect: &Expect, scene: Scene, fields: &Fields<'_>, has_own: bool) -> Result<Asks, Problem> {
    let at = |field: &str, message: &str, hint: &str| Err(Problem::new(fields.pointer(field), message).hint(hint));
    match (expect.looks_at("balancer"), expect.looks_at("autoscaler"), expect.looks_at_requests()) {
        (true, false, false) => match scene.backends {
            Some(backends) => Ok(Asks::Balancer(backends)),
            None => at("expect", "there is nothing to choose from", "say `backends: 3` beside `expect`, or a list of them"),
        },
        (false, true, false) => Ok(Asks::Autoscaler(Box::new(scene.group.group(&fields.pointer("group"))?))),
        (false, false, _) if has_own => {
            at("backends", "these are for a balancer, and of one nothing is expected", "expect for example `balancer: 0`")
        }
        (false, false, _) => Ok(Asks::Request),
        _ => at(
            "expect",
            "a step asks one: a balancer, an autoscaler, or the behaviours of a request",
            "make `steps` of it, one for each",
        ),
    }
}

fn options(fields: &mut Fields<'_>) -> Map<String, Value> {
    match fields.value("options") {
        None => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(other) => {
            fields.problem("options", format!("expected a map of options, found {}", kind_of(other)));
            Map::new()
        }
    }
}

/// `1000`, or `{ requests: 1000, every: 20ms }`.
fn over(fields: &mut Fields<'_>) -> Option<Over> {
    if !fields.value("over")?.is_object() {
        return fields.integer("over", 1..=VECTOR_REQUESTS_MAX).map(|requests| Over { requests, every: 0 });
    }
    let mut inner = Fields::of(fields.value("over")?, fields.pointer("over"));
    inner.require("requests");
    let requests = inner.integer("requests", 1..=VECTOR_REQUESTS_MAX);
    let every = inner.duration_us("every").unwrap_or(0) * 1_000;
    fields.extend(inner.finish());
    requests.map(|requests| Over { requests, every })
}
