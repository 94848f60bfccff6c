//! Turns scenarios into generations: the catalog, the plugin host, and what the run fixes once.

use std::sync::Arc;

use crate::app::StartError;
use crate::app::pack::resolve::{Resolved, Shelf};
use crate::behavior::catalog::Catalog;
use crate::builtin;
use crate::clock::Clock;
use crate::clock::real::RealClock;
use crate::pack::digest::Digest;
use crate::plan::build::{Ingredients, build};
use crate::plan::generation::Generation;
use crate::random;
use crate::scenario::refusal::Refusal;
use crate::scenario::{Draft, PluginSource, Scenario};
use crate::telemetry::metrics;
use crate::types::fields::escape;
use crate::types::limits::COMPONENT_BYTES_MAX;
use crate::types::problem::Problem;
use crate::wasm::{Compiler, LoadSpec, Meter, Plugin, PluginHost, PluginHostConfig, STANDARD_PACK, default_folder};

/// Everything that generations are built from. Lives as long as the run, so that plugins' state outlives their generations.
pub struct Workshop {
    catalog: Catalog,
    plugins: PluginHost,
    clock: RealClock,
    fixed_seed: Option<u64>,
    fresh_seed: u64,
    shelf: Shelf,
}

impl Workshop {
    /// A workshop for a run on `clock` with `workers` threads. `fixed_seed` goes before what scenarios say. Plugins are compiled by
    /// who was offered to the process.
    pub fn open(clock: RealClock, fixed_seed: Option<u64>, workers: usize) -> Result<Self, StartError> {
        Self::open_with(clock, fixed_seed, workers, Compiler::offered())
    }

    /// The same with a compiler of its own.
    pub fn open_with(clock: RealClock, fixed_seed: Option<u64>, workers: usize, compiler: Compiler) -> Result<Self, StartError> {
        Self::open_metered(clock, fixed_seed, workers, compiler, Meter::Cpu)
    }

    /// A workshop for one thread in virtual time: plugins are limited by what they compute and not by the time that it takes, so that
    /// runs are equal on every machine.
    pub fn open_virtual(clock: RealClock, fixed_seed: Option<u64>, compiler: Compiler) -> Result<Self, StartError> {
        Self::open_metered(clock, fixed_seed, 1, compiler, Meter::Fuel)
    }

    fn open_metered(
        clock: RealClock,
        fixed_seed: Option<u64>,
        workers: usize,
        compiler: Compiler,
        meter: Meter,
    ) -> Result<Self, StartError> {
        let mut catalog = Catalog::default();
        builtin::register(&mut catalog);
        let config = PluginHostConfig { cache_dir: default_folder(), workers, meter, compiler };
        let plugins = PluginHost::new(config).map_err(|error| StartError::Plugins(error.to_string()))?;
        Ok(Self { catalog, plugins, clock, fixed_seed, fresh_seed: random::fresh_seed(), shelf: Shelf::of_user() })
    }

    /// The same with packs from elsewhere.
    #[must_use]
    pub fn with_shelf(mut self, shelf: Shelf) -> Self {
        self.shelf = shelf;
        self
    }

    /// Lets every scenario use `plugin` by its name.
    pub fn offer(&mut self, plugin: &Arc<Plugin>) {
        plugin.register(&mut self.catalog);
    }

    /// The generation that `draft` stands for: plugins loaded, behaviours made and warm. The refusal names every mistake: those that
    /// reading found, those of plugins, and those of behaviours.
    pub fn build(&self, draft: Draft, number: u64) -> Result<Generation, Refusal> {
        self.build_bringing(draft, number, None)
    }

    /// The first generation of a run with `seed`, in which `plugin` takes the place of any of its name.
    pub fn build_with(&self, mut draft: Draft, seed: u64, plugin: &Arc<Plugin>) -> Result<Generation, Refusal> {
        draft.scenario.seed = Some(seed);
        self.build_bringing(draft, 1, Some(plugin))
    }

