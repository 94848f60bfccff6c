//! Turns scenarios into generations: the catalog, the plugin host, and what the run fixes once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::app::StartError;
use crate::app::pack::resolve::{Shelf, lock_of};
use crate::behavior::catalog::Catalog;
use crate::builtin;
use crate::clock::Clock;
use crate::clock::real::RealClock;
use crate::http::routes::vendor_of;
use crate::interest::Interest;
use crate::pack::digest::Digest;
use crate::plan::build::{Ingredients, build};
use crate::plan::generation::Generation;
use crate::project::FILE;
use crate::random;
use crate::scenario::refusal::Refusal;
use crate::scenario::{Draft, PackPart, PluginSource, Scenario};
use crate::telemetry::metrics;
use crate::types::capability::Capabilities;
use crate::types::fields::escape;
use crate::types::limits::{COMPONENT_BYTES_MAX, VECTORS_S};
use crate::types::problem::Problem;
use crate::vectors::check::Wanted;
use crate::vectors::{self, Case, Suite};
use crate::wasm::{
    Compiler, LoadSpec, Meter, Plugin, PluginError, PluginHost, PluginHostConfig, PluginKey, STANDARD_PACK, default_folder,
};

/// Everything that generations are built from. Lives as long as the run, so that plugins' state outlives their generations.
pub struct Workshop {
    catalog: Catalog,
    plugins: PluginHost,
    clock: RealClock,
    fixed_seed: Option<u64>,
    fresh_seed: u64,
    shelf: Shelf,
    /// Components that have a name without being declared, and those that take the place of declared ones' files.
    offers: Mutex<BTreeMap<String, Offer>>,
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
        Ok(Self {
            catalog,
            plugins,
            clock,
            fixed_seed,
            fresh_seed: random::fresh_seed(),
            shelf: Shelf::of_user(),
            offers: Mutex::default(),
        })
    }

    /// The same with packs from elsewhere.
    #[must_use]
    pub fn with_shelf(mut self, shelf: Shelf) -> Self {
        self.shelf = shelf;
        self
    }

    /// The files besides the scenario's own that say which packs it uses: its lock and the trust policy. None if it names no packs.
    pub fn files_of_packs(&self, scenario: &Scenario) -> Vec<PathBuf> {
        let lock = lock_of(scenario);
        let policy = self.shelf.policy().filter(|_| lock.is_some()).map(Path::to_owned);
        lock.into_iter().chain(policy).collect()
    }

    /// Lets every scenario use `plugin` by its name.
    pub fn offer(&mut self, plugin: &Arc<Plugin>) {
        plugin.register(&mut self.catalog);
    }

    /// Lets every scenario use the component of `offer` by `name`. Where a scenario declares a plugin of that name, it takes the place of
    /// the file that is written there, within the limits that are.
    pub fn offer_file(&self, name: &str, offer: Offer) {
        self.offers().insert(name.to_owned(), offer);
    }

    /// Takes such an offer back: a file that is declared counts again.
    pub fn withdraw_offer(&self, name: &str) {
        self.offers().remove(name);
    }

    /// The file of such an offer.
    pub fn offered(&self, name: &str) -> Option<PathBuf> {
        self.offers().get(name).map(|offer| offer.file.clone())
    }

    fn offers(&self) -> MutexGuard<'_, BTreeMap<String, Offer>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation that `draft` stands for: plugins loaded, behaviours made and warm. The refusal names every mistake: those that
    /// reading found, those of plugins, and those of behaviours. Slow when a plugin must be compiled.
    pub fn build(&self, mut draft: Draft, number: u64) -> Result<Generation, Refusal> {
        let needs = self.needs(&mut draft, &Sent::default());
        let loaded = self.load_all(&needs);
        self.assemble(draft, number, &needs, &loaded)
    }

    /// The first generation of a run with `seed`, in which `plugin` takes the place of any of its name.
    pub fn build_with(&self, mut draft: Draft, seed: u64, plugin: &Arc<Plugin>) -> Result<Generation, Refusal> {
        draft.scenario.seed = Some(seed);
        let mut needs = self.needs(&mut draft, &Sent::default());
        let declared = format!("/plugins/{}", escape(plugin.name()));
        draft.problems.retain(|problem| !problem.pointer.starts_with(&declared));
        needs.plugins.retain(|need| need.name != plugin.name());
        let mut loaded = self.load_all(&needs);
        loaded.push((plugin.name(), Ok(Arc::clone(plugin))));
        self.assemble(draft, 1, &needs, &loaded)
    }

    fn load_all<'a>(&self, needs: &'a Needs) -> Vec<(&'a str, Loaded)> {
        let load = |need: &Need| self.plugins.load(need.spec()).map_err(|error| vec![need.problem(&error)]);
        needs.plugins.iter().map(|need| (&*need.name, load(need))).collect()
    }

    /// The same; plugins pass their own vectors first, as they must before they take over in a server.
    pub fn build_tested(&self, mut draft: Draft, number: u64) -> Result<Generation, Refusal> {
        let needs = self.needs(&mut draft, &Sent::default());
        let load = |need| self.load(need, &Interest::for_ever()).transpose();
        let loaded: Vec<_> = needs.plugins.iter().filter_map(|need| Some((&*need.name, load(need)?))).collect();
        self.assemble(draft, number, &needs, &loaded)
    }

    /// The plugins that `draft` needs: its own, and those of its packs and of the standard pack that it uses. What was `sent` goes before
    /// the files. Those whose files cannot be read are left out; why goes to the draft.
    pub fn needs(&self, draft: &mut Draft, sent: &Sent) -> Needs {
        let Draft { scenario, problems } = draft;
        let resolved = self.shelf.resolve(scenario);
        scenario.plugins.extend(resolved.plugins);
        problems.extend(resolved.problems);
        let offers = self.offers().clone();
        let (mut needs, mut known, mut unresolved) = (Vec::new(), resolved.known, resolved.unresolved);
        for source in &scenario.plugins {
            let source = &offers.get(&source.name).map_or_else(|| source.clone(), |offer| offer.in_place_of(source));
            let (component, origin) = match sent.get(&source.name) {
                Some(component) => (Ok(component.clone()), Origin::Sent),
                None => (read(source).map(Bytes::from), Origin::File),
            };
            match component {
                Ok(component) => needs.push(Need::of(source, component, origin)),
                Err(problem) => problems.push(problem),
            }
        }
        let brought = |name: &str| scenario.source.value.pointer(&format!("/plugins/{}", escape(name))).is_some();
        for (name, offer) in offers.iter().filter(|(name, _)| !brought(name)) {
            known.push(name.clone());
            let Some(used) = scenario.behaviours().find(|used| used.name == *name) else { continue };
            match offer.need(name, &used.pointer, sent.get(name)) {
                Ok(need) => needs.push(need),
                Err(problem) => {
                    problems.push(problem);
                    unresolved.push(name.clone());
                }
            }
        }
        for (name, bytes) in STANDARD_PACK {
            if !brought(name) && !offers.contains_key(*name) && scenario.behaviours().any(|used| used.name == *name) {
                needs.push(Need::standard(name, bytes));
            }
        }
        Needs { plugins: needs, known, unresolved, insecure: resolved.insecure }
    }

    /// Loads a plugin that passes its own vectors. Slow when it must be compiled: never on a worker. `None` if `interest` is lost before
    /// it is compiled, or while its vectors run.
    pub fn load(&self, need: &Need, interest: &Interest) -> Result<Option<Arc<Plugin>>, Vec<Problem>> {
        let plugin = self.plugins.load_while(need.spec(), interest).map_err(|error| vec![need.problem(&error)])?;
        let Some(plugin) = plugin else { return Ok(None) };
        let until = self.clock.now().saturating_add(VECTORS_S * 1_000_000_000);
        let is_in_time = || self.clock.now() < until;
        if need.try_vectors(&plugin, &|| interest.is_there() && is_in_time())? {
            return Ok(Some(plugin));
        }
        if !interest.is_there() {
            return Ok(None);
        }
        let message = format!("its vectors were not done after {VECTORS_S} s");
        Err(vec![Problem::new(&need.pointer, message).hint("ask fewer requests with `over`, or make the plugin quicker")])
    }

    /// The generation that `draft` stands for with the plugins `loaded`, which are all that it needs.
    pub fn assemble(
        &self,
        mut draft: Draft,
        number: u64,
        needs: &Needs,
        loaded: &[(&str, Loaded)],
    ) -> Result<Generation, Refusal> {
        let source = Arc::clone(&draft.scenario.source);
        let mut catalog = self.catalog.clone();
        for (_, plugin) in loaded {
            match plugin {
                Ok(plugin) => plugin.register(&mut catalog),
                Err(found) => draft.problems.extend(found.iter().cloned()),
            }
        }
        for route in &draft.scenario.routes {
            if let Some(vendor) = vendor_of(&route.method, &route.path.sample()) {
                let message = format!("`{} {}` is served already, for clients of {vendor}", route.method, route.path.sample());
                let problem = Problem::new(format!("{}/path", route.pointer), message).hint("give the route another path");
                draft.problems.push(problem);
            }
        }
        let is_loaded = |name: &str| loaded.iter().any(|(loaded, plugin)| plugin.is_ok() && *loaded == name);
        let written = source.value["plugins"].as_object().into_iter().flat_map(|map| map.keys().map(String::as_str));
        let failed = loaded.iter().map(|(name, _)| *name);
        let ingredients = Ingredients {
            catalog: &catalog,
            loadable: STANDARD_PACK.iter().map(|(name, _)| *name).chain(needs.known.iter().map(String::as_str)).collect(),
            unloaded: written
                .chain(failed)
                .chain(needs.unresolved.iter().map(String::as_str))
                .filter(|name| !is_loaded(name))
                .collect(),
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
}

/// Components that take the place of the files which the scenario names, by the plugins' names.
pub type Sent = BTreeMap<String, Bytes>;

/// A plugin, or why there is none.
pub type Loaded = Result<Arc<Plugin>, Vec<Problem>>;

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The file that the scenario names.
    File,
    /// Somebody sent it in place of that file.
    Sent,
    /// The standard pack.
    Standard,
}

