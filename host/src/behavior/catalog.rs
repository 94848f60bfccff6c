//! Name → maker: the only list of what exists. `app.rs` fills it; the planner's builder asks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::behavior::fault::Fault;
use crate::behavior::latency::Latency;
use crate::behavior::responder::Responder;
use crate::behavior::tokenizer::Tokenizer;
use crate::behavior::writer::{JsonWriter, TextWriter};
use crate::station::autoscaler::Scaler;
use crate::station::balancer::chooser::Chooser;
use crate::types::problem::Problem;

/// What every behaviour of a generation is told when it is made.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Names of the scenario's model entries, by index.
    pub models: Vec<String>,
    /// Names of tiers, by index, and after them the empty name of callers whom none counts for.
    pub tenants: Vec<String>,
    /// Names of pipeline stages, by index.
    pub stages: Vec<String>,
    /// Unix time in seconds at which the run began.
    pub epoch_unix_s: u64,
    /// Where relative paths in options start: the scenario's folder.
    pub folder: PathBuf,
}

/// The files that `options` name: each text called `file` or listed as `files`, as a path from `folder`. A native behaviour that reads
/// files calls its options so, and then changes of the files are followed.
pub fn files_of(options: &Value, folder: &Path) -> Vec<PathBuf> {
    match options {
        Value::Object(map) => {
            let listed = map.get("files").and_then(Value::as_array).into_iter().flatten();
            let named = map.get("file").into_iter().chain(listed).filter_map(Value::as_str).map(|file| folder.join(file));
            named.chain(map.values().flat_map(|value| files_of(value, folder))).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| files_of(item, folder)).collect(),
        _ => Vec::new(),
    }
}

/// Makes one kind of behaviour from options. Mistakes carry pointers relative to the options.
pub trait Maker<B: ?Sized>: Send + Sync {
    /// One sentence for lists.
    fn summary(&self) -> &str;
    /// JSON Schema of the options, for editors. Write it with [`crate::types::schema`]; [`Maker::make`] is what judges.
    fn schema(&self) -> Value {
        serde_json::json!({ "type": "object" })
    }
    /// Checks the options and makes the behaviour; all mistakes at once.
    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<B>, Vec<Problem>>;
}

/// All makers of one kind by name.
pub type Makers<B> = BTreeMap<String, Arc<dyn Maker<B>>>;

/// Everything that a scenario can name.
#[derive(Default, Clone)]
pub struct Catalog {
    /// Latency models.
    pub latency: Makers<dyn Latency>,
    /// Faults.
    pub fault: Makers<dyn Fault>,
    /// Responders.
    pub responder: Makers<dyn Responder>,
    /// What chooses between replicas, besides the rules of stations.
    pub balancer: Makers<dyn Chooser>,
    /// What says how many replicas there shall be, besides the rules of stations.
    pub autoscaler: Makers<dyn Scaler>,
    /// Styles of text; the empty name is the default.
    pub styles: BTreeMap<String, Arc<dyn TextWriter>>,
    /// Tokenizers: `estimate`, `exact`.
    pub tokenizers: BTreeMap<String, Arc<dyn Tokenizer>>,
    /// Writes JSON that fits a schema.
    pub json: Option<Arc<dyn JsonWriter>>,
}
