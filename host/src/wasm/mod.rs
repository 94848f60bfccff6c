//! The only place that knows wasmtime: bytes of a component become behaviours in the catalog.
//!
//! Begin with [`PluginHost::load`] and follow a call: `maker` checks options and fills a `pool`; `adapter` asks an
//! `instance` from it, which the `janitor` replaces, and `chooser` for groups of replicas; `judge` looks at what comes back. `limits`,
//! `ticker` and `breaker` see to it that a bad plugin costs nobody else anything; `error` says what it did, `usage` how often it was
//! asked, `reach` what it imports. `host_services` with `state` and `wasi` are all that a guest can reach; `contract` says which versions
//! fit. [`apart`] tries a plugin out, [`look`] says what one imports, and `journal` keeps what it says meanwhile. `engine_config`, `compiler`,
//! `code` and `compile_cache` are about compiled code, `standard_pack` holds the embedded plugins, `bindings` is
//! generated. A host belongs to one clock: give a run in virtual time a host of its own, with [`Meter::Fuel`].

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jsonschema::Validator;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::behavior::catalog::Catalog;
use crate::clock::Nanos;
use crate::interest::Interest;
use crate::types::capability::{Capabilities, Reach};
use crate::types::limits as bounds;

mod adapter;
pub mod apart;
mod bindings;
mod breaker;
mod chooser;
mod code;
mod compile_cache;
mod compiler;
mod contract;
mod engine_config;
mod error;
mod guest;
mod host_services;
mod instance;
mod janitor;
mod journal;
mod judge;
mod limits;
pub mod look;
mod maker;
mod pool;
mod reach;
mod standard_pack;
mod state;
mod ticker;
mod usage;
mod wasi;

#[cfg(test)]
pub(crate) mod tests;

pub use apart::Room;
pub use breaker::BreakerState;
pub use chooser::{PluginChooser, PluginScaler};
pub use compile_cache::default_folder;
pub use compiler::{ChildCompiler, CompileLimits, Compiler, Compiling, compiler_main};
pub use contract::CONTRACT;
pub use engine_config::Meter;
pub use error::{Cause, PluginError};
pub use instance::Kind;
pub use standard_pack::STANDARD_PACK;

use breaker::Breaker;
use compile_cache::CompileCache;
use compiler::Progress;
use host_services::Home;
use instance::Mould;
use janitor::Janitor;
use maker::PluginMaker;
use pool::Pool;
use ticker::{Ticker, Timer};
use usage::Usage;

/// How to run plugins.
#[derive(Debug, Clone)]
pub struct PluginHostConfig {
    /// Where compiled code is kept; `None` keeps none. Usually [`default_folder`].
    pub cache_dir: Option<PathBuf>,
    /// How many workers ask plugins: each gets an instance of its own.
    pub workers: usize,
    /// How guests' time is counted.
    pub meter: Meter,
    /// Who compiles components. Usually [`Compiler::offered`].
    pub compiler: Compiler,
}

/// Loads plugins and keeps what they share: the engine, compiled code, the state of all plugins, two threads.
pub struct PluginHost {
    engine: Engine,
    cache: CompileCache,
    states: state::Store,
    config: PluginHostConfig,
    threads: Arc<Threads>,
    /// Plugins that somebody holds: loading an equal one again gives the same, with its instances and its breaker.
    known: Mutex<HashMap<PluginKey, Weak<Plugin>>>,
    progress: Progress,
}

/// The threads that all plugins of a host share. They end with the last host, plugin or behaviour that holds them.
struct Threads {
    janitor: Janitor,
    /// `None` where time is counted in instructions.
    ticker: Option<Ticker>,
}

impl Threads {
    fn timer(&self) -> Timer {
        self.ticker.as_ref().map_or(Timer::Fuel, |ticker| Timer::Cpu(Arc::clone(ticker.pulse())))
    }
}

/// A plugin to load.
#[derive(Debug, Clone, Copy)]
pub struct LoadSpec<'a> {
    /// Its name in the scenario: behaviours are used, state is kept and errors are reported under it.
    pub name: &'a str,
    /// The component.
    pub bytes: &'a [u8],
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: usize,
    /// CPU time of one call, in microseconds.
    pub time_us: u64,
    /// A fresh instance for every call?
    pub fresh_per_call: bool,
    /// What it may reach; one that imports more is refused.
    pub granted: Capabilities,
}

/// What a loaded plugin is known by: equal keys are one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginKey {
    name: String,
    digest: [u8; 32],
    memory_bytes: usize,
    time_us: u64,
    fresh_per_call: bool,
    granted: Capabilities,
}

impl PluginKey {
    /// The key of what `spec` asks for.
    pub fn of(spec: &LoadSpec<'_>) -> Self {
        let LoadSpec { name, bytes, memory_bytes, time_us, fresh_per_call, granted } = *spec;
        let digest = Sha256::digest(bytes).into();
        Self { name: name.to_owned(), digest, memory_bytes, time_us, fresh_per_call, granted }
    }

