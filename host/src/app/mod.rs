//! Wiring: the only module besides the command line that knows every part.
//!
//! [`workshop`] fills the catalog, loads plugins and builds generations; [`App`] opens the doors and swaps generations when files
//! change. Start and reload are one path: watch, read, check, load plugins, build, swap. Whatever fails on it leaves what runs as it
//! is. [`explain`] (with `way` for pipelines), [`replay`], [`inspect`] and [`mod@schema`] answer questions without a server,
//! [`trial`] tries a plugin out. [`simulate`] plays in virtual time, [`verdict`] asks a running server.
//! [`starter`] writes scenarios to begin with; [`signals`] says when the system wants an end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::admin::Admin;
use crate::app::workshop::Workshop;
use crate::behavior::catalog::files_of;
use crate::clock::real::RealClock;
use crate::clock::{Clock, Nanos};
use crate::engine::Engine;
use crate::engine::decisions::Decisions;
use crate::http::server::Server;
use crate::plan::generation::Generation;
use crate::report::Verdict;
use crate::scenario::refusal::Refusal;
use crate::scenario::watch::Watcher;
use crate::scenario::{Draft, Scenario, diff, read};
use crate::telemetry::metrics;
use crate::wasm::Compiler;

pub mod explain;
pub mod inspect;
pub mod pack;
pub mod plugin_project;
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
    /// The file for the decision log; without one none is written.
    pub decisions: Option<PathBuf>,
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
    engine: Arc<Engine>,
    server: Server,
    admin: Admin,
}

/// What is left of a server that has stopped.
pub struct Stopped {
    /// Did all open requests finish?
    pub finished: bool,
    /// The whole run, judged by the criteria of the last scenario.
    pub verdict: Verdict,
}

/// What start and reload share.
struct Shared {
    workshop: Workshop,
    scenario: Option<PathBuf>,
    /// Held while a generation is built and takes over, the first one too, so that there is one at a time.
    turn: Mutex<()>,
    /// What plays the generations; not there before the first one is built.
    engine: OnceLock<Arc<Engine>>,
    /// Not there without a scenario file.
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
        let workshop = Workshop::open_with(clock, options.seed, workers, options.compiler)?;
        let shared = Arc::new(Shared {
            workshop,
            scenario: options.scenario,
            turn: Mutex::new(()),
            engine: OnceLock::new(),
            watcher: OnceLock::new(),
        });
        shared.follow();
        // A change that is seen from here on waits for its turn.
        let turn = shared.turn();
        let generation = shared.build(1)?;
        let decisions = options.decisions.map(|file| create_log(file, &generation, clock.epoch_unix_s())).transpose()?;
        let engine = Arc::new(Engine::new(generation, clock).with_decisions(decisions));
        // Both before either is served: an address that is taken leaves no door half open.
        let (inner, outer) = (listen(options.admin, "--admin")?, listen(options.listen, "--listen")?);
        let admin = Admin::start(inner, Arc::clone(&engine), handle)?;
        let server = Server::start(Arc::clone(&engine), outer, workers)?;
        let _ = shared.engine.set(Arc::clone(&engine));
        drop(turn);
        admin.set_ready(true);
        Ok(Self { shared, engine, server, admin })
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

    /// Reads the scenario and its plugins again and lets the result answer from now on. Gives the new generation's number; a refusal
    /// changes nothing.
    pub fn reload(&self) -> Result<u64, Refusal> {
        self.shared.reload(&self.engine)
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
        self.admin.set_ready(false);
        let finished = self.server.drain(limit);
        if let Some(decisions) = self.engine.decisions() {
            decisions.close();
        }
        Stopped { finished, verdict: self.engine.verdict() }
    }
}

impl Shared {
    /// Reloads whenever a file changes that [`Shared::build`] watches. Without a scenario file there is nothing to follow.
    fn follow(self: &Arc<Self>) {
        if self.scenario.is_none() {
            return;
        }
        let shared: Weak<Self> = Arc::downgrade(self);
        let started = Watcher::start(move |_| {
            let Some(shared) = shared.upgrade() else { return };
            // While the start is still at it, this waits; without an engine after that, the start has failed.
            drop(shared.turn());
            if let Some(engine) = shared.engine.get() {
                // A refusal is logged where it arises.
                let _ = shared.reload(engine);
            }
        });
        match started {
            Ok(watcher) => {
                let _ = self.watcher.set(watcher);
            }
            Err(error) => tracing::warn!(%error, "cannot watch files; changes need a restart"),
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds generation `number` from the files as they are. Each is watched from before it is read, so that nothing saved meanwhile
    /// is lost; and even if the scenario is refused, the plugins that it names are, so that building a missing one is enough.
    fn build(&self, number: u64) -> Result<Generation, Refusal> {
        if let Some(watcher) = self.watcher.get() {
            watcher.watch(self.scenario.clone());
        }
        let read = match &self.scenario {
            None => read::built_in(),
            Some(path) => read::read_telling(path, &mut |included| {
                if let Some(watcher) = self.watcher.get() {
                    watcher.watch_also([included.to_owned()]);
                }
            }),
        };
        if let Some(watcher) = self.watcher.get() {
            let files = match &read {
                Ok(draft) => &draft.scenario.source.files,
                Err(refusal) => &refusal.files,
            };
            watcher.were_read(files.iter().map(|file| (PathBuf::from(&file.name), file.text.as_bytes())));
        }
        let draft = read?;
        if let Some(watcher) = self.watcher.get() {
            let source = &draft.scenario.source;
            watcher.watch_also(draft.scenario.plugins.iter().map(|plugin| plugin.file.clone()));
            watcher.watch_also(pack::resolve::lock_of(&draft.scenario));
            watcher.watch_also(
                draft.scenario.behaviours().flat_map(|used| files_of(&used.options, source.folder_of(&used.pointer))),
            );
        }
        self.workshop.build(draft, number)
    }

    fn reload(&self, engine: &Engine) -> Result<u64, Refusal> {
        let _turn = self.turn();
        let count = |outcome| metrics::counter(metrics::RELOADS, &[("outcome", outcome)]).increment(1);
        let before = Arc::clone(&engine.running().generation.scenario);
        let running = engine.running().generation.number;
        match self.build(running + 1) {
            Ok(generation) => {
                let number = generation.number;
                let changes = diff::diff(&before, &generation.scenario);
                let changed = if changes.is_empty() { "only files that it names".to_owned() } else { diff::summary(&changes) };
                engine.swap(generation);
                count("applied");
                tracing::info!(generation = number, "reloaded: {changed}");
                Ok(number)
            }
            Err(refusal) => {
                count("refused");
                tracing::error!("reload refused, generation {running} stays\n{refusal}");
                Err(refusal)
            }
        }
    }
}

/// Checks a scenario as starting would: reads it, loads its plugins, makes its behaviours. Without a file, the built-in one.
pub fn check(scenario: Option<&Path>) -> Result<Arc<Scenario>, StartError> {
    let draft = read(scenario)?;
    let generation = Workshop::open(RealClock::start(), None, 1)?.build(draft, 1)?;
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
