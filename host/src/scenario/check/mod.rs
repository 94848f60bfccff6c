//! The bridge from a file as written to a [`Scenario`]: every mistake is noted, and what is right is read in spite of it.
//!
//! A file per section: `plugins`, `packs`, `models`, `stations`, `incidents`, `phases`, `tiers`, `criteria`, `reload`, `api`, `routes`, `workload`; `pipeline` for an entry's
//! stages; `behaviors`, `limits` and `when` for what stands in several of them. What a scenario leaves open is what
//! `assets/default.yaml` says under `defaults:`, so that file shows every default in plain
//! sight. Whether a behaviour's name exists and its options are right is not known here: the planner's builder asks the catalog.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use http::HeaderName;
use serde_json::Value;

use crate::scenario::pattern::Index;
use crate::scenario::read::DEFAULT;
use crate::scenario::source::Source;
use crate::scenario::{BehaviorUse, Draft, ModelEntry, Scenario, Tier, TokenCounting};
use crate::types::fields::Fields;
use crate::types::limits::SCENARIO_NAME_BYTES_MAX;
use crate::types::problem::{Place, Problem, did_you_mean};

mod api;
mod autoscale;
mod behaviors;
mod criteria;
mod incidents;
mod limits;
mod models;
mod packs;
mod phases;
mod pipeline;
mod plugins;
mod reload;
pub(super) mod routes;
mod station_kinds;
mod stations;
mod tiers;
mod when;
mod workload;

pub(super) use stations::COSTLY;
pub use stations::{balancer_rules, scaling_rules};

/// The version of the format that this program reads: the field `simwright`.
pub const FORMAT: u64 = 1;

/// Checks `source`. Whether its paths lead to files is for the loader of plugins to say.
pub fn check(source: &Arc<Source>) -> Draft {
    let mut fields = Fields::of(&source.value, "");
    check_format(&mut fields);
    let name = fields.text("name").map_or_else(|| stem(source.name()), str::to_owned);
    check_name(&mut fields, "name", &name);
    let seed = fields.integer("seed", 0..=u64::MAX);
    let tokens = check_tokens(&mut fields);
    let plugins = plugins::check(&mut fields, source);
    let packs = packs::check(&mut fields);
    let defaults = models::check_defaults(&mut fields);
    let (stations, known) = stations::check(&mut fields);
    let mut models = models::check(&mut fields, &defaults, &known);
    let routes = routes::check(&mut fields, &mut models);
    let incidents = incidents::check(&mut fields, &mut models);
    let active = incidents::active(&mut fields, &incidents);
    let phases = phases::check(&mut fields, &incidents);
    let tenant_header = check_tenant_header(&mut fields);
    let tiers = tiers::check(&mut fields);
    let criteria = criteria::check(&mut fields, &models);
    let canary = reload::check(&mut fields);
    let api = api::check(&mut fields);
    let index = Index::of(&models.iter().map(ModelEntry::to_index).collect::<Vec<_>>());
    let tier_index = Index::of(&tiers.iter().map(Tier::to_index).collect::<Vec<_>>());
    let workload = workload::check(&mut fields, source, &index, &models);
    let problems = source.problems.iter().cloned().chain(fields.finish()).collect();
    let source = Arc::clone(source);
    let scenario = Scenario {
        name,
        seed,
        tokens,
        plugins,
        packs,
        stations,
        models,
        incidents,
        active,
        phases,
        tenant_header,
        tiers,
        criteria,
        canary,
        api,
        routes,
        workload,
        source,
        index,
        tier_index,
    };
    Draft { scenario, problems }
}

/// The fault that `written` says, in the language of scenarios. The error says what is wrong with it.
pub fn one_fault(written: &str) -> Result<BehaviorUse, String> {
    let source = Source::parse("fault", written).map_err(|problem| told(&[problem]))?;
    let mut problems = Vec::new();
    let used = behaviors::behavior(&source.value, "", &mut problems);
    let alone = |used: &BehaviorUse| used.when.is_none() && used.fallback.is_none();
    match used.filter(|_| problems.is_empty()) {
        Some(used) if alone(&used) => Ok(used),
        Some(_) => Err("a fault for one request has neither `when` nor `fallback`".to_owned()),
        None => Err(told(&problems)),
    }
}