    /// SHA-256 of the component, in hexadecimal.
    pub fn digest(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<'a> LoadSpec<'a> {
    /// The plugin `name` with the default limits, for which every import is fine.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        let Reach { memory_bytes, time_us, .. } = Reach::default();
        let memory_bytes = memory_bytes as usize;
        Self { name, bytes, memory_bytes, time_us, fresh_per_call: false, granted: Capabilities::all() }
    }
}

impl PluginHost {
    /// Prepares to run plugins. Fails where the system gives neither the address space (4 TiB and more, never filled) nor the
    /// threads.
    pub fn new(config: PluginHostConfig) -> anyhow::Result<Self> {
        let room = engine_config::Room::for_workers(config.workers);
        tracing::debug!(instances = room.instances, "room for plugins");
        let engine = engine_config::engine_in(config.meter, room)?;
        Self::with_engine(config, engine)
    }

    fn with_engine(config: PluginHostConfig, engine: Engine) -> anyhow::Result<Self> {
        let ticker = match config.meter {
            Meter::Cpu => Some(Ticker::start(&engine)?),
            Meter::Fuel => None,
        };
        let cache = CompileCache::open(config.cache_dir.as_deref());
        tracing::debug!(
            memory = %error::mebibytes(bounds::GUEST_MEMORY_BYTES),
            time_us = bounds::GUEST_TIME_US,
            stack = %error::mebibytes(bounds::GUEST_STACK_BYTES),
            transfer = %error::mebibytes(bounds::GUEST_TRANSFER_BYTES),
            compiler = ?config.compiler,
            "plugin limits"
        );
        let threads = Arc::new(Threads { janitor: Janitor::start()?, ticker });
        let (states, known, progress) = (state::Store::default(), Mutex::default(), Progress::default());
        Ok(Self { engine, cache, states, config, threads, known, progress })
    }

    /// Loads a plugin: checks its file, what it imports and exports and its version, compiles it or takes it from the cache, and
    /// asks it what it is. Slow when it must compile: never on a worker.
    /// An equal plugin that somebody still holds is given again.
    pub fn load(&self, spec: LoadSpec<'_>) -> Result<Arc<Plugin>, PluginError> {
        let given_up = || PluginError::new(spec.name, Cause::Host, "it was given up while it waited for the compiler");
        self.load_while(spec, &Interest::for_ever())?.ok_or_else(given_up)
    }

    /// The same; a plugin that waits for the compiler, or is with it, is given up, and `None`, as soon as `interest` is lost.
    pub fn load_while(&self, spec: LoadSpec<'_>, interest: &Interest) -> Result<Option<Arc<Plugin>>, PluginError> {
        check_file(&spec)?;
        let key = PluginKey::of(&spec);
        if let Some(plugin) = self.loaded(&key) {
            return Ok(Some(plugin));
        }
        let Some(component) = self.component(spec.name, spec.bytes, interest)? else { return Ok(None) };
        let capabilities = reach::reached(&component);
        reach::check(spec.name, capabilities, spec.granted)?;
        let home = Arc::new(Home::new(spec.name, self.states.of(spec.name)));
        let mould = Mould::link(&component, home, self.threads.timer(), spec.memory_bytes, spec.time_us)?;
        let about = mould.start(0)?.describe(&mould)?;
        let (schema, properties) =
            maker::schema(&about.options_schema).map_err(|message| PluginError::new(spec.name, Cause::Setup, message))?;
        let plugin = Arc::new(Plugin {
            name: spec.name.to_owned(),
            key: key.clone(),
            about: About {
                name: host_services::printable(&about.name).into_owned(),
                version: host_services::printable(&about.version).into_owned(),
                summary: host_services::printable(&about.summary).into_owned(),
                options_schema: about.options_schema,
            },
            mould: Arc::new(mould),
            capabilities,
            schema,
            properties,
            fresh_per_call: spec.fresh_per_call,
            workers: self.config.workers,
            pools: Mutex::default(),
            breaker: Arc::new(Breaker::new(spec.name, self.config.workers)),
            usage: Arc::new(Usage::of(self.config.workers)),
            threads: Arc::clone(&self.threads),
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, plugin| plugin.strong_count() > 0);
        known.insert(key, Arc::downgrade(&plugin));
        Ok(Some(plugin))
    }

    /// The plugin of `key`, if it has been loaded and somebody holds it. Never slow.
    pub fn loaded(&self, key: &PluginKey) -> Option<Arc<Plugin>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).and_then(Weak::upgrade)
    }

    /// What is being compiled now, and what waits for that.
    pub fn compiling(&self) -> Vec<Compiling> {
        self.progress.look()
    }

