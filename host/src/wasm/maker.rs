//! Turns a plugin and a scenario's options into a behaviour: checks the options, fills a pool, rehearses.
//!
//! All kinds of one plugin with the same options share one pool, so that a plugin that decides several things keeps one memory. A
//! rehearsal makes a few calls that leave no trace, to find out before the first request whether the plugin is too slow for the
//! workers.

use std::sync::{Arc, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::behavior::call::Call;
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::Fault;
use crate::behavior::latency::Latency;
use crate::behavior::responder::Responder;
use crate::clock::real::thread_cpu_ns;
use crate::station::autoscaler::Scaler;
use crate::station::balancer::chooser::Chooser;
use crate::types::fields::escape;
use crate::types::limits;
use crate::types::problem::{Problem, did_you_mean};
use crate::types::request::Request;
use crate::wasm::Plugin;
use crate::wasm::adapter::{PluginFault, PluginLatency, PluginResponder, record};
use crate::wasm::chooser::{PluginChooser, PluginScaler, rehearsed_choice, rehearsed_decision};
use crate::wasm::error::{Cause, PluginError};
use crate::wasm::guest::Moment;
use crate::wasm::instance::{Instance, Kind, SetupError};
use crate::wasm::pool::Pool;

/// Calls of one kind in a rehearsal. The quickest counts: the first ones also wake the memory.
const REHEARSALS: u64 = 4;

/// Makes behaviours of one plugin.
pub(super) struct PluginMaker(pub(super) Arc<Plugin>);

impl Maker<dyn Fault> for PluginMaker {
    fn summary(&self) -> &str {
        &self.0.about.summary
    }

    fn schema(&self) -> Value {
        self.options_schema()
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        Ok(Arc::new(PluginFault(self.pool(options, setting)?)))
    }
}

impl Maker<dyn Responder> for PluginMaker {
    fn summary(&self) -> &str {
        &self.0.about.summary
    }

    fn schema(&self) -> Value {
        self.options_schema()
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        Ok(Arc::new(PluginResponder(self.pool(options, setting)?)))
    }
}

impl Maker<dyn Latency> for PluginMaker {
    fn summary(&self) -> &str {
        &self.0.about.summary
    }

    fn schema(&self) -> Value {
        self.options_schema()
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Latency>, Vec<Problem>> {
        Ok(Arc::new(PluginLatency(self.pool(options, setting)?)))
    }
}

impl Maker<dyn Chooser> for PluginMaker {
    fn summary(&self) -> &str {
        &self.0.about.summary
    }

    fn schema(&self) -> Value {
        self.options_schema()
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Chooser>, Vec<Problem>> {
        Ok(Arc::new(PluginChooser::of(self.quick_pool(Kind::Balancer, options, setting)?)))
    }
}

impl Maker<dyn Scaler> for PluginMaker {
    fn summary(&self) -> &str {
        &self.0.about.summary
    }

    fn schema(&self) -> Value {
        self.options_schema()
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Scaler>, Vec<Problem>> {
        Ok(Arc::new(PluginScaler(self.quick_pool(Kind::Autoscaler, options, setting)?)))
    }
}

impl PluginMaker {
    /// The pool for these options, if others can wait for `kind`.
    fn quick_pool(&self, kind: Kind, options: &Value, setting: &Setting) -> Result<Arc<Pool>, Vec<Problem>> {
        let pool = self.pool(options, setting)?;
        if !pool.holds_up(kind) {
            return Ok(pool);
        }
        let (name, most) = (&self.0.name, limits::GUEST_INLINE_US);
        let message =
            format!("plugin `{name}` takes more than {most} us for `{}`, and a server's requests wait for it", kind.word());
        Err(vec![Problem::new("", message).hint("make it quicker; in virtual time (`simwright simulate`) nobody waits")])
    }

    /// The plugin's schema of its options, which has been compiled when it was loaded.
    fn options_schema(&self) -> Value {
        let no_options = || serde_json::json!({ "type": "object", "additionalProperties": false });
        serde_json::from_str(&self.0.about.options_schema).unwrap_or_else(|_| no_options())
    }

    /// The pool for these options, shared with earlier uses of the same.
    pub(super) fn pool(&self, options: &Value, setting: &Setting) -> Result<Arc<Pool>, Vec<Problem>> {
        let plugin = &self.0;
        let options = if options.is_null() { &Value::Object(serde_json::Map::new()) } else { options };
        check(plugin, options)?;
        let options = options.to_string();
        let key = format!("{options}\n{setting:?}");
        let mut pools = plugin.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|(_, pool)| pool.strong_count() > 0);
        if let Some(pool) = pools.iter().find(|(known, _)| *known == key).and_then(|(_, pool)| pool.upgrade()) {
            return Ok(pool);
        }
        let mould = Arc::clone(&plugin.mould);
        let shared = (Arc::clone(&plugin.breaker), Arc::clone(&plugin.usage));
        let pool = Pool::fill(mould, options, setting.clone(), plugin.fresh_per_call, plugin.workers, shared, &plugin.threads);
        let pool = pool.map_err(|error| match error {
            SetupError::Plugin(error) => {
                vec![Problem::new("", format!("plugin `{}`: {}", plugin.name, error.message)).hint(error.hint())]
            }
            SetupError::Options(problems) => problems,
        })?;
        rehearse(&pool);
        pools.push((key, Arc::downgrade(&pool)));
        Ok(pool)
    }
}

/// Checks options against the plugin's schema: every mistake with its place.
fn check(plugin: &Plugin, options: &Value) -> Result<(), Vec<Problem>> {
    let Some(schema) = &plugin.schema else {
        return match options {
            Value::Object(map) if map.is_empty() => Ok(()),
            _ => Err(vec![Problem::new("", format!("plugin `{}` takes no options", plugin.name)).hint("write `{}`")]),
        };
    };
    let problems: Vec<Problem> = schema.iter_errors(options).flat_map(|error| explain(&error, &plugin.properties)).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn explain(error: &ValidationError<'_>, properties: &[String]) -> Vec<Problem> {
    let pointer = error.instance_path().to_string();
    let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
        return vec![Problem::new(pointer, error.to_string())];
    };
    let unknown = |name: &String| {
        let place = format!("{pointer}/{}", escape(name));
        let problem = Problem::new(place, format!("unknown option `{name}`")).at_key();
        match did_you_mean(name, properties.iter().map(String::as_str)) {
            Some(close) => problem.hint(format!("did you mean `{close}`?")),
            None if properties.is_empty() => problem,
            None => problem.hint(format!("options are {}", properties.join(", "))),
        }
    };
    unexpected.iter().map(unknown).collect()
}

/// Compiles a plugin's schema of options; an empty text means that it takes none. Gives the names of its properties as well.
pub(super) fn schema(text: &str) -> Result<(Option<Validator>, Vec<String>), String> {
    if text.trim().is_empty() {
        return Ok((None, Vec::new()));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("its `options-schema` is no JSON: {error}"))?;
    let validator =
        jsonschema::validator_for(&value).map_err(|error| format!("its `options-schema` is no JSON Schema: {error}"))?;
    let properties = value.get("properties").and_then(Value::as_object);
    Ok((Some(validator), properties.map(|map| map.keys().cloned().collect()).unwrap_or_default()))
}

/// Measures each kind that the plugin decides. A failure here is left for the first request to report: an empty request may be more
/// than a plugin is prepared for. It costs its own kind the measurement, and the others nothing.
fn rehearse(pool: &Pool) {
    let request = Arc::new(Request::chat("", Vec::new()));
    let mut ready = None;
    for kind in pool.kinds() {
        let mut instance = match ready.take().map_or_else(|| pool.fresh(), Ok) {
            Ok(instance) => instance,
            Err(error) => return tracing::debug!("no rehearsal: {error:?}"),
        };
        instance.rehearse();
        match quickest_ns(pool, &mut instance, kind, &request) {
            Ok(took_ns) => {
                if took_ns > limits::GUEST_INLINE_US * 1_000 {
                    pool.set_slow(kind);
                }
                ready = Some(instance);
            }
            Err(error) => {
                tracing::debug!("in a rehearsal: {error}");
                if error.cause == Cause::Timeout {
                    pool.set_slow(kind);
                }
            }
        }
    }
}

/// CPU time of the quickest of a few calls of `kind`, in nanoseconds. After an error the instance is of no more use.
fn quickest_ns(pool: &Pool, instance: &mut Instance, kind: Kind, request: &Arc<Request>) -> Result<u64, PluginError> {
    let mut quickest_ns = u64::MAX;
    for number in 0..REHEARSALS {
        let call = rehearsal(number, request);
        let start = thread_cpu_ns();
        instance.call(pool.mould(), kind, Moment::from(&call), |instance| match kind {
            Kind::Fault => instance.decide(record(&call)).map(drop),
            Kind::Responder => instance.respond(record(&call), 1).map(drop),
            Kind::Latency => instance.plan(record(&call), 100).map(drop),
            Kind::Balancer => rehearsed_choice(instance, number).map(drop),
            Kind::Autoscaler => rehearsed_decision(instance, number).map(drop),
        })?;
        quickest_ns = quickest_ns.min(thread_cpu_ns().saturating_sub(start));
    }
    Ok(quickest_ns)
}

fn rehearsal(number: u64, request: &Arc<Request>) -> Call<'_> {
    Call { seed: number, ..Call::first(request) }
}
