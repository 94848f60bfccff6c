//! Wiring: the only place that knows every part. Fills the catalog, builds generations, opens the doors, watches files.
//!
//! Start and reload are one path: read, check, load plugins, build, swap. Whatever fails on it leaves what runs as it is.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::admin::Admin;
use crate::behavior::catalog::Catalog;
use crate::clock::Clock;
use crate::clock::real::RealClock;
use crate::engine::Engine;
use crate::http::server::Server;
use crate::plan::build::{Ingredients, build};
use crate::plan::generation::Generation;
use crate::random;
use crate::scenario::Scenario;
use crate::scenario::read;
use crate::scenario::refusal::Refusal;
use crate::scenario::watch::Watch;
use crate::telemetry::metrics;
use crate::types::problem::Problem;
use crate::wasm::{LoadSpec, PluginHost, PluginHostConfig};

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The scenario file; `None` for the built-in one.
    pub scenario: Option<PathBuf>,
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where operators connect; loopback only.
    pub admin: SocketAddr,
    /// Seed of all draws, above the scenario's own; a fresh one if neither gives one.
    pub seed: Option<u64>,
    /// Worker threads; `None` for one a core.
    pub workers: Option<usize>,
    /// Follow changes of the scenario and its plugins?
    pub watch: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scenario: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
            seed: None,
            workers: None,
            watch: true,
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The scenario cannot be used.
    #[error("{0}")]
    Scenario(#[from] Refusal),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}; choose another with `{option}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The option that names it.
        option: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The admin address is not loopback.
    #[error("the admin door opens on loopback only, not on {0}; use for example `--admin 127.0.0.1:8081`")]
    AdminNotLoopback(SocketAddr),
    /// Something of the machine is missing.
    #[error("cannot start: {0}")]
    Machine(#[from] io::Error),
    /// The plugin host cannot start.
    #[error("cannot start the plugin host: {0}")]
    Plugins(String),
}

/// A running server.
pub struct App {
    shared: Arc<Shared>,
    server: Server,
    admin: Admin,
    _watch: Option<Watch>,
}

/// What start and reload share.
struct Shared {
    workshop: Workshop,
    engine: Arc<Engine>,
    scenario: Option<PathBuf>,
    /// One reload at a time; the number of the newest generation.
    newest: Mutex<u64>,
}

/// Turns scenarios into generations: the catalog, the plugin host and what the run fixes once.
pub struct Workshop {
    catalog: Catalog,
    plugins: PluginHost,
    clock: RealClock,
    fixed_seed: Option<u64>,
    fresh_seed: u64,
}

impl Workshop {
    /// A workshop for a run on `clock` whose plugins run on `workers` threads.
    pub fn open(clock: RealClock, fixed_seed: Option<u64>, workers: usize) -> Result<Self, StartError> {
        let mut catalog = Catalog::default();
        crate::builtin::register(&mut catalog);
        let config = PluginHostConfig { workers, ..PluginHostConfig::default() };
        let plugins = PluginHost::new(config).map_err(|error| StartError::Plugins(error.to_string()))?;
        Ok(Self { catalog, plugins, clock, fixed_seed, fresh_seed: random::fresh_seed() })
    }

    /// The scenario in `file`, or the built-in one.
    pub fn read(file: Option<&PathBuf>) -> Result<Scenario, Refusal> {
        match file {
            Some(file) => read::read(file),
            None => read::built_in(),
        }
    }

    /// The generation that `scenario` stands for: plugins loaded, behaviours made and warm.
    pub fn build(&self, scenario: Scenario, number: u64) -> Result<Generation, Refusal> {
        let source = Arc::clone(&scenario.source);
        let mut catalog = self.catalog.clone();
        let problems = self.load_plugins(&scenario, &mut catalog);
        if !problems.is_empty() {
            return Err(Refusal::of(&source, problems));
        }
        let ingredients = Ingredients {
            catalog: &catalog,
            number,
            seed: self.fixed_seed.or(scenario.seed).unwrap_or(self.fresh_seed),
            epoch_unix_s: self.clock.epoch_unix_s(),
            alive: metrics::gauge(metrics::GENERATIONS, &[]),
        };
        build(scenario, &ingredients).map_err(|problems| Refusal::of(&source, problems))
    }

    /// Loads the scenario's own plugins, and those of the standard pack that it uses.
    fn load_plugins(&self, scenario: &Scenario, catalog: &mut Catalog) -> Vec<Problem> {
        let mut problems = Vec::new();
        for source in &scenario.plugins {
            let loaded = std::fs::read(&source.file)
                .map_err(|error| Problem::new(format!("{}/file", source.pointer), format!("cannot read `{}`: {error}", source.file.display())))
                .and_then(|bytes| {
                    let spec = LoadSpec {
                        name: source.name.clone(),
                        bytes: bytes.into(),
                        memory_bytes: source.memory_bytes,
                        time_us: source.time_us,
                        fresh_per_call: source.fresh_per_call,
                    };
                    self.plugins.load(spec).map_err(|error| Problem::new(&source.pointer, error.message.clone()).hint(error.hint()))
                });
            match loaded {
                Ok(plugin) => plugin.register(catalog),
                Err(problem) => problems.push(problem),
            }
        }
        for (name, bytes) in crate::wasm::standard_pack() {
            let shadowed = scenario.plugins.iter().any(|source| source.name == *name);
            if shadowed || !scenario.uses(name) {
                continue;
            }
            match self.plugins.load(LoadSpec::standard(name, bytes)) {
                Ok(plugin) => plugin.register(catalog),
                Err(error) => problems.push(Problem::new("", error.to_string())),
            }
        }
        problems
    }
}

impl App {
    /// Starts a server: reads and builds the scenario, then opens the doors, then says it is ready.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        if !settings.admin.ip().is_loopback() {
            return Err(StartError::AdminNotLoopback(settings.admin));
        }
        let handle = metrics::install();
        let clock = RealClock::start();
        let workers = settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
        let workshop = Workshop::open(clock, settings.seed, workers)?;
        let generation = workshop.build(Workshop::read(settings.scenario.as_ref())?, 1)?;
        let engine = Arc::new(Engine::new(generation, clock));
        let listen = |address, option| {
            TcpListener::bind(address).map_err(|error| StartError::Listen { address, option, error })
        };
        let admin = Admin::start(listen(settings.admin, "--admin")?, handle)?;
        let server = Server::start(Arc::clone(&engine), listen(settings.listen, "--listen")?, workers)?;
        let shared = Arc::new(Shared { workshop, engine, scenario: settings.scenario, newest: Mutex::new(1) });
        let watch = if settings.watch { shared.watch() } else { None };
        admin.set_ready(true);
        Ok(Self { shared, server, admin, _watch: watch })
    }

    /// Where clients connect.
    pub fn api(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where operators connect.
    pub fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Seed of all draws.
    pub fn seed(&self) -> u64 {
        self.shared.engine.running().generation.seed
    }

    /// Reads the scenario and its plugins again and lets the result answer from now on. Gives the new generation's number; a refusal
    /// changes nothing.
    pub fn reload(&self) -> Result<u64, Refusal> {
        self.shared.reload()
    }

    /// Not ready any more; open requests may finish within `limit`. Says whether they did.
    pub fn stop(self, limit: Duration) -> bool {
        self.admin.set_ready(false);
        self.server.drain(limit)
    }
}

impl Shared {
    fn reload(&self) -> Result<u64, Refusal> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = |outcome| metrics::counter(metrics::RELOADS, &[("outcome", outcome)]).increment(1);
        let built = Workshop::read(self.scenario.as_ref()).and_then(|scenario| self.workshop.build(scenario, *newest + 1));
        match built {
            Ok(generation) => {
                *newest += 1;
                self.engine.swap(generation);
                outcome("applied");
                tracing::info!(generation = *newest, "reloaded");
                Ok(*newest)
            }
            Err(refusal) => {
                outcome("refused");
                tracing::error!("reload refused, generation {} stays:\n{refusal}", *newest);
                Err(refusal)
            }
        }
    }
}