/// A component that is followed in a folder of plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Where it is.
    pub file: PathBuf,
    /// Linear memory of one instance in bytes, if its project asks for more or less than usual.
    pub memory_bytes: Option<u64>,
    /// CPU time of one call in microseconds, if its project asks for more or less than usual.
    pub time_us: Option<u64>,
}

impl Offer {
    /// `source` with this component.
    fn in_place_of(&self, source: &PluginSource) -> PluginSource {
        PluginSource { file: self.file.clone(), ..source.clone() }
    }

    /// What a scenario needs that uses it as `name`, first at `pointer`, without declaring it. What was `sent` goes before the file.
    fn need(&self, name: &str, pointer: &str, sent: Option<&Bytes>) -> Result<Need, Problem> {
        let LoadSpec { memory_bytes, time_us, fresh_per_call, granted, .. } = LoadSpec::new(name, &[]);
        let memory_bytes = self.memory_bytes.map_or(memory_bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let time_us = self.time_us.unwrap_or(time_us);
        let limits = (memory_bytes, time_us, fresh_per_call, granted);
        let (component, origin) = match sent {
            Some(component) => (component.clone(), Origin::Sent),
            None => (read_file(&self.file, pointer)?.into(), Origin::File),
        };
        Ok(Need::with(name, Some(self.file.clone()), origin, component, limits, pointer.to_owned()))
    }
}

/// What a scenario needs besides itself.
#[derive(Debug, Default)]
pub struct Needs {
    /// The plugins.
    pub plugins: Vec<Need>,
    /// Names of all plugins in its packs, for suggestions.
    known: Vec<String>,
    /// Names that it uses of packs which could not be resolved.
    unresolved: Vec<String>,
    /// How many of its packs nobody who is trusted has signed.
    pub insecure: usize,
}

/// A plugin that a scenario needs.
#[derive(Debug, Clone)]
pub struct Need {
    /// Its name in the scenario.
    pub name: String,
    /// The file that the scenario names; none for the standard pack.
    pub file: Option<PathBuf>,
    /// Where its component comes from.
    pub origin: Origin,
    /// What it is known by once it is loaded.
    pub key: PluginKey,
    component: Bytes,
    limits: Limits,
    /// What it is in its pack, if it is of one.
    pack: Option<PackPart>,
    /// Where mistakes about it belong.
    pointer: String,
}

/// What a plugin was tried out as before it answered: other bytes, other limits or another version of its pack, which may have other
/// vectors, are to be tried anew.
pub type Tried = (PluginKey, Option<Digest>);

impl Need {
    /// What it must have been tried out as.
    pub fn tried(&self) -> Tried {
        (self.key.clone(), self.pack.as_ref().map(|part| part.pack))
    }

