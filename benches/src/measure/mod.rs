//! One file for each measurement; [`Lab`] is what they share: the server under test, the cores, the folder, how long and how
//! often.
//!
//! Every round starts fresh processes, Simwright and its baseline in turn, so that nothing but the server being measured runs on
//! its core and a lucky layout of memory lasts one round only.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::baseline::Runtime;
use crate::child::Server;
use crate::child::cores::Cores;
use crate::child::usage::Usage;
use crate::load::dialect::Dialect;

pub mod duel;
pub mod http;
pub mod memory;
pub mod pacing;
pub mod rates;
pub mod reload;
pub mod replica;
pub mod saved;
pub mod start;
pub mod stream;

/// Above this share of its core, the load generator may have been what limited a run.
const LOAD_SHARE_MAX: f64 = 0.8;
/// Above this share of one core, other programs may have disturbed a run.
const OTHERS_SHARE_MAX: f64 = 0.1;
/// A server that is busy less than this in a run that should saturate it was waiting for something.
const SERVER_SHARE_MIN: f64 = 0.85;

/// How a run was asked, which decides what can make it doubtful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// As fast as the server answers: the server must be what limits it.
    Busy,
    /// At a fixed rate: the generator spins between requests, so its share says nothing, and its send lag is judged instead.
    Rate,
    /// In paced streams: the server may well be idle most of the time.
    Paced,
}

/// What all measurements share.
#[derive(Debug)]
pub struct Lab {
    /// The `simwright` binary.
    pub server: PathBuf,
    /// The scenario for requests and streams.
    pub scenario: PathBuf,
    /// The model asked; the first that the server lists if `None`.
    pub model: Option<String>,
    /// Which core does what.
    pub cores: Cores,
    /// Scenarios, logs, captured bytes and the compile cache of this run.
    pub folder: tempfile::TempDir,
    /// How often each side is measured.
    pub rounds: usize,
    /// Is this only a check that everything runs?
    pub smoke: bool,
    /// In whose words requests and streams are asked.
    pub dialect: Dialect,
    /// Connections of request and stream runs.
    pub connections: usize,
    /// Streams of the memory measurement.
    pub sleeping: usize,
    /// Only paced loads whose name has this text in it.
    pub only: Option<String>,
    /// Servers started so far, which names their logs.
    pub started: Cell<u32>,
}

impl Lab {
    /// Load before anything is counted.
    pub fn warm_up(&self) -> Duration {
        Duration::from_millis(if self.smoke { 200 } else { 1_000 })
    }

    /// Load that is counted in one round.
    pub fn measured(&self) -> Duration {
        Duration::from_millis(if self.smoke { 500 } else { 4_000 })
    }

    /// Starts Simwright with `scenario` and one worker, its compile cache in this run's folder.
    pub fn simwright(&self, scenario: &Path) -> Result<Server> {
        self.simwright_with_cache(scenario, &self.folder.path().join("cache"))
    }

    /// Starts Simwright with `scenario` and one worker, its compile cache below `cache`.
    pub fn simwright_with_cache(&self, scenario: &Path, cache: &Path) -> Result<Server> {
        let mut command = Command::new(&self.server);
        command.arg("serve").arg(scenario).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"]);
        command.env("XDG_CACHE_HOME", cache);
        Server::start(command, &self.cores, &self.log("simwright"))
    }

    /// Starts this program as a baseline.
    pub fn baseline<S: AsRef<std::ffi::OsStr>>(&self, name: &str, arguments: &[S], runtime: Option<Runtime>) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe().context("this program's own file is gone")?);
        command.arg(name).args(arguments);
        if let Some(runtime) = runtime {
            command.args(["--runtime", runtime.name()]);
        }
        Server::start(command, &self.cores, &self.log(name))
    }

    /// Starts the baseline `name`, which answers requests of the run's dialect with the bytes of `file`.
    pub fn copying_baseline(&self, name: &str, file: &Path, runtime: Runtime) -> Result<Server> {
        let arguments = ["--dialect".as_ref(), self.dialect.name().as_ref(), "--bytes".as_ref(), file.as_os_str()];
        self.baseline(name, &arguments, Some(runtime))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.started.set(self.started.get() + 1);
        self.folder.path().join(format!("{:03}-{name}.log", self.started.get()))
    }

    /// Why a run with these costs cannot be believed; empty if it can.
    pub fn doubts(&self, used: &Usage, asked: Asked) -> Vec<String> {
        let mut doubts = Vec::new();
        if !self.cores.apart() {
            doubts.push("server and load generator shared their cores".to_owned());
        }
        if asked != Asked::Rate && used.load_share() > LOAD_SHARE_MAX {
            doubts.push(format!("the load generator used {:.0} % of its core", used.load_share() * 100.0));
        }
        if used.others_share() > OTHERS_SHARE_MAX {
            doubts.push(format!("other programs used {:.0} % of a core", used.others_share() * 100.0));
        } else if asked == Asked::Busy && used.server_share() < SERVER_SHARE_MIN {
            doubts
                .push(format!("the server used only {:.0} % of its core: does the scenario wait?", used.server_share() * 100.0));
        }
        doubts
    }
}

/// Adds the reasons that are not there yet: five rounds need not say the same thing five times.
pub fn join_doubts(all: &mut Vec<String>, more: Vec<String>) {
    for doubt in more {
        // Numbers differ from round to round, the words before them do not.
        let words = |text: &str| text.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default().to_owned();
        if !all.iter().any(|known| words(known) == words(&doubt)) {
            all.push(doubt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
        Lab {
            server: PathBuf::new(),
            scenario: PathBuf::new(),
            model: None,
            dialect: Dialect::Openai,
            cores: Cores::pick(false).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            rounds: 1,
            smoke: true,
            connections: 1,
            sleeping: 1,
            only: None,
            started: Cell::new(0),
        }
    }

    fn doubted(server_ns: u64, load_ns: u64, others_ns: u64, asked: Asked) -> String {
        let used = Usage { at_ns: 100, server_ns, load_ns, machine_ns: server_ns + load_ns + others_ns };
        let doubts = lab().doubts(&used, asked);
        assert_eq!(doubts[0], "server and load generator shared their cores");
        doubts[1..].join("; ")
    }

    #[test]
    fn a_busy_generator_makes_a_run_doubtful_unless_it_spins() {
        assert_eq!(doubted(95, 81, 0, Asked::Busy), "the load generator used 81 % of its core");
        assert_eq!(doubted(95, 100, 0, Asked::Rate), "");
    }

    #[test]
    fn a_server_that_waits_was_not_saturated() {
        assert_eq!(doubted(10, 10, 0, Asked::Busy), "the server used only 10 % of its core: does the scenario wait?");
        assert_eq!(doubted(10, 10, 0, Asked::Paced), "");
    }

    #[test]
    fn a_server_that_others_hold_up_is_not_said_to_wait() {
        assert_eq!(doubted(10, 10, 50, Asked::Busy), "other programs used 50 % of a core");
    }

    #[test]
    fn the_same_reason_is_given_once() {
        let mut all = vec!["other programs used 12 % of a core".to_owned()];
        join_doubts(&mut all, vec!["other programs used 15 % of a core".to_owned(), "else".to_owned()]);
        assert_eq!(all.len(), 2);
    }
}