    /// The component of `bytes`: from the cache if it is there, else compiled and kept.
    fn component(&self, plugin: &str, bytes: &[u8], interest: &Interest) -> Result<Option<Component>, PluginError> {
        if let Some(component) = self.cache.component(&self.engine, bytes) {
            return Ok(Some(component));
        }
        let on_its_way = self.progress.enter(plugin, self.config.compiler.limit_s());
        let _turn = Compiler::turn();
        if !interest.is_there() {
            return Ok(None);
        }
        // Whoever had the turn before may have compiled this one.
        if let Some(component) = self.cache.component(&self.engine, bytes) {
            return Ok(Some(component));
        }
        on_its_way.begins();
        let Some(code) = self.config.compiler.compile(plugin, self.config.meter, bytes, interest)? else { return Ok(None) };
        let component = code.component(&self.engine).map_err(|error| error::not_loaded(plugin, &error))?;
        self.cache.keep(&self.engine, bytes, &code);
        Ok(Some(component))
    }

    /// Is the compiled code of `bytes` in the cache?
    pub fn is_compiled(&self, bytes: &[u8]) -> bool {
        self.cache.component(&self.engine, bytes).is_some()
    }

    /// Forgets the state of all plugins: for the start of another run in virtual time.
    pub fn forget_state(&self) {
        self.states.forget();
    }
}

/// What a plugin says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Its own name; the scenario may use another.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of its options as text; empty if it takes none.
    pub options_schema: String,
}

/// A loaded plugin.
pub struct Plugin {
    name: String,
    key: PluginKey,
    about: About,
    mould: Arc<Mould>,
    capabilities: Capabilities,
    schema: Option<Validator>,
    properties: Vec<String>,
    fresh_per_call: bool,
    workers: usize,
    pools: Mutex<Vec<(String, Weak<Pool>)>>,
    breaker: Arc<Breaker>,
    usage: Arc<Usage>,
    threads: Arc<Threads>,
}

impl Plugin {
    /// What the plugin says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its name in the scenario.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is it called `name`, in the scenario or by itself?
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.about.name == name
    }

    /// SHA-256 of its component, in hexadecimal.
    pub fn digest(&self) -> String {
        self.key.digest()
    }

    /// Calls so far, and those of them that gave no answer.
    pub fn counts(&self) -> (u64, u64) {
        self.usage.counts()
    }

    /// Nobody asks it any more: its breaker closes, and is as new should it be brought back, and its instances make room for others.
    pub fn rest(&self) {
        self.breaker.recover();
        self.pools().for_each(|pool| pool.rest());
    }

    /// It is to be asked again: every worker has an instance. Costs nothing unless it has been at [`Plugin::rest`].
    pub fn resume(&self) {
        self.pools().for_each(|pool| pool.resume());
    }

    /// The pools that somebody holds.
    fn pools(&self) -> impl Iterator<Item = Arc<Pool>> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(|(_, pool)| pool.upgrade()).collect::<Vec<_>>().into_iter()
    }

    /// What it reaches, by its imports.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// What it decides.
    pub fn kinds(&self) -> Vec<Kind> {
        self.mould.kinds()
    }

    /// Is it asked at `now`, in plan time, or did it fail so often that it is not?
    pub fn breaker(&self, now: Nanos) -> BreakerState {
        self.breaker.state(now)
    }

    /// Enters its behaviours in the catalog, under its name in the scenario. An entry of the same name is replaced.
    pub fn register(self: &Arc<Self>, catalog: &mut Catalog) {
        let maker = Arc::new(PluginMaker(Arc::clone(self)));
        for kind in self.kinds() {
            match kind {
                Kind::Fault => drop(catalog.fault.insert(self.name.clone(), maker.clone())),
                Kind::Responder => drop(catalog.responder.insert(self.name.clone(), maker.clone())),
                Kind::Latency => drop(catalog.latency.insert(self.name.clone(), maker.clone())),
                Kind::Balancer => drop(catalog.balancer.insert(self.name.clone(), maker.clone())),
                Kind::Autoscaler => drop(catalog.autoscaler.insert(self.name.clone(), maker.clone())),
            }
        }
    }
}

/// Says what is wrong with a file or its limits before the compiler does.
fn check_file(spec: &LoadSpec<'_>) -> Result<(), PluginError> {
    let error = |message: String| Err(PluginError::new(spec.name, Cause::File, message));
    if spec.bytes.len() as u64 > bounds::COMPONENT_BYTES_MAX {
        let most = error::mebibytes(bounds::COMPONENT_BYTES_MAX as usize);
        return error(format!("its file has {}, more than {most}", error::mebibytes(spec.bytes.len())));
    }
    if spec.memory_bytes > bounds::GUEST_MEMORY_CEILING_BYTES {
        let most = error::mebibytes(bounds::GUEST_MEMORY_CEILING_BYTES);
        return error(format!("it asks for {} of memory; {most} is the most", error::mebibytes(spec.memory_bytes)));
    }
    match spec.bytes.first_chunk::<8>() {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => error("its file is a core module, not a component".to_owned()),
        Some([0, b'a', b's', b'm', ..]) => error("its file is WebAssembly of a version that is not known here".to_owned()),
        _ => error("its file is no WebAssembly".to_owned()),
    }
}
