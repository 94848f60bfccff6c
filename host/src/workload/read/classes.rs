//! `classes:`, the kinds of requests: who is asked, by whom, with how much.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::Folders;
use super::arrivals::{self, Coming};
use crate::grammar::law::{self, Scope};
use crate::stats::law::Law;
use crate::stats::zipf::Zipf;
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::{
    SCENARIO_NAME_BYTES_MAX, WORKLOAD_CLASSES_MAX, WORKLOAD_GROUPS_MAX, WORKLOAD_PROMPTS_MAX, WORKLOAD_TENANTS_MAX,
};
use crate::types::problem::Problem;
use crate::workload::{Arrivals, Class, Prompt, Repeats, Sharing};

/// The tenant of classes that name none.
const TENANT: &str = "default";

/// The exponent of popularity of prompts where the scenario says none: that of pages asked of web servers, 0.64 to 0.83 in the traces of
/// Breslau and others, "Web caching and Zipf-like distributions", INFOCOM 1999.
const POPULARITY: f64 = 0.8;

/// What was read.
pub(super) struct Read {
    pub(super) classes: Vec<Class>,
    /// The arrivals of its own, for each class.
    pub(super) own: Vec<Option<Arrivals>>,
    pub(super) tenants: Vec<String>,
}

/// Reads the list; classes without arrivals of their own come as the section says, if it does.
pub(super) fn read(fields: &mut Fields<'_>, shared: Option<Coming>, folders: Folders<'_>) -> Read {
    let mut read = Read { classes: Vec::new(), own: Vec::new(), tenants: Vec::new() };
    fields.require("classes");
    let items = fields.list("classes");
    if fields.value("classes").is_some_and(|value| value.as_array().is_some_and(Vec::is_empty)) {
        fields.problem("classes", "there is no class; give one at least, such as `- { model: gpt-4o, input: 500 }`");
    }
    if items.len() > WORKLOAD_CLASSES_MAX {
        fields.problem("classes", format!("these are {} classes, and a workload may have {WORKLOAD_CLASSES_MAX}", items.len()));
        return read;
    }
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{}/{index}", fields.pointer("classes"));
        let folder = folders(&pointer);
        let mut class = Fields::of(item, pointer);
        let coming = class.value("arrivals").map(arrivals::coming).or(shared);
        if coming.is_none() {
            class.require("arrivals");
        }
        let own = arrivals::read(&mut class, "arrivals", folders);
        let recorded = coming == Some(Coming::Recorded);
        if let Some(one) = one(&mut class, recorded, &mut read.tenants, folder) {
            if read.classes.iter().any(|other| other.name == one.name) {
                let message = format!("a class called `{}` is there already; give this one another `name`", one.name);
                class.problem("name", message);
            }
            read.classes.push(one);
            read.own.push(own);
        }
        fields.extend(class.finish());
    }
    if read.tenants.is_empty() {
        read.tenants.push(TENANT.to_owned());
    }
    read
}

fn one(class: &mut Fields<'_>, recorded: bool, known: &mut Vec<String>, folder: &Path) -> Option<Class> {
    class.require("model");
    let model = name(class, "model");
    let named = name(class, "name");
    let weight = weight(class);
    let prompt = prompt(class, recorded, folder);
    let output = law::law(class, "output", Scope::tokens(Some(folder)));
    let tenants = tenants(class, known);
    let sharing = sharing(class, folder);
    let repeats = repeats(class, recorded);
    let stream = class.flag("stream").unwrap_or(true);
    let model = model?;
    let name = named.unwrap_or(model).to_owned();
    Some(Class { name, model: model.to_owned(), weight: weight?, prompt: prompt?, output, tenants, sharing, repeats, stream })
}

fn name<'a>(fields: &mut Fields<'a>, field: &'static str) -> Option<&'a str> {
    let text = fields.text(field)?;
    if text.is_empty() || text.len() > SCENARIO_NAME_BYTES_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        fields.problem(field, format!("a name has 1 to {SCENARIO_NAME_BYTES_MAX} bytes and no spaces"));
        return None;
    }
    Some(text)
}

fn weight(fields: &mut Fields<'_>) -> Option<f64> {
    let Some(value) = fields.value("weight") else { return Some(1.0) };
    let weight = fields.number("weight", 0.0..=1e9)?;
    if weight < 1e-9 {
        fields.problem("weight", format!("`{value}` would let nobody be of this class; give more, or leave the class out"));
        return None;
    }
    Some(weight)
}

