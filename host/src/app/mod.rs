//! Wiring: the only module besides the command line that knows every part.
//!
//! [`workshop`] fills the catalog, loads plugins and builds generations; [`App`] opens the doors. Start and every change are one path,
//! `reload`: watch, read, check, load plugins, build, swap; `plugin_watch` follows a folder of plugins (`plugin_found`). Whatever fails on it leaves what runs as it is.
//! [`explain`] (with `way` for pipelines), [`replay`], [`inspect`] and [`mod@schema`] answer questions without a server,
//! [`trial`] tries a plugin out, [`simulate`] plays in virtual time, [`verdict`] asks a running server.
//! [`starter`] writes scenarios to begin with; [`signals`] says when the system wants an end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::admin::Admin;
use crate::app::plugin_watch::PluginWatch;
use crate::app::reload::Reloader;
use crate::app::workshop::Workshop;
use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::Engine;
use crate::engine::change::{Applied, Change, Changes, Declined, Terms};
use crate::engine::decisions::Decisions;
use crate::http::server::Server;
use crate::interest::Interest;
use crate::plan::generation::Generation;
use crate::report::Verdict;
use crate::scenario::refusal::Refusal;
use crate::scenario::{Draft, Scenario, read};
use crate::telemetry::metrics;
use crate::wasm::Compiler;

pub mod explain;
pub mod inspect;
pub mod pack;
mod plugin_found;
pub mod plugin_project;
mod plugin_watch;
mod reload;
pub mod replay;
pub mod schema;
pub mod signals;
pub mod simulate;
pub mod starter;
pub mod trial;
pub mod verdict;
mod way;
pub mod workshop;

