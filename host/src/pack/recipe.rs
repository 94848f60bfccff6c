//! `pack.toml`: what a person writes to make a pack. Every mistake is told at once, with its place.
//!
//! Paths in it start at its folder and never lead out of it. What a plugin exports, imports and takes as options is not written here:
//! the build finds it out from the component and compares it with what is asked for.

use std::path::Path;

use semver::Version;

use crate::grammar::toml::{Document, Mistakes};
use crate::pack::interface::InterfaceRange;
use crate::pack::title::{fault_of_name, fault_of_title};
use crate::types::capability::{Capabilities, Reach};
use crate::types::fields::Fields;
use crate::types::limits::{
    GUEST_MEMORY_BYTES, GUEST_MEMORY_CEILING_BYTES, GUEST_TIME_US, GUEST_WALL_US, PACK_LAYERS_MAX, PACK_MANIFEST_BYTES_MAX,
};
use crate::types::problem::Problem;

/// The file's name.
pub const RECIPE: &str = "pack.toml";

/// The kinds of behaviour that a plugin may decide.
pub const KINDS: [&str; 5] = ["fault", "responder", "latency", "balancer", "autoscaler"];

/// A pack as its author describes it.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its name: the first part of its behaviours' names unless a scenario gives another.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Under which licence it may be used, as SPDX writes it.
    pub licence: String,
    /// One sentence.
    pub description: String,
    /// The versions of the contract that it is for.
    pub interface: InterfaceRange,
    /// Its plugins.
    pub plugins: Vec<PluginEntry>,
    /// Its scenarios.
    pub scenarios: Vec<ScenarioEntry>,
    /// The file as written, for mistakes found later.
    pub document: Document,
}

/// One `[[plugin]]`.
#[derive(Debug, Clone)]
pub struct PluginEntry {
    /// Its name in the pack.
    pub name: String,
    /// Where it comes from.
    pub from: PluginFrom,
    /// What it decides, if the author says so; the build compares.
    pub kinds: Option<Vec<String>>,
    /// What it asks for.
    pub reach: Reach,
    /// JSON pointer of the entry.
    pub pointer: String,
}

/// Where a plugin of a recipe comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginFrom {
    /// A component.
    File(String),
    /// The folder of a plugin project, which is built.
    Project(String),
}

/// One `[[scenario]]`.
#[derive(Debug, Clone)]
pub struct ScenarioEntry {
    /// Its name in the pack.
    pub name: String,
    /// Its file.
    pub file: String,
    /// One sentence; may be empty.
    pub summary: String,
    /// JSON pointer of the entry.
    pub pointer: String,
}

/// Reads the recipe in `folder`.
pub fn read(folder: &Path) -> Result<Recipe, Mistakes> {
    let path = folder.join(RECIPE);
    let file = path.display().to_string();
    let one = |message: String, hint: &str| Mistakes::one(&file, Problem::new("", message).hint(hint));
    let size = std::fs::metadata(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            one(format!("there is no `{file}`"), "`simwright pack init NAME` makes a pack to begin with")
        }
        _ => one(format!("`{file}` cannot be read: {error}"), "check the path"),
    })?;
    if size.len() > PACK_MANIFEST_BYTES_MAX {
        return Err(one(
            format!("`{file}` has {} bytes, and it may have {PACK_MANIFEST_BYTES_MAX}", size.len()),
            "is it the right file?",
        ));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| one(format!("`{file}` cannot be read: {error}"), "save it as UTF-8 text"))?;
    parse(&file, &text)
}

