//! `simwright diff`: what differs between two scenarios in meaning.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::app;
use crate::cli::error::{Failure, Kind};
use crate::cli::output;
use crate::scenario::diff::{Change, diff};

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 the same, 1 different, 2 wrong arguments, 3 mistakes in a scenario or a plugin.")]
pub(super) struct Args {
    /// A scenario file.
    old: PathBuf,
    /// Another one.
    new: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let changes = diff(&*app::check(Some(&args.old))?, &*app::check(Some(&args.new))?);
    if args.json {
        output::data(&format!("{:#}", as_json(&changes)));
    } else {
        output::data(&text(&changes));
    }
    if changes.is_empty() { Ok(()) } else { Err(Failure::told(Kind::Other)) }
}

fn as_json(changes: &[Change]) -> Value {
    let one = |change: &Change| json!({"path": change.path, "old": change.old, "new": change.new});
    json!({"same": changes.is_empty(), "changes": changes.iter().map(one).collect::<Value>()})
}

fn text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no difference".to_owned();
    }
    let (mut lines, mut model) = (Vec::new(), None);
    for change in changes {
        let is_model = change.path[0] == "models" && change.path.len() > 1;
        let rest = if is_model { &change.path[2..] } else { &change.path[..] };
        if is_model && !rest.is_empty() && model != Some(&change.path[1]) {
            model = Some(&change.path[1]);
            lines.push(format!("model {}", change.path[1]));
        }
        lines.push(match (&change.old, &change.new) {
            (None, _) if is_model && rest.is_empty() => format!("model {}: added", change.path[1]),
            (_, None) if is_model && rest.is_empty() => format!("model {}: removed", change.path[1]),
            (old, new) => {
                let indent = if is_model { "  " } else { "" };
                format!("{indent}{}: {} → {}", rest.join("."), shown(old.as_ref()), shown(new.as_ref()))
            }
        });
    }
    lines.join("\n")
}

/// A value in one line, much as a scenario writes it.
fn shown(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            format!("[{}]", items.iter().map(|item| shown(Some(item))).collect::<Vec<_>>().join(", "))
        }
        Some(Value::Object(map)) if map.is_empty() => "{}".to_owned(),
        Some(Value::Object(map)) => {
            let fields = map.iter().map(|(name, value)| format!("{name}: {}", shown(Some(value))));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Some(other) => other.to_string(),
    }
}
