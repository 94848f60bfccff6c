//! Wiring: the only module besides the command line that knows every part.
//!
//! [`workshop`] fills the catalog, loads plugins and builds generations; [`App`] opens the doors and swaps generations when files
//! change. Start and reload are one path: read, check, load plugins, build, swap. Whatever fails on it leaves what runs as it is.
//! [`explain`] and [`inspect`] answer questions without a server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::admin::Admin;
use crate::app::workshop::Workshop;
use crate::clock::real::RealClock;
use crate::engine::Engine;
use crate::http::server::Server;
use crate::plan::generation::Generation;
use crate::scenario::refusal::Refusal;
use crate::scenario::watch::Watcher;
use crate::scenario::{Scenario, read};
use crate::telemetry::metrics;

pub mod explain;
pub mod inspect;
pub mod signals;
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
}

/// What start and reload share.
struct Shared {
    workshop: Workshop,
    engine: Arc<Engine>,
    scenario: Option<PathBuf>,
    /// Number of the newest generation; held during a reload, so that there is one at a time.
    newest: Mutex<u64>,
    watcher: OnceLock<Watcher>,
}

impl App {
    /// Starts a server: builds the scenario, then opens the doors, then says that it is ready.
    pub fn start(options: ServeOptions) -> Result<Self, StartError> {
        if !options.admin.ip().is_loopback() {
            return Err(StartError::AdminNotLoopback(options.admin));
        }
        let handle = metrics::install();
        let clock = RealClock::start();
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = options.workers.unwrap_or_else(cores).max(1);
        let workshop = Workshop::open(clock, options.seed, workers)?;
        let generation = workshop.build(read(options.scenario.as_deref())?, 1)?;
        let files = watched(options.scenario.as_deref(), &generation);
        let engine = Arc::new(Engine::new(generation, clock));
        let admin = Admin::start(listen(options.admin, "--admin")?, handle)?;
        let server = Server::start(Arc::clone(&engine), listen(options.listen, "--listen")?, workers)?;
        let (scenario, newest) = (options.scenario, Mutex::new(1));
        let shared = Arc::new(Shared { workshop, engine, scenario, newest, watcher: OnceLock::new() });
        shared.follow(files);
        admin.set_ready(true);
        Ok(Self { shared, server, admin })
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

    /// Number of the generation that answers requests which begin now.
    pub fn generation(&self) -> u64 {
        self.shared.engine.running().generation.number
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
    /// Reloads whenever the scenario or one of its plugins changes. Without a scenario file there is nothing to follow.
    fn follow(self: &Arc<Self>, files: Vec<PathBuf>) {
        if self.scenario.is_none() {
            return;
        }
        let shared: Weak<Self> = Arc::downgrade(self);
        let started = Watcher::start(move |_| {
            if let Some(shared) = shared.upgrade() {
                // A refusal is logged where it arises.
                let _ = shared.reload();
            }
        });
        match started {
            Ok(watcher) => {
                watcher.watch(files);
                let _ = self.watcher.set(watcher);
            }
            Err(error) => tracing::warn!(%error, "cannot watch files; changes need a restart"),
        }
    }

    fn reload(&self) -> Result<u64, Refusal> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |outcome| metrics::counter(metrics::RELOADS, &[("outcome", outcome)]).increment(1);
        let built = read(self.scenario.as_deref()).and_then(|scenario| self.workshop.build(scenario, *newest + 1));
        match built {
            Ok(generation) => {
                *newest += 1;
                if let Some(watcher) = self.watcher.get() {
                    watcher.watch(watched(self.scenario.as_deref(), &generation));
                }
                self.engine.swap(generation);
                count("applied");
                tracing::info!(generation = *newest, "reloaded");
                Ok(*newest)
            }
            Err(refusal) => {
                count("refused");
                tracing::error!("reload refused, generation {} stays\n{refusal}", *newest);
                Err(refusal)
            }
        }
    }
}

/// Checks a scenario as starting would: reads it, loads its plugins, makes its behaviours. Without a file, the built-in one.
pub fn check(scenario: Option<&Path>) -> Result<Scenario, StartError> {
    let checked = read(scenario)?;
    let workshop = Workshop::open(RealClock::start(), None, 1)?;
    workshop.build(checked.clone(), 1)?;
    Ok(checked)
}

fn read(scenario: Option<&Path>) -> Result<Scenario, Refusal> {
    match scenario {
        Some(path) => read::read(path),
        None => read::built_in(),
    }
}

fn listen(address: SocketAddr, option: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|error| StartError::Listen { address, option, error })
}

/// The files that decide a generation.
fn watched(scenario: Option<&Path>, generation: &Generation) -> Vec<PathBuf> {
    let plugins = generation.scenario.plugins.iter().map(|plugin| plugin.file.clone());
    scenario.map(Path::to_owned).into_iter().chain(plugins).collect()
}