    fn of(source: &PluginSource, component: Bytes, origin: Origin) -> Self {
        let limits = (source.memory_bytes, source.time_us, source.fresh_per_call, source.granted);
        let pointer = format!("{}{}", source.pointer, field_of(source));
        let need = Self::with(&source.name, Some(source.file.clone()), origin, component, limits, pointer);
        Self { pack: source.pack.clone(), ..need }
    }

    fn standard(name: &str, bytes: &'static [u8]) -> Self {
        let LoadSpec { memory_bytes, time_us, fresh_per_call, granted, .. } = LoadSpec::new(name, bytes);
        let limits = (memory_bytes, time_us, fresh_per_call, granted);
        Self::with(name, None, Origin::Standard, Bytes::from_static(bytes), limits, String::new())
    }

    fn with(name: &str, file: Option<PathBuf>, origin: Origin, component: Bytes, limits: Limits, pointer: String) -> Self {
        let name = name.to_owned();
        let key = PluginKey::of(&spec_of(&name, &component, limits));
        Self { name, file, origin, key, component, limits, pack: None, pointer }
    }

    fn spec(&self) -> LoadSpec<'_> {
        spec_of(&self.name, &self.component, self.limits)
    }

    /// Runs the vectors of its pack, or of the project that the component was built in, if its file lies where projects build it; `false`
    /// if nobody wanted to know before they were done.
    fn try_vectors(&self, plugin: &Plugin, is_wanted: Wanted<'_>) -> Result<bool, Vec<Problem>> {
        let suite = match (&self.pack, self.file.as_deref().and_then(project_of)) {
            (Some(part), _) => self.suite(part)?,
            (None, Some(project)) => {
                let files = vectors::read::files_of(project);
                if files.is_empty() {
                    return Ok(true);
                }
                let suite = vectors::read::read(&files).map_err(|refusal| refusal.problems)?;
                suite.only_about(plugin).map_err(|refusal| refusal.problems)?;
                suite
            }
            (None, None) => Suite::default(),
        };
        if suite.cases.is_empty() {
            return Ok(true);
        }
        match vectors::check_while(plugin, &suite, is_wanted).map_err(|error| vec![self.problem(&error)])? {
            None => Ok(false),
            Some(report) if report.is_good() => Ok(true),
            Some(report) => Err(report.problems()),
        }
    }

