//! What differs between two versions of a pack, with what matters to its users first: what it may reach and use.

use serde_json::Value;

use crate::pack::manifest::{Manifest, PluginPart};
use crate::types::capability::{Capability, Reach};
use crate::types::quantity::{show_bytes, show_duration_us};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What, from the outside in: `plugin brown-out`, `option depth`.
    pub path: Vec<String>,
    /// What it was; `None` if it was not there.
    pub old: Option<String>,
    /// What it is; `None` if it is gone.
    pub new: Option<String>,
    /// Does the new one reach or use more?
    pub grew: bool,
}

/// What differs between `old` and `new`: what grew first, then in the order of the manifest.
pub fn diff(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let mut changes = Vec::new();
    let text = |text: &dyn std::fmt::Display| Some(text.to_string());
    note(&mut changes, &["name"], text(&old.name), text(&new.name));
    note(&mut changes, &["version"], text(&old.version), text(&new.version));
    note(&mut changes, &["interface"], text(&old.interface), text(&new.interface));
    note(&mut changes, &["licence"], text(&old.licence), text(&new.licence));
    note(&mut changes, &["description"], text(&old.description), text(&new.description));
    for (name, old_part, new_part) in pairs(&old.plugins, &new.plugins, |part| &part.name) {
        plugin(&mut changes, name, (old, old_part), (new, new_part));
    }
    for (name, old_part, new_part) in pairs(&old.scenarios, &new.scenarios, |part| &part.name) {
        let digest = |manifest: &Manifest, file: &str| manifest.file(file).map(|layer| layer.digest.short());
        let (before, after) =
            (old_part.and_then(|part| digest(old, &part.file)), new_part.and_then(|part| digest(new, &part.file)));
        note(&mut changes, &[&format!("scenario {name}")], before, after);
    }
    let tests = |manifest: &Manifest| Some(manifest.tests.len().to_string());
    note(&mut changes, &["files of tests"], tests(old), tests(new));
    changes.sort_by_key(|change| !change.grew);
    changes
}

/// What all plugins of a pack together reach or use beyond the `old` ones, where no more than that is known of those.
pub fn grown(old: Reach, new: Reach) -> Vec<Change> {
    let change = |word: String| Change {
        path: vec!["its plugins".to_owned(), "beyond".to_owned()],
        old: None,
        new: Some(word),
        grew: true,
    };
    new.beyond(old).into_iter().map(change).collect()
}

fn plugin(changes: &mut Vec<Change>, name: &str, old: (&Manifest, Option<&PluginPart>), new: (&Manifest, Option<&PluginPart>)) {
    let label = format!("plugin {name}");
    let ((old_manifest, old_part), (new_manifest, new_part)) = (old, new);
    if old_part.is_none() || new_part.is_none() {
        let summary = |part: &PluginPart| part.summary.clone();
        note(changes, &[&label], old_part.map(summary), new_part.map(summary));
    }
    let Some(new_part) = new_part else { return };
    let before = old_part.map(PluginPart::reach).unwrap_or_default();
    let after = new_part.reach();
    let mut reach = |what: String, old: Option<String>, new: Option<String>, grew: bool| {
        changes.push(Change { path: vec![label.clone(), what], old, new, grew });
    };
    let meaning = |capability: Capability| Some(capability.meaning().to_owned());
    for capability in after.capabilities.without(before.capabilities).iter() {
        reach(format!("reaches {}", capability.word()), None, meaning(capability), true);
    }
    for capability in before.capabilities.without(after.capabilities).iter() {
        reach(format!("reaches {}", capability.word()), meaning(capability), None, false);
    }
    if after.memory_bytes != before.memory_bytes {
        let (old, new) = (Some(show_bytes(before.memory_bytes)), Some(show_bytes(after.memory_bytes)));
        reach("memory".to_owned(), old, new, after.memory_bytes > before.memory_bytes);
    }
    if after.time_us != before.time_us {
        let (old, new) = (Some(show_duration_us(before.time_us)), Some(show_duration_us(after.time_us)));
        reach("time".to_owned(), old, new, after.time_us > before.time_us);
    }
    let Some(old_part) = old_part else { return };
    note(changes, &[&label, "decides"], Some(old_part.kinds.join(", ")), Some(new_part.kinds.join(", ")));
    note(changes, &[&label, "summary"], Some(old_part.summary.clone()), Some(new_part.summary.clone()));
    let (old_options, new_options) = (options(old_part), options(new_part));
    for (option, old, new) in pairs(&old_options, &new_options, |(name, _)| name) {
        let shown = |option: &(String, String)| option.1.clone();
        note(changes, &[&label, &format!("option {option}")], old.map(shown), new.map(shown));
    }
    let digest = |manifest: &Manifest, part: &PluginPart| manifest.file(&part.file).map(|layer| layer.digest.short());
    note(changes, &[&label, "component"], digest(old_manifest, old_part), digest(new_manifest, new_part));
}

