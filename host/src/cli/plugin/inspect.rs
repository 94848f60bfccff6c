//! `simwright plugin inspect`: what a component is.

use std::path::PathBuf;

use crate::app::inspect::inspect;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::wasm::Plugin;

/// Arguments of `plugin inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component, a `.wasm` file.
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    output::data(&describe(&*inspect(&args.file)?));
    Ok(())
}

fn describe(plugin: &Plugin) -> String {
    let about = plugin.about();
    let kinds: Vec<&str> = plugin.kinds().into_iter().map(|kind| kind.word()).collect();
    let mut lines = vec![
        format!("name      {}", about.name),
        format!("version   {}", about.version),
        format!("summary   {}", about.summary),
        format!("decides   {}", kinds.join(", ")),
    ];
    lines.extend(options(&about.options_schema));
    lines.join("\n")
}

/// One line an option: its name, its default, what it is for.
fn options(schema: &str) -> Vec<String> {
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return vec!["options   none".to_owned()];
    };
    let mut lines = vec!["options".to_owned()];
    for (name, property) in properties {
        let default = match &property["default"] {
            serde_json::Value::Null => "required".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("  {name:<16} {default:<10} {}", property["description"].as_str().unwrap_or("")));
    }
    lines
}