/// What `problems` say, in one line.
pub fn told(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.message.to_string()).collect::<Vec<_>>().join("; ")
}

/// `problems` with their places, in the order of the files and each only once: a default can be wrong for many models.
pub fn in_order(source: &Source, problems: Vec<Problem>) -> Vec<Problem> {
    let mut problems: Vec<_> = problems.into_iter().map(|problem| source.locate(problem)).collect();
    let number = |place: &Place| source.files.iter().position(|file| file.name == place.file);
    // A value without its variable is wrong in other ways, too, but the variable is what is to be mended.
    let unread = |problem: &Problem| source.problems.iter().any(|known| known.place == problem.place && known != problem);
    problems.retain(|problem| !unread(problem) || source.problems.contains(problem));
    problems.sort_by_key(|problem| problem.place.clone().map(|place| (number(&place), place)));
    problems.dedup();
    problems
}

fn check_format(fields: &mut Fields<'_>) {
    if fields.value("simwright").is_none() {
        let message = "the field `simwright` is missing, the version of the format";
        return fields.extend(vec![Problem::new("", message).hint(format!("begin the file with `simwright: {FORMAT}`"))]);
    }
    match fields.integer("simwright", 0..=u64::MAX) {
        None | Some(FORMAT) => {}
        Some(other) => {
            fields.problem("simwright", format!("this program reads format {FORMAT}, and the file is of format `{other}`"));
        }
    }
}

fn check_tokens(fields: &mut Fields<'_>) -> TokenCounting {
    match fields.text("tokens") {
        None | Some("estimate") => TokenCounting::Estimate,
        Some("exact") => TokenCounting::Exact,
        Some(other) => {
            unknown_word(fields, "tokens", other, &["estimate", "exact"]);
            TokenCounting::Estimate
        }
    }
}

fn check_tenant_header(fields: &mut Fields<'_>) -> Option<HeaderName> {
    let name = fields.text("tenant-header")?;
    when::header_name(name).map_err(|message| fields.problem("tenant-header", message)).ok()
}

/// Notes that `word` is none of `known`.
fn unknown_word(fields: &mut Fields<'_>, field: &str, word: &str, known: &[&str]) {
    let hint = match did_you_mean(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of: {}", known.join(", ")),
    };
    let problem = Problem::new(fields.pointer(field), format!("`{word}` is no value of `{field}`")).hint(hint);
    fields.extend(vec![problem]);
}

/// Notes that `name` is unfit for metrics, headers and logs, if it is.
fn check_name(fields: &mut Fields<'_>, field: &str, name: &str) {
    if let Some(message) = fault_of_name(name) {
        fields.problem(field, message);
    }
}

fn fault_of_name(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("expected a name, found an empty text".to_owned())
    } else if name.len() > SCENARIO_NAME_BYTES_MAX {
        Some(format!("this name has {} bytes, and a name may have {SCENARIO_NAME_BYTES_MAX}", name.len()))
    } else if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Some(format!("the name {name:?} has a space or a control character"))
    } else {
        None
    }
}

/// What a scenario leaves open: `defaults:` of the built-in scenario.
pub(super) fn built_in_defaults() -> &'static Value {
    static DEFAULTS: OnceLock<Value> = OnceLock::new();
    DEFAULTS.get_or_init(|| {
        let source = Source::parse("default.yaml", DEFAULT).expect("a part of this program, read by its tests");
        source.value["defaults"].clone()
    })
}

fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = stem.chars().map(|c| if c.is_control() || c.is_whitespace() { '-' } else { c }).take(40).collect();
    if name.is_empty() { "scenario".to_owned() } else { name }
}

#[cfg(test)]
mod language_tests;
#[cfg(test)]
mod stations_tests;
#[cfg(test)]
mod tests;