/// The options of a plugin with their schemas, as text.
fn options(part: &PluginPart) -> Vec<(String, String)> {
    let schema: Value = serde_json::from_str(&part.options_schema).unwrap_or_default();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.clone(), schema.to_string())).collect()
}

fn note(changes: &mut Vec<Change>, path: &[&str], old: Option<String>, new: Option<String>) {
    if old != new {
        changes.push(Change { path: path.iter().map(|step| (*step).to_owned()).collect(), old, new, grew: false });
    }
}

/// A thing of one or of both lists, with its name.
type Pair<'a, T> = (&'a str, Option<&'a T>, Option<&'a T>);

/// What is in one of the two lists or in both, by name: in the order of the new one, then what is gone.
fn pairs<'a, T>(old: &'a [T], new: &'a [T], name: fn(&T) -> &String) -> Vec<Pair<'a, T>> {
    let find = |list: &'a [T], wanted: &T| list.iter().find(|item| name(item) == name(wanted));
    let mut all: Vec<Pair<'a, T>> = new.iter().map(|item| (name(item).as_str(), find(old, item), Some(item))).collect();
    all.extend(old.iter().filter(|item| find(new, item).is_none()).map(|item| (name(item).as_str(), Some(item), None)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::samples::pack;

    #[test]
    fn what_grew_comes_first_and_everything_else_is_told() {
        let old = pack("acme", "1.1.0", b"old").manifest;
        let mut new = pack("acme", "1.2.0", b"new").manifest;
        new.plugins[0].capabilities = vec!["request".to_owned()];
        new.plugins[0].memory_bytes = 64 << 20;
        new.plugins[0].time_us = 10_000;
        new.plugins[0].options_schema = r#"{"properties":{"depth":{"type":"number"}}}"#.to_owned();
        let changes = diff(&old, &new);
        let shown: Vec<String> = changes.iter().map(|change| change.path.join(", ")).collect();
        let expected = [
            "plugin slow, reaches request",
            "plugin slow, memory",
            "version",
            "plugin slow, time",
            "plugin slow, option depth",
            "plugin slow, component",
        ];
        assert_eq!(shown, expected);
        assert_eq!(changes.iter().filter(|change| change.grew).count(), 2);
        assert!(diff(&new, &old).iter().filter(|change| change.grew).all(|change| change.path[1] == "time"));
        assert!(diff(&old, &old).is_empty());
    }

    #[test]
    fn a_plugin_that_is_new_tells_what_it_reaches() {
        let mut old = pack("acme", "1.1.0", b"old").manifest;
        let mut new = old.clone();
        new.plugins[0].capabilities = vec!["request".to_owned()];
        old.plugins.clear();
        let changes = diff(&old, &new);
        assert!(changes[0].grew && changes[0].path == ["plugin slow", "reaches request"], "{changes:?}");
        assert!(changes.iter().any(|change| change.path == ["plugin slow"] && change.old.is_none()));
    }
}
