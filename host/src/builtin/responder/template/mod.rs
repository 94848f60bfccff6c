//! `template`: text that is filled in from the request, written in Jinja2 (by minijinja).
//!
//! Options: `text`, or `file` with it (below the scenario's folder); `reasoning`, thinking that comes first; `tool-calls`, a list of
//! `{name, arguments}`, whose texts are templates too (one whose name comes out empty is left out; without arguments some are written
//! that fit the tool's schema). [`view`] says what a template sees; docs/replies.md lists it. Templates are checked when the scenario
//! is read. Steps and output are bounded, and there is nothing to include.

use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior, Value as Seen};
use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Item, Responder};
use crate::builtin::responder::template::view::{NAMES, View};
use crate::grammar::file;
use crate::types::fields::{Fields, escape};
use crate::types::limits::{TEMPLATE_BYTES_MAX, TEMPLATE_FUEL, TEMPLATE_OUTPUT_BYTES_MAX};
use crate::types::problem::{Problem, did_you_mean};
use crate::types::reply::Finish;
use crate::types::schema;

#[cfg(test)]
mod tests;
pub(super) mod view;

/// Makes [`Template`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "text filled in from the request: `text`, `file`, `reasoning`, `tool-calls`"
    }

    fn schema(&self) -> Value {
        let call = schema::object([
            ("name!", schema::text("A template of the tool's name; the call is left out if it comes out empty.")),
            ("arguments", serde_json::json!({ "description": "A map whose texts are templates, or one template of JSON text." })),
        ]);
        schema::object([
            ("text", schema::text("The template.")),
            ("file", schema::text("A file with the template, below the scenario's folder.")),
            ("reasoning", schema::text("A template of thinking that comes first.")),
            ("tool-calls", schema::list("Tools that are called after the text.", call)),
        ])
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let mut templates = Templates::new();
        let reasoning =
            fields.text("reasoning").is_some_and(|text| templates.add(&mut fields, "/reasoning", "", text.to_owned()));
        let text = read_text(&mut fields, &mut templates, setting);
        let mut calls = Vec::new();
        for (index, call) in fields.list("tool-calls").iter().enumerate() {
            calls.push(ToolCall::read(&mut fields, &mut templates, call, &format!("/tool-calls/{index}")));
        }
        if !text && calls.is_empty() && fields.value("text").is_none() && fields.value("file").is_none() {
            fields.extend(vec![Problem::new("", "a template needs `text` or `file`")]);
        }
        match fields.finish() {
            problems if problems.is_empty() => {
                let epoch_unix_s = setting.epoch_unix_s;
                Ok(Arc::new(Template { environment: templates.0, reasoning, text, calls, epoch_unix_s }))
            }
            problems => Err(problems),
        }
    }
}

/// Reads `text` or `file`; is there one, and is it good?
fn read_text(fields: &mut Fields<'_>, templates: &mut Templates, setting: &Setting) -> bool {
    match (fields.text("text"), fields.text("file")) {
        (Some(_), Some(_)) => {
            fields.problem("file", "give `text` or `file`, not both");
            false
        }
        (Some(text), None) => templates.add(fields, "/text", "", text.to_owned()),
        (None, Some(name)) => match file::read(&setting.folder, name, TEMPLATE_BYTES_MAX as u64) {
            Ok(text) => templates.add(fields, "/file", name, text),
            Err(message) => {
                fields.problem("file", message);
                false
            }
        },
        (None, None) => false,
    }
}

/// The compiled templates, each by the JSON pointer of its text.
struct Templates(Environment<'static>);

impl Templates {
    fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(TEMPLATE_FUEL));
        Self(environment)
    }

    /// Compiles the template at `pointer`, which stands in `file` if that is not empty. What is wrong with it is noted; is nothing?
    fn add(&mut self, fields: &mut Fields<'_>, pointer: &str, file: &str, text: String) -> bool {
        let place = |line: usize| match file {
            "" => format!("line {line} of the template"),
            file => format!("`{file}:{line}`"),
        };
        let mut problems = Vec::new();
        if text.len() > TEMPLATE_BYTES_MAX {
            problems.push(Problem::new(pointer, format!("a template has at most {TEMPLATE_BYTES_MAX} bytes")));
        }
        for (index, line) in text.lines().enumerate() {
            if let Some(tag) = reaches_out(line) {
                let message = format!("{}: `{tag}` is not there; a template is one text", place(index + 1));
                problems.push(Problem::new(pointer, message));
            }
        }
        if problems.is_empty() {
            match self.0.add_template_owned(pointer.to_owned(), text) {
                Ok(()) => problems.extend(self.unknown_names(pointer)),
                Err(error) => {
                    let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                    problems.push(Problem::new(pointer, format!("{}: {message}", place(error.line().unwrap_or(1)))));
                }
            }
        }
        let good = problems.is_empty();
        fields.extend(problems);
        good
    }

    /// Names that the template at `pointer` uses and that nothing stands behind.
    fn unknown_names(&self, pointer: &str) -> Vec<Problem> {
        let mut names: Vec<_> = self.0.get_template(pointer).map_or_else(
            |_| Vec::new(),
            |template| {
                let globals: Vec<_> = self.0.globals().map(|(name, _)| name.to_owned()).collect();
                let is_known = |name: &str| NAMES.contains(&name) || globals.iter().any(|global| global == name);
                template.undeclared_variables(false).into_iter().filter(|name| !is_known(name)).collect()
            },
        );
        names.sort_unstable();
        let problem = |name: String| {
            let hint = match did_you_mean(&name, NAMES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known: {}", NAMES.join(", ")),
            };
            Problem::new(pointer, format!("the template uses `{name}`, which no request has")).hint(hint)
        };
        names.into_iter().map(problem).collect()
    }
}