/// Reads `text`, which `file` names in messages.
pub fn parse(file: &str, text: &str) -> Result<Recipe, Mistakes> {
    let document = Document::parse(file, text)?;
    let mut fields = Fields::of(&document.value, "");
    for field in ["name", "version", "licence", "description", "interface"] {
        fields.require(field);
    }
    let name = name(&mut fields).unwrap_or_default();
    let version = parsed::<Version>(&mut fields, "version", "a version has three numbers, such as `0.1.0`");
    let licence = words(&mut fields, "licence");
    let description = words(&mut fields, "description");
    let interface = parsed::<InterfaceRange>(&mut fields, "interface", "write for example `^1.0`");
    let plugins = entries(&mut fields, "plugin", plugin);
    let scenarios = entries(&mut fields, "scenario", scenario);
    let mut problems = fields.finish();
    problems.extend(twice("plugin", plugins.iter().map(|plugin| (&*plugin.name, &*plugin.pointer))));
    problems.extend(twice("scenario", scenarios.iter().map(|scenario| (&*scenario.name, &*scenario.pointer))));
    if plugins.is_empty() && scenarios.is_empty() && problems.is_empty() {
        let problem = Problem::new("", "there is nothing in this pack: neither a `[[plugin]]` nor a `[[scenario]]`");
        problems.push(problem.hint("add for example `[[plugin]]`, `name = \"…\"` and `file = \"….wasm\"`"));
    }
    let (Some(version), Some(interface), true) = (version, interface, problems.is_empty()) else {
        return Err(document.mistakes(problems));
    };
    Ok(Recipe { name, version, licence, description, interface, plugins, scenarios, document })
}

fn name(fields: &mut Fields<'_>) -> Option<String> {
    let name = fields.text("name")?;
    match fault_of_name(name) {
        None => Some(name.to_owned()),
        Some(message) => {
            fields.problem("name", message);
            None
        }
    }
}

fn words(fields: &mut Fields<'_>, field: &'static str) -> String {
    let text = fields.text(field).unwrap_or("x");
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        fields.problem(field, format!("expected one line of text for `{field}`"));
    }
    text.to_owned()
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(fields: &mut Fields<'_>, field: &'static str, hint: &str) -> Option<T> {
    let text = fields.text(field)?;
    text.parse()
        .map_err(|error| fields.extend(vec![Problem::new(format!("/{field}"), format!("`{text}`: {error}")).hint(hint)]))
        .ok()
}

/// The entries of `[[name]]`, each read by `read`.
fn entries<'a, T>(fields: &mut Fields<'a>, name: &'static str, read: impl Fn(&mut Fields<'a>, &str) -> Option<T>) -> Vec<T> {
    let pointer = fields.pointer(name);
    let list = fields.list(name);
    if list.len() > PACK_LAYERS_MAX {
        fields.problem(name, format!("there are {} of them, and a pack may have {PACK_LAYERS_MAX}", list.len()));
        return Vec::new();
    }
    let mut entries = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let mut own = Fields::of(item, &*pointer);
        let entry = read(&mut own, &pointer);
        fields.extend(own.finish());
        entries.extend(entry);
    }
    entries
}

fn plugin(fields: &mut Fields<'_>, pointer: &str) -> Option<PluginEntry> {
    fields.require("name");
    let name = name(fields);
    let file = path(fields, "file").map(PluginFrom::File);
    let project = path(fields, "project").map(PluginFrom::Project);
    let said = fields.value("file").is_some() || fields.value("project").is_some();
    if file.is_some() && project.is_some() || !said {
        let message = "expected one of `file`, a component, and `project`, the folder of a plugin project";
        fields.extend(vec![Problem::new(pointer, message)]);
    }
    let reach = reach(fields);
    let kinds = fields.value("kinds").map(|_| kinds(fields));
    Some(PluginEntry { name: name?, from: file.or(project)?, kinds, reach, pointer: pointer.to_owned() })
}

fn kinds(fields: &mut Fields<'_>) -> Vec<String> {
    let mut kinds = Vec::new();
    for kind in fields.texts("kinds") {
        match kind {
            "full" => kinds.extend(KINDS[..3].iter().map(|kind| (*kind).to_owned())),
            known if KINDS.contains(&known) => kinds.push(known.to_owned()),
            other => fields.problem(
                "kinds",
                format!("`{other}` is no kind of plugin; there are {}, and `full` is the first three", KINDS.join(", ")),
            ),
        }
    }
    kinds
}

/// What a plugin asks for: `capabilities`, `memory` and `time`.
fn reach(fields: &mut Fields<'_>) -> Reach {
    let mut asked = Vec::new();
    for word in fields.texts("capabilities") {
        match word.parse() {
            Ok(capability) => asked.push(capability),
            Err(message) => fields.problem("capabilities", message),
        }
    }
    let memory_bytes = fields.bytes("memory").unwrap_or(GUEST_MEMORY_BYTES as u64);
    if !(1..=GUEST_MEMORY_CEILING_BYTES as u64).contains(&memory_bytes) {
        fields.problem("memory", format!("expected up to {}MiB, and more than nothing", GUEST_MEMORY_CEILING_BYTES >> 20));
    }
    let time_us = fields.duration_us("time").unwrap_or(GUEST_TIME_US);
    if !(1..=GUEST_WALL_US).contains(&time_us) {
        fields.problem("time", format!("expected up to {}ms, and more than nothing", GUEST_WALL_US / 1_000));
    }
    Reach { capabilities: asked.into_iter().collect::<Capabilities>(), memory_bytes, time_us }
}

