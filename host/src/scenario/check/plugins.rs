//! `plugins:`, the components that a scenario brings itself.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::scenario::PluginSource;
use crate::scenario::check::behaviors::WORDS;
use crate::scenario::check::{fault_of_name, unknown_word};
use crate::scenario::source::Source;
use crate::types::capability::Capabilities;
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::{GUEST_MEMORY_BYTES, GUEST_MEMORY_CEILING_BYTES, GUEST_TIME_US, GUEST_WALL_US, SCENARIO_PLUGINS_MAX};
use crate::types::problem::Problem;

/// Reads `plugins:` of the scenario in `fields`; relative paths start at the folder of the file of `source` that says them. An entry with a mistake is left out, so that
/// nothing is loaded under a name or with a limit that is none.
pub(super) fn check(fields: &mut Fields<'_>, source: &Source) -> Vec<PluginSource> {
    let map = match fields.value("plugins") {
        None => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(other) => {
            let message = format!("expected a map from names to plugins, found {}", kind_of(other));
            let hint = "write for example `my-plugin: { file: ./my_plugin.wasm }`";
            let problem = Problem::new(fields.pointer("plugins"), message).hint(hint);
            fields.extend(vec![problem]);
            return Vec::new();
        }
    };
    if map.len() > SCENARIO_PLUGINS_MAX {
        fields.problem("plugins", format!("there are {} plugins, and a scenario may bring {SCENARIO_PLUGINS_MAX}", map.len()));
        return Vec::new();
    }
    let pointer = fields.pointer("plugins");
    let mut plugins = Vec::new();
    for (name, value) in map {
        let pointer = format!("{pointer}/{}", escape(name));
        let (plugin, problems) = plugin(name, value, &pointer, source.folder_of(&pointer));
        fields.extend(problems);
        plugins.extend(plugin);
    }
    plugins
}

fn plugin(name: &str, value: &Value, pointer: &str, folder: &Path) -> (Option<PluginSource>, Vec<Problem>) {
    let mut fields = Fields::of(value, pointer);
    if let Some(message) =
        fault_of_name(name).or_else(|| WORDS.contains(&name).then(|| format!("`{name}` is no name for a plugin")))
    {
        fields.extend(vec![Problem::new(pointer, message).at_key()]);
    }
    fields.require("file");
    // Without the `.` in `./plugin.wasm`, which would only clutter messages.
    let file = fields.text("file").map(|file| folder.join(file).components().collect::<PathBuf>());
    let memory_bytes = fields.bytes("memory").unwrap_or(GUEST_MEMORY_BYTES as u64);
    if !(1..=GUEST_MEMORY_CEILING_BYTES as u64).contains(&memory_bytes) {
        fields.problem("memory", format!("expected up to {}MiB, and more than nothing", GUEST_MEMORY_CEILING_BYTES >> 20));
    }
    let time_us = fields.duration_us("time").unwrap_or(GUEST_TIME_US);
    if !(1..=GUEST_WALL_US).contains(&time_us) {
        fields.problem("time", format!("expected up to {}ms, and more than nothing", GUEST_WALL_US / 1_000));
    }
    let fresh_per_call = match fields.text("isolation") {
        None | Some("reused") => false,
        Some("per-call") => true,
        Some(other) => {
            unknown_word(&mut fields, "isolation", other, &["reused", "per-call"]);
            false
        }
    };
    let plugin = file.map(|file| PluginSource {
        name: name.to_owned(),
        file,
        memory_bytes: memory_bytes as usize,
        time_us,
        fresh_per_call,
        granted: Capabilities::all(),
        pack: None,
        pointer: pointer.to_owned(),
    });
    let problems = fields.finish();
    (plugin.filter(|_| problems.is_empty()), problems)
}
