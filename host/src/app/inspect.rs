//! What a component is: who made it, what it exports and imports, which options it takes, what it may use.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::app::trial::{Subject, TrialError};
use crate::app::workshop::Workshop;
use crate::clock::real::RealClock;
use crate::types::quantity::{show_bytes, show_duration_us};
use crate::wasm::Plugin;
use crate::wasm::look::{Import, wit};

/// All that there is to know of a component.
pub struct Inspection {
    plugin: Arc<Plugin>,
    bytes: usize,
    digest: String,
    /// Memory of an instance in bytes, CPU time of a call in microseconds.
    limits: (usize, u64),
    /// Was its compiled code there already?
    was_compiled: bool,
    file: Option<String>,
}

/// Looks at the plugin that `path` means: a project, which is built if it must be and then talks to `say`, a component, or a name of
/// the standard pack.
pub fn look(path: &Path, say: &mut dyn FnMut(&str)) -> Result<Inspection, TrialError> {
    let subject = Subject::find(path, say)?;
    let spec = subject.spec();
    let workshop = Workshop::open(RealClock::start(), None, 1)?;
    let was_compiled = workshop.plugins().is_compiled(subject.bytes());
    let plugin = workshop.plugins().load(spec)?;
    Ok(Inspection {
        plugin,
        bytes: subject.bytes().len(),
        digest: digest(subject.bytes()),
        limits: (spec.memory_bytes, spec.time_us),
        was_compiled,
        file: subject.file.as_ref().map(|file| file.display().to_string()),
    })
}

/// The interfaces of the plugin that `path` means, as WIT.
pub fn interfaces(path: &Path, say: &mut dyn FnMut(&str)) -> Result<String, TrialError> {
    wit(Subject::find(path, say)?.bytes()).map_err(TrialError::Unfound)
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

impl Inspection {
    fn kinds(&self) -> Vec<&'static str> {
        self.plugin.kinds().into_iter().map(|kind| kind.word()).collect()
    }

    /// What it imports, those of one meaning together.
    fn gets(&self) -> Vec<(String, &'static str)> {
        let mut gets: Vec<(String, &'static str)> = Vec::new();
        for Import { name, meaning } in self.plugin.imports() {
            if meaning.is_empty() {
                continue;
            }
            let bare = name.split_once('@').map_or(name.as_str(), |(bare, _)| bare);
            let package = if bare.starts_with("simwright:") || bare.starts_with("wasi:cli/") {
                bare
            } else {
                bare.split('/').next().unwrap_or(bare)
            };
            // Of a package, or of interfaces that mean the same, one line is enough.
            if !gets.iter().any(|(known, said)| known == package || *said == meaning) {
                gets.push((package.to_owned(), meaning));
            }
        }
        gets
    }

    /// For people.
    pub fn text(&self) -> String {
        let about = self.plugin.about();
        let (memory, time) = self.limits;
        let mut lines = vec![
            format!("name       {}", about.name),
            format!("version    {}", about.version),
            format!("summary    {}", about.summary),
            format!("decides    {}", self.kinds().join(", ")),
            format!("contract   {}", self.plugin.interface()),
        ];
        lines.extend(self.file.iter().map(|file| format!("file       {file}")));
        lines.push(format!("size       {} bytes", self.bytes));
        lines.push(format!("digest     {}", self.digest));
        lines.push(format!("limits     {} of memory, {} of CPU time a call", show_bytes(memory as u64), show_duration_us(time)));
        let compiled = if self.was_compiled {
            "its code is in the cache: it loads at once"
        } else {
            "just now; its code is kept if there is a cache"
        };
        lines.push(format!("compiled   {compiled}"));
        let gets = self.gets();
        if gets.is_empty() {
            lines.push("imports    nothing".to_owned());
        } else {
            lines.push("imports".to_owned());
            lines.extend(gets.iter().map(|(name, meaning)| format!("  {name:<26} {meaning}")));
        }
        lines.extend(options(&about.options_schema));
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let about = self.plugin.about();
        let imports = self.plugin.imports().into_iter().map(|Import { name, meaning }| json!({ "name": name, "gets": meaning }));
        json!({
            "name": about.name, "version": about.version, "summary": about.summary, "kinds": self.kinds(),
            "interface": self.plugin.interface(), "file": self.file, "bytes": self.bytes, "digest": self.digest,
            "limits": { "memory_bytes": self.limits.0, "time_us": self.limits.1 },
            "was_compiled": self.was_compiled,
            "imports": imports.collect::<Vec<_>>(),
            "options_schema": serde_json::from_str::<Value>(&about.options_schema).unwrap_or(Value::Null),
        })
    }
}

/// One line an option: its name, its default, what it is for.
fn options(schema: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return vec!["options    none".to_owned()];
    };
    let mut lines = vec!["options".to_owned()];
    for (name, property) in properties {
        let default = match &property["default"] {
            Value::Null => "required".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let default: String =
            if default.chars().count() > 40 { default.chars().take(39).chain(['…']).collect() } else { default };
        lines.push(format!("  {name:<16} {default:<10} {}", property["description"].as_str().unwrap_or("")));
    }
    lines
}
