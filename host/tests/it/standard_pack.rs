//! The standard pack as its users and its readers find it: vectors, manifests, READMEs, and what a call costs.

use std::path::{Path, PathBuf};

use serde_json::Value;
use simwright::vectors::{check, read};
use simwright::wasm::{LoadSpec, Meter, PluginHost, PluginHostConfig, STANDARD_PACK};

use super::support::guests::workspace;
use super::support::host::compiler;

/// Instructions of one call at most: some ten microseconds, for a call that reads a whole body.
const FUEL_MAX: u64 = 100_000;

fn host() -> PluginHost {
    let config = PluginHostConfig { cache_dir: None, workers: 1, meter: Meter::Fuel, compiler: compiler() };
    PluginHost::new(config).expect("a plugin host")
}

fn folder(name: &str) -> PathBuf {
    workspace().join("plugins").join(name)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_plugin_passes_its_vectors_and_costs_little() {
    let (host, mut wrong) = (host(), Vec::new());
    for (name, bytes) in STANDARD_PACK {
        let plugin = host.load(LoadSpec::new(name, bytes)).expect("a good plugin");
        let files = read::files_of(&folder(name));
        assert!(!files.is_empty(), "{name} has no vectors");
        let suite = read::read(&files).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(suite.cases.len() >= 3, "{name} has {} vectors", suite.cases.len());
        let report = check(&plugin, &suite).expect("it runs");
        if !report.is_good() {
            wrong.push(report.text());
        }
        let dear = report.fuel.figures().into_iter().filter(|(.., most)| *most > FUEL_MAX);
        wrong.extend(
            dear.map(|(kind, _, half, most)| format!("{name}, {kind}: {half} instructions in the median, {most} at most")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn manifests_say_what_the_components_say() {
    let host = host();
    for (name, bytes) in STANDARD_PACK {
        let plugin = host.load(LoadSpec::new(name, bytes)).expect("a good plugin");
        let manifest: toml::Table = text(&folder(name).join("plugin.toml")).parse().expect("TOML");
        let kinds: Vec<&str> = manifest["kinds"].as_array().into_iter().flatten().filter_map(|kind| kind.as_str()).collect();
        assert_eq!(kinds, plugin.kinds().into_iter().map(|kind| kind.word()).collect::<Vec<_>>(), "{name}");
        let said = ["name", "version", "summary"].map(|field| manifest[field].as_str().unwrap_or_default());
        let about = plugin.about();
        assert_eq!(said, [&*about.name, &*about.version, &*about.summary]);
    }
}

#[test]
fn readmes_name_every_option_with_its_default() {
    let (host, mut wrong) = (host(), Vec::new());
    for (name, bytes) in STANDARD_PACK {
        let plugin = host.load(LoadSpec::new(name, bytes)).expect("a good plugin");
        let schema: Value = serde_json::from_str(&plugin.about().options_schema).expect("JSON");
        let readme = text(&folder(name).join("README.md"));
        for (option, about) in schema["properties"].as_object().into_iter().flatten() {
            let mut rows = readme.lines().filter(|line| line.starts_with('|') && line.contains(&format!("`{option}`")));
            let default = match &about["default"] {
                Value::String(text) => text.clone(),
                // A list is described in words.
                Value::Array(_) => String::new(),
                Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
                other => other.to_string(),
            };
            if !rows.any(|row| default.is_empty() || row.contains(&format!("`{default}`"))) {
                wrong.push(format!("plugins/{name}/README.md: no row says that `{option}` is `{default}` if not given"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