    /// The cases of its pack that are about it. They name it as its pack does.
    fn suite(&self, part: &PackPart) -> Result<Suite, Vec<Problem>> {
        let mut suite = Suite::default();
        for (title, file, digest) in &part.vectors {
            let bytes = read_file(file, &self.pointer).map_err(|problem| vec![problem.hint(DAMAGED)])?;
            check_bytes(&format!("{}: {title}", self.name), &bytes, *digest, &self.pointer).map_err(|problem| vec![problem])?;
            let cases = vectors::read::parse(title, &String::from_utf8_lossy(&bytes)).map_err(|refusal| refusal.problems)?;
            let mut own: Vec<Case> =
                cases.into_iter().filter(|case| case.plugin.as_ref().is_none_or(|name| *name == part.name)).collect();
            own.iter_mut().for_each(|case| case.plugin = None);
            suite.cases.extend(own);
        }
        Ok(suite)
    }

    fn problem(&self, error: &PluginError) -> Problem {
        if self.origin == Origin::Standard {
            return Problem::new("", error.to_string());
        }
        Problem::new(&self.pointer, error.message.clone()).hint(error.hint())
    }
}

/// Memory and time of a plugin, a fresh instance for every call or not, and what it may reach.
type Limits = (usize, u64, bool, Capabilities);

fn spec_of<'a>(name: &'a str, bytes: &'a [u8], (memory_bytes, time_us, fresh_per_call, granted): Limits) -> LoadSpec<'a> {
    LoadSpec { name, bytes, memory_bytes, time_us, fresh_per_call, granted }
}

/// The project whose component `file` is: it is built to `build/NAME.wasm`.
fn project_of(file: &Path) -> Option<&Path> {
    let build = file.parent().filter(|folder| folder.ends_with("build"))?;
    build.parent().filter(|project| project.join(FILE).is_file())
}

/// Where in its entry a plugin's file is named: packs name theirs elsewhere.
fn field_of(source: &PluginSource) -> &'static str {
    if source.pack.is_some() { "" } else { "/file" }
}

/// The component in the file of `source`.
fn read(source: &PluginSource) -> Result<Vec<u8>, Problem> {
    let pointer = format!("{}{}", source.pointer, field_of(source));
    let bytes = read_file(&source.file, &pointer)?;
    if let Some(part) = &source.pack {
        check_bytes(&source.name, &bytes, part.component, &pointer)?;
    }
    Ok(bytes)
}

/// What to do where a pack's file is missing or has other bytes.
const DAMAGED: &str = "the store is damaged: `simwright pack verify` says where, and installing the pack again mends it";

/// Says that the bytes of a pack's file, called `name`, are others than its `digest` says.
fn check_bytes(name: &str, bytes: &[u8], digest: Digest, pointer: &str) -> Result<(), Problem> {
    if Digest::of(bytes) == digest {
        return Ok(());
    }
    let problem = Problem::new(pointer, format!("the bytes of `{name}` are not those of `{digest}`"));
    Err(problem.hint(DAMAGED))
}

/// The component in the file at `path`, which was named at `pointer`.
fn read_file(path: &Path, pointer: &str) -> Result<Vec<u8>, Problem> {
    let file = path.display();
    let unreadable = |message: String| Problem::new(pointer, message);
    if !path.is_file() {
        let problem = unreadable(format!("there is no file `{file}`"));
        return Err(problem.hint("paths start at the scenario's folder; build the plugin first"));
    }
    let size = std::fs::metadata(path).map_err(|error| unreadable(format!("cannot read `{file}`: {error}")))?.len();
    if size > COMPONENT_BYTES_MAX {
        return Err(unreadable(format!("`{file}` has {size} bytes; components have at most {COMPONENT_BYTES_MAX}")));
    }
    std::fs::read(path).map_err(|error| unreadable(format!("cannot read `{file}`: {error}")))
}