/// A tag that would bring in another template, if `line` has one.
fn reaches_out(line: &str) -> Option<&'static str> {
    let tags = line.match_indices("{%").map(|(at, _)| line[at + 2..].trim_start_matches(['-', '+']).trim_start());
    let words = tags.map(|tag| tag.split_whitespace().next().unwrap_or(""));
    words.filter_map(|word| ["include", "import", "from", "extends"].into_iter().find(|known| *known == word)).next()
}

/// A tool call with templates in it.
#[derive(Debug)]
struct ToolCall {
    /// The name of the template of its name.
    pointer: String,
    arguments: Option<Value>,
}

impl ToolCall {
    fn read(fields: &mut Fields<'_>, templates: &mut Templates, value: &Value, pointer: &str) -> Self {
        let mut inner = Fields::of(value, pointer);
        inner.require("name");
        if let Some(name) = inner.text("name") {
            templates.add(&mut inner, &format!("{pointer}/name"), "", name.to_owned());
        }
        let arguments = inner.value("arguments").cloned();
        if let Some(arguments) = &arguments {
            compile_texts(&mut inner, templates, arguments, &format!("{pointer}/arguments"));
        }
        fields.extend(inner.finish());
        Self { pointer: pointer.to_owned(), arguments }
    }
}

/// Compiles every text within `value` that has something to fill in.
fn compile_texts(fields: &mut Fields<'_>, templates: &mut Templates, value: &Value, pointer: &str) {
    match value {
        Value::String(text) if text.contains("{{") || text.contains("{%") => {
            templates.add(fields, pointer, "", text.clone());
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| {
                compile_texts(fields, templates, item, &format!("{pointer}/{index}"));
            });
        }
        Value::Object(map) => {
            for (name, item) in map {
                compile_texts(fields, templates, item, &format!("{pointer}/{}", escape(name)));
            }
        }
        _ => {}
    }
}

/// Text that is filled in from the request.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    reasoning: bool,
    text: bool,
    calls: Vec<ToolCall>,
    epoch_unix_s: u64,
}

impl Responder for Template {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        (0..choices).map(|choice| self.answer(call, choice)).collect()
    }
}

impl Template {
    fn answer(&self, call: &Call<'_>, choice: u32) -> Result<Answer, BehaviorError> {
        let view = Arc::new(View::of(call, choice, self.epoch_unix_s));
        let root = Seen::from_dyn_object(Arc::clone(&view));
        let mut items = Vec::with_capacity(2);
        if self.reasoning {
            items.push(Item::Reasoning(self.render("/reasoning", &root)?));
        }
        if self.text {
            let name = if self.environment.get_template("/text").is_ok() { "/text" } else { "/file" };
            items.push(Item::Text(self.render(name, &root)?));
        }
        let mut finish = Finish::Stop;
        for tool_call in &self.calls {
            let name = self.render(&format!("{}/name", tool_call.pointer), &root)?.trim().to_owned();
            if name.is_empty() {
                continue;
            }
            let fill = |arguments| self.fill(arguments, &format!("{}/arguments", tool_call.pointer), &root);
            let arguments = match tool_call.arguments.as_ref().map(fill).transpose()? {
                Some(Value::String(text)) => Some(text),
                other => other.map(|arguments| arguments.to_string()),
            };
            items.push(Item::ToolCall { name, arguments });
            finish = Finish::ToolCalls;
        }
        if finish == Finish::ToolCalls {
            items.retain(|item| !matches!(item, Item::Text(text) if text.is_empty()));
        }
        if let Some(draws) = call.draws {
            view.take_draws().into_iter().for_each(|(name, value)| draws.note(&name, value));
        }
        Ok(Answer { items, finish })
    }

    /// `value` with every template in it filled in.
    fn fill(&self, value: &Value, pointer: &str, root: &Seen) -> Result<Value, BehaviorError> {
        Ok(match value {
            Value::String(_) if self.environment.get_template(pointer).is_ok() => Value::String(self.render(pointer, root)?),
            Value::Array(items) => {
                let fill = |(index, item)| self.fill(item, &format!("{pointer}/{index}"), root);
                Value::Array(items.iter().enumerate().map(fill).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => {
                let fill = |(name, item): (&String, &Value)| {
                    Ok((name.clone(), self.fill(item, &format!("{pointer}/{}", escape(name)), root)?))
                };
                Value::Object(map.iter().map(fill).collect::<Result<_, BehaviorError>>()?)
            }
            other => other.clone(),
        })
    }

    fn render(&self, name: &str, root: &Seen) -> Result<String, BehaviorError> {
        let mut output = Bounded(Vec::new());
        let rendered = self
            .environment
            .get_template(name)
            .and_then(|template| template.render_captured_to(root.clone(), &mut output).map(|_| ()));
        match rendered {
            Ok(()) => Ok(String::from_utf8_lossy(&output.0).into_owned()),
            Err(error) => {
                let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
                let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
                let causes: String = causes.map(|cause| format!(": {cause}")).collect();
                let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                let message = format!("the template at `{name}`{line}: {detail}{causes}");
                Err(BehaviorError { behaviour: "responder", name: "template".to_owned(), message, cause: "template" })
            }
        }
    }
}

/// Takes what a template writes, up to a bound.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > TEMPLATE_OUTPUT_BYTES_MAX {
            return Err(std::io::Error::other(format!("it writes more than {TEMPLATE_OUTPUT_BYTES_MAX} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