/// `prompt`, a text, or `input`, a law of lengths. A recording says the lengths itself.
fn prompt(fields: &mut Fields<'_>, recorded: bool, folder: &Path) -> Option<Prompt> {
    let text = fields.text("prompt");
    let [has_text, has_law] = ["prompt", "input"].map(|name| fields.value(name).is_some());
    let length = law::law(fields, "input", Scope::tokens(Some(folder)));
    let words = match (has_text, has_law) {
        (true, true) => Some(("input", "`prompt` is a text of one length; leave it or `input` out")),
        (true, _) | (_, true) if recorded => {
            let name = if has_text { "prompt" } else { "input" };
            Some((name, "the recording says how long the prompts are; leave this out"))
        }
        _ => None,
    };
    if let Some((field, message)) = words {
        fields.problem(field, message);
        return None;
    }
    if recorded {
        return Some(Prompt::Length(Law::constant(1.0)));
    }
    if !has_text && !has_law {
        fields.require("input");
    }
    text.map(|text| Prompt::Text { text: Arc::from(text), tokens: None }).or(length.map(Prompt::Length))
}

/// `tenants`: a list of names, which ask alike, or a map from names to weights. They are added to `known`.
fn tenants(fields: &mut Fields<'_>, known: &mut Vec<String>) -> Vec<(u32, f64)> {
    let pointer = fields.pointer("tenants");
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    match fields.value("tenants") {
        None => given.push((TENANT, 1.0)),
        Some(Value::Object(map)) => {
            for (name, value) in map {
                match value.as_f64().filter(|weight| (1e-9..=1e9).contains(weight)) {
                    Some(weight) => given.push((name, weight)),
                    None => problems.push(Problem::new(format!("{pointer}/{}", escape(name)), "expected a weight above 0")),
                }
            }
        }
        Some(Value::Array(_) | Value::String(_)) => given.extend(fields.texts("tenants").into_iter().map(|name| (name, 1.0))),
        Some(other) => problems.push(Problem::new(&*pointer, format!("expected names of tenants, found {}", kind_of(other)))),
    }
    if given.is_empty() && problems.is_empty() {
        problems.push(Problem::new(&*pointer, "there is no tenant; name one, or leave `tenants` out"));
    }
    fields.extend(problems);
    let mut numbered = Vec::with_capacity(given.len());
    for (name, weight) in given {
        let index = known.iter().position(|tenant| tenant == name).unwrap_or_else(|| {
            known.push(name.to_owned());
            known.len() - 1
        });
        if index == WORKLOAD_TENANTS_MAX {
            fields.problem("tenants", format!("with these a workload has more than {WORKLOAD_TENANTS_MAX} tenants"));
        }
        numbered.push((index as u32, weight));
    }
    numbered
}

fn sharing(fields: &mut Fields<'_>, folder: &Path) -> Option<Sharing> {
    let value = fields.value("prefix")?;
    let mut inner = Fields::of(value, fields.pointer("prefix"));
    inner.require("tokens");
    let share = inner.share("share").unwrap_or(1.0);
    let groups = inner.integer("groups", 1..=WORKLOAD_GROUPS_MAX).unwrap_or(1) as u32;
    let tokens = law::law(&mut inner, "tokens", Scope::tokens(Some(folder)));
    fields.extend(inner.finish());
    Some(Sharing { share, groups, tokens: tokens? })
}

/// `repeat`: how many prompts come again, and how popular they are.
fn repeats(fields: &mut Fields<'_>, recorded: bool) -> Option<Repeats> {
    let value = fields.value("repeat")?;
    let mut inner = Fields::of(value, fields.pointer("repeat"));
    inner.require("prompts");
    let share = inner.share("share").unwrap_or(1.0);
    let prompts = inner.integer("prompts", 1..=WORKLOAD_PROMPTS_MAX);
    let zipf = inner.number("zipf", 0.0..=10.0).unwrap_or(POPULARITY);
    fields.extend(inner.finish());
    let says_it_already = [
        ("prompt", "`prompt` is the same for every request; leave it or `repeat` out"),
        ("prefix", "a prompt that comes again shares all of itself; leave `prefix` or `repeat` out"),
    ];
    let other = says_it_already.into_iter().find(|(field, _)| fields.value(field).is_some()).map(|(_, message)| message);
    let recording = recorded.then_some("the recording says what its prompts have in common; leave this out");
    if let Some(message) = other.or(recording) {
        fields.problem("repeat", message);
        return None;
    }
    Some(Repeats { share, popularity: Zipf::of(prompts? as u32, zipf) })
}