fn scenario(fields: &mut Fields<'_>, pointer: &str) -> Option<ScenarioEntry> {
    fields.require("name");
    fields.require("file");
    let name = name(fields);
    let file = path(fields, "file");
    let summary = fields.value("summary").map(|_| words(fields, "summary")).unwrap_or_default();
    Some(ScenarioEntry { name: name?, file: file?, summary, pointer: pointer.to_owned() })
}

/// A path below the pack's folder.
fn path(fields: &mut Fields<'_>, field: &'static str) -> Option<String> {
    let text = fields.text(field)?;
    let path = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
    match fault_of_title(path) {
        None => Some(path.to_owned()),
        Some(fault) => {
            let hint = "paths start at the folder of `pack.toml` and stay below it";
            fields.extend(vec![Problem::new(fields.pointer(field), fault).hint(hint)]);
            None
        }
    }
}

fn twice<'a>(what: &str, named: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Problem> {
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Vec::new();
    for (name, pointer) in named {
        if seen.contains(&name) {
            problems.push(Problem::new(format!("{pointer}/name"), format!("there are two {what}s `{name}`")));
        }
        seen.push(name);
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::capability::Capability;

    const GOOD: &str = r#"
name = "acme"
version = "1.2.0"
licence = "MIT OR Apache-2.0"
description = "What happens at Acme."
interface = "^1.0.0"

[[plugin]]
name = "brown-out"
file = "./brown_out.wasm"
kinds = ["latency"]
capabilities = ["request"]
memory = "64 MiB"

[[plugin]]
name = "storm"
project = "plugins/storm/"

[[scenario]]
name = "noon"
file = "scenarios/noon.yaml"
summary = "The day in fast motion."
"#;

    #[test]
    fn a_recipe_is_read_with_defaults() {
        let recipe = parse("pack.toml", GOOD).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!((recipe.name.as_str(), recipe.version), ("acme", Version::new(1, 2, 0)));
        let [brown_out, storm] = &recipe.plugins[..] else { panic!("two plugins") };
        assert_eq!(brown_out.from, PluginFrom::File("brown_out.wasm".to_owned()));
        assert!(brown_out.reach.capabilities.has(Capability::Request) && brown_out.reach.memory_bytes == 64 << 20);
        assert_eq!((&storm.from, storm.reach), (&PluginFrom::Project("plugins/storm".to_owned()), Reach::default()));
        assert_eq!(recipe.scenarios[0].file, "scenarios/noon.yaml");
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let bad = GOOD
            .replace("\"acme\"", "\"Acme Inc\"")
            .replace("1.2.0", "1.2")
            .replace("^1.0.0", "^1.0.0-rc.1")
            .replace("./brown_out.wasm", "../brown_out.wasm")
            .replace("[\"latency\"]", "[\"delay\"]")
            .replace("\"request\"", "\"requests\"")
            .replace("64 MiB", "64 GiB")
            .replace("project = ", "prject = ");
        let mistakes = parse("pack.toml", &bad).expect_err("mistakes");
        let lines: Vec<u32> =
            mistakes.problems.iter().filter_map(|problem| problem.place.as_ref()).map(|place| place.line).collect();
        assert_eq!(lines, [2, 3, 6, 10, 11, 12, 13, 15, 17], "{mistakes}");
        let said = mistakes.to_string();
        for part in ["`Acme Inc`", "`=1.0.0-rc.1`", "did you mean `request`?", "did you mean `project`?", "no kind of plugin"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let empty = parse("pack.toml", "").expect_err("nothing");
        assert_eq!(empty.problems.len(), 5, "{empty}");
    }

    #[test]
    fn names_are_given_once() {
        let twice = GOOD.replace("storm", "brown-out");
        assert!(parse("pack.toml", &twice).expect_err("twice").to_string().contains("two plugins `brown-out`"));
    }
}