/// How to run the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// The scenario's file; without one the built-in scenario.
    pub scenario: Option<PathBuf>,
    /// Where clients connect; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the admin API and `/metrics` are; loopback only.
    pub admin: SocketAddr,
    /// The run's seed; goes before the scenario's.
    pub seed: Option<u64>,
    /// Worker threads, at least 1; as many as there are cores if not given.
    pub workers: Option<usize>,
    /// Who compiles plugins; usually [`Compiler::offered`].
    pub compiler: Compiler,
    /// A folder of plugins to follow: projects are built when their sources are saved, and components answer.
    pub watch_plugins: Option<PathBuf>,
    /// The file for the decision log; without one none is written.
    pub decisions: Option<PathBuf>,
    /// By how much the run is slower than real time; 1 for a server, see [`RealClock::slowed`].
    pub slowness: u32,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The scenario cannot be used.
    #[error("{0}")]
    Scenario(#[from] Refusal),
    /// An address cannot be listened on.
    #[error("cannot listen on `{address}`: {error}; choose another address with `{option}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The option that names it.
        option: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The admin address is not loopback.
    #[error("the admin door has no password and opens on loopback only, not on `{0}`; use for example `--admin 127.0.0.1:9090`")]
    AdminNotLoopback(SocketAddr),
    /// The decision log cannot be written.
    #[error("cannot write the decision log `{}`: {error}", .file.display())]
    Decisions {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder of plugins cannot be followed.
    #[error("cannot follow the plugins in `{}`: {error}", .folder.display())]
    WatchPlugins {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Nobody wanted the server any more before it was ready.
    #[error("stopped before it was ready")]
    Unwanted,
    /// Something of the machine is missing.
    #[error("cannot start: {0}")]
    Machine(#[from] io::Error),
    /// The plugin host cannot start.
    #[error("cannot start the plugin host: {0}")]
    Plugins(String),
}

/// A running server.
pub struct App {
    reloader: Arc<Reloader>,
    engine: Arc<Engine>,
    server: Server,
    admin: Admin,
    plugins: Option<PluginWatch>,
}

/// What is left of a server that has stopped.
pub struct Stopped {
    /// Did all open requests finish?
    pub finished: bool,
    /// The whole run, judged by the criteria of the last scenario.
    pub verdict: Verdict,
}

impl App {
    /// Starts a server: builds the scenario, then opens the doors, then says that it is ready.
    pub fn start(options: ServeOptions) -> Result<Self, StartError> {
        Self::start_while(options, &Interest::for_ever())
    }

    /// The same, given up as soon as `interest` is lost: toolchains and the compiler are ended.
    pub fn start_while(options: ServeOptions, interest: &Interest) -> Result<Self, StartError> {
        if !options.admin.ip().is_loopback() {
            return Err(StartError::AdminNotLoopback(options.admin));
        }
        let handle = metrics::install();
        let clock = RealClock::slowed(options.slowness);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = options.workers.unwrap_or_else(cores).max(1);
        let workshop = Workshop::open_with(clock, options.seed, workers, options.compiler)?;
        let reloader = Reloader::new(workshop, options.scenario);
        let inner = listen(options.admin, "--admin")?;
        let (waiting, building) = (Arc::downgrade(&reloader), Arc::new(Mutex::new(None)));
        let at = Arc::clone(&building);
        let admin = Admin::open(inner, handle, move || waits_for(&waiting, lock(&at).as_deref()))?;
        let say = |name: Option<&str>| *lock(&building) = name.map(str::to_owned);
        let follow = |folder: PathBuf| plugin_watch::prepare(&folder, reloader.workshop(), interest, &say);
        let followed = options.watch_plugins.map(follow).transpose()?;
        if !interest.is_there() {
            return Err(StartError::Unwanted);
        }
        let mut server = None;
        reloader.start(interest, |generation| {
            let decisions = options.decisions.map(|file| create_log(file, &generation, clock.epoch_unix_s())).transpose()?;
            let engine = Arc::new(Engine::new(generation, clock).with_decisions(decisions));
            server = Some(Server::start(Arc::clone(&engine), listen(options.listen, "--listen")?, workers)?);
            admin.tell_of(Arc::clone(&engine), Arc::clone(&reloader) as Arc<dyn Changes>);
            Ok::<_, StartError>(engine)
        })?;
        let (Some(server), Some(engine)) = (server, reloader.engine()) else {
            return Err(StartError::Unwanted);
        };
        let plugins = followed.map(|followed| followed.start(&reloader)).transpose()?;
        admin.set_ready(true);
        Ok(Self { reloader, engine, server, admin, plugins })
    }

    /// Where clients connect.
    pub fn api(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where operators connect.
    pub fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Time since the run began, on the server's clock.
    pub fn now(&self) -> Nanos {
        self.engine.clock().now()
    }

    /// Seed of all draws.
    pub fn seed(&self) -> u64 {
        self.engine.running().generation.seed
    }

    /// Number of the generation that answers requests which begin now.
    pub fn generation(&self) -> u64 {
        self.engine.running().generation.number
    }

    /// Reads the scenario and its plugins again and lets the result answer from now on, tried first if the scenario says so. Gives the
    /// new generation's number; a refusal changes nothing.
    pub fn reload(&self) -> Result<u64, Declined> {
        self.change(Change::Files, &Terms::default()).map(|applied| applied.generation)
    }

    /// Makes a change, and returns when it answers requests, or when it is known why it does not. May wait for a compiler.
    pub fn change(&self, change: Change, terms: &Terms) -> Result<Applied, Declined> {
        self.reloader.change(change, terms)
    }

    /// The run so far, judged by the criteria of the running scenario.
    pub fn verdict(&self) -> Verdict {
        self.engine.verdict()
    }

    /// Not ready any more; open requests may finish within `limit`. Says whether they did.
    pub fn stop(self, limit: Duration) -> bool {
        self.finish(limit).finished
    }

    /// The same, and judges the run.
    pub fn finish(self, limit: Duration) -> Stopped {
        self.reloader.stop();
        if let Some(plugins) = &self.plugins {
            plugins.stop();
        }
        self.admin.set_ready(false);
        let finished = self.server.drain(limit);
        if let Some(decisions) = self.engine.decisions() {
            decisions.close();
        }
        Stopped { finished, verdict: self.engine.verdict() }
    }
}

/// What the start of a server waits for, in a few words.
fn waits_for(reloader: &Weak<Reloader>, building: Option<&str>) -> String {
    let building = building.map(|name| format!("building the plugin `{name}`"));
    let compiling = reloader.upgrade().map(|reloader| reloader.compiling()).unwrap_or_default();
    let said: Vec<String> = building.into_iter().chain(compiling.iter().map(ToString::to_string)).collect();
    if said.is_empty() { "the scenario is being read".to_owned() } else { said.join(", ") }
}

fn lock(building: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    building.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks a scenario as starting would: reads it, loads its plugins, makes its behaviours. Without a file, the built-in one.
pub fn check(scenario: Option<&Path>) -> Result<Arc<Scenario>, StartError> {
    let draft = read(scenario)?;
    let generation = Workshop::open(RealClock::start(), None, 1)?.build_tested(draft, 1)?;
    Ok(generation.scenario)
}

fn read(scenario: Option<&Path>) -> Result<Draft, Refusal> {
    match scenario {
        Some(path) => read::read(path),
        None => read::built_in(),
    }
}

fn create_log(file: PathBuf, generation: &Generation, epoch_unix_s: u64) -> Result<Decisions, StartError> {
    Decisions::create(&file, generation, epoch_unix_s).map_err(|error| StartError::Decisions { file, error })
}

fn listen(address: SocketAddr, option: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|error| StartError::Listen { address, option, error })
}
