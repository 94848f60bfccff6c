//! Packs, and what differs between them, in lines.

use serde_json::{Value, json};

use crate::cli::output;
use crate::pack::diff::Change;
use crate::pack::manifest::{Manifest, PluginPart};
use crate::pack::trust::Voucher;
use crate::types::printable::printable;
use crate::types::quantity::{show_bytes, show_duration_us};

/// What `manifest` says, for people.
pub(super) fn manifest(manifest: &Manifest) -> Vec<String> {
    let mut lines = vec![
        format!("pack       {} {}", manifest.name, manifest.version),
        format!("about      {}", manifest.description),
        format!("licence    {}", manifest.licence),
        format!("interface  {}", manifest.interface),
    ];
    for part in &manifest.plugins {
        lines.push(format!("plugin     {}: {}", part.name, part.summary));
        lines.push(format!("  decides  {}", part.kinds.join(", ")));
        lines.extend(reach(part));
        lines.extend(options(part));
    }
    lines.extend(manifest.scenarios.iter().map(|part| match part.summary.as_str() {
        "" => format!("scenario   {}", part.name),
        summary => format!("scenario   {}: {summary}", part.name),
    }));
    lines.push(format!("tests      {}", output::count(manifest.tests.len(), "file")));
    let bytes: u64 = manifest.files.iter().map(|file| file.size).sum();
    lines.push(format!("size       {bytes} bytes in {}", output::count(manifest.files.len(), "file")));
    // Schemas hold what strangers wrote.
    lines.into_iter().map(|line| printable(&line).into_owned()).collect()
}

fn reach(part: &PluginPart) -> Vec<String> {
    let reach = part.reach();
    let mut lines: Vec<String> = reach
        .capabilities
        .iter()
        .map(|capability| format!("  reaches  {}: {}", capability.word(), capability.meaning()))
        .collect();
    if lines.is_empty() {
        lines.push("  reaches  nothing but the numbers of a call".to_owned());
    }
    lines.push(format!("  uses     {} of memory, {} a call", show_bytes(reach.memory_bytes), show_duration_us(reach.time_us)));
    lines
}

/// One line an option, as `plugin inspect` has them.
fn options(part: &PluginPart) -> Vec<String> {
    let schema: Value = serde_json::from_str(&part.options_schema).unwrap_or_default();
    let line = |(name, property): (&String, &Value)| {
        format!("  option   {name}: {}", property["description"].as_str().unwrap_or("(no description)"))
    };
    schema["properties"].as_object().into_iter().flatten().map(line).collect()
}

/// What differs, for people; what grew is marked.
pub(super) fn changes(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| {
        let what = change.path.join(", ");
        let told = match (&change.old, &change.new) {
            (None, Some(new)) => format!("{what}: new: {new}"),
            (Some(_), None) => format!("{what}: gone"),
            (old, new) => format!("{what}: {} → {}", old.as_deref().unwrap_or(""), new.as_deref().unwrap_or("")),
        };
        format!("{} {}", if change.grew { "!" } else { " " }, printable(&told))
    };
    changes.iter().map(line).collect()
}

/// The same for programs.
pub(super) fn changes_json(changes: &[Change]) -> Value {
    let one = |change: &Change| json!({"path": change.path, "old": change.old, "new": change.new, "grew": change.grew});
    changes.iter().map(one).collect()
}

/// What a toolchain says while it builds `plugin`.
pub(super) fn said(plugin: &str, line: &str) {
    output::talk(&format!("{plugin}: {line}"));
}

/// Who vouches for a pack.
pub(super) fn voucher(voucher: &Result<Voucher, String>) -> String {
    match voucher {
        Ok(voucher) => voucher.to_string(),
        Err(reason) => format!("taken with `--insecure` although {reason}"),
    }
}