    fn build_bringing(&self, mut draft: Draft, number: u64, brought: Option<&Arc<Plugin>>) -> Result<Generation, Refusal> {
        let source = Arc::clone(&draft.scenario.source);
        let mut catalog = self.catalog.clone();
        let Resolved { plugins, known, unresolved, problems } = self.shelf.resolve(&draft.scenario);
        draft.scenario.plugins.extend(plugins);
        draft.problems.extend(problems);
        let mut unloaded = self.load_plugins(&mut draft, &mut catalog);
        unloaded.extend(unresolved);
        if let Some(plugin) = brought {
            let declared = format!("/plugins/{}", escape(plugin.name()));
            draft.problems.retain(|problem| !problem.pointer.starts_with(&declared));
            unloaded.retain(|name| name != plugin.name());
            plugin.register(&mut catalog);
        }
        let ingredients = Ingredients {
            catalog: &catalog,
            loadable: STANDARD_PACK.iter().map(|(name, _)| *name).chain(known.iter().map(String::as_str)).collect(),
            unloaded: unloaded.iter().map(String::as_str).collect(),
            number,
            seed: self.fixed_seed.or(draft.scenario.seed).unwrap_or(self.fresh_seed),
            epoch_unix_s: self.clock.epoch_unix_s(),
            alive: metrics::gauge(metrics::GENERATIONS, &[]),
        };
        build(draft, &ingredients).map_err(|problems| Refusal::of(&source, problems))
    }

    /// Everything that a scenario can name without bringing it: native behaviours and the whole standard pack.
    pub fn full_catalog(&self) -> Result<Catalog, StartError> {
        let mut catalog = self.catalog.clone();
        for (name, bytes) in STANDARD_PACK {
            let plugin = self.plugins.load(LoadSpec::new(name, bytes));
            plugin.map_err(|error| StartError::Plugins(error.to_string()))?.register(&mut catalog);
        }
        Ok(catalog)
    }

    /// The plugin host.
    pub fn plugins(&self) -> &PluginHost {
        &self.plugins
    }

    /// Loads the scenario's own plugins, and those of the standard pack that it uses, into `catalog`. Mistakes go to the draft; gives
    /// the names of the plugins that could not be loaded.
    fn load_plugins(&self, draft: &mut Draft, catalog: &mut Catalog) -> Vec<String> {
        let Draft { scenario, problems } = draft;
        let mut unloaded = unreadable_plugins(scenario);
        for source in &scenario.plugins {
            match self.load(source) {
                Ok(plugin) => plugin.register(catalog),
                Err(problem) => {
                    problems.push(problem);
                    unloaded.push(source.name.clone());
                }
            }
        }
        let brought = |name: &str| scenario.source.value.pointer(&format!("/plugins/{}", escape(name))).is_some();
        for (name, bytes) in STANDARD_PACK {
            if brought(name) || !scenario.behaviours().any(|used| used.name == *name) {
                continue;
            }
            match self.plugins.load(LoadSpec::new(name, bytes)) {
                Ok(plugin) => plugin.register(catalog),
                Err(error) => {
                    problems.push(Problem::new("", error.to_string()));
                    unloaded.push((*name).to_owned());
                }
            }
        }
        unloaded
    }

    fn load(&self, source: &PluginSource) -> Result<Arc<Plugin>, Problem> {
        let file = source.file.display();
        let field = if source.digest.is_some() { "" } else { "/file" };
        let unreadable = |message: String| Problem::new(format!("{}{field}", source.pointer), message);
        if !source.file.is_file() {
            let problem = unreadable(format!("there is no file `{file}`"));
            return Err(problem.hint("paths start at the scenario's folder; build the plugin first"));
        }
        let size = std::fs::metadata(&source.file).map_err(|error| unreadable(format!("cannot read `{file}`: {error}")))?.len();
        if size > COMPONENT_BYTES_MAX {
            return Err(unreadable(format!("`{file}` has {size} bytes; components have at most {COMPONENT_BYTES_MAX}")));
        }
        let bytes = std::fs::read(&source.file).map_err(|error| unreadable(format!("cannot read `{file}`: {error}")))?;
        if let Some(digest) = source.digest.filter(|digest| *digest != Digest::of(&bytes)) {
            let problem =
                Problem::new(source.pointer.clone(), format!("the bytes of `{}` are not those of `{digest}`", source.name));
            return Err(
                problem.hint("the store is damaged: `simwright pack verify` says where, and installing the pack again mends it")
            );
        }
        let spec = LoadSpec {
            name: &source.name,
            bytes: &bytes,
            memory_bytes: source.memory_bytes,
            time_us: source.time_us,
            fresh_per_call: source.fresh_per_call,
            granted: source.granted,
        };
        self.plugins.load(spec).map_err(|error| unreadable(error.message.clone()).hint(error.hint()))
    }
}

/// Names under `plugins:` whose entries could not be read.
fn unreadable_plugins(scenario: &Scenario) -> Vec<String> {
    let written = scenario.source.value["plugins"].as_object().into_iter().flat_map(|map| map.keys());
    written.filter(|name| scenario.plugins.iter().all(|plugin| plugin.name != **name)).cloned().collect()
}
