//! Servers as child processes: Simwright and the baselines are started, found, watched and stopped in one and the same way.
//!
//! A server prints one line `ready api=http://HOST:PORT admin=http://HOST:PORT` on standard output. What it writes to standard
//! error goes to a file, whose end is quoted if it never gets ready. [`cores`] keeps server and load generator apart, [`usage`]
//! reads what they cost.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

pub mod cores;
pub mod usage;

/// Longest wait for the ready line; a cold compile on a busy machine must fit in.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Longest wait for a server to stop by itself before it is killed.
const STOP_WITHIN_MS: u64 = 5_000;

/// A running server; stopped when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it answers requests.
    pub api: SocketAddr,
    /// Where it answers its operator.
    pub admin: SocketAddr,
    /// When it was started, in nanoseconds of [`clock::now_ns`].
    pub started_ns: u64,
    /// When its ready line arrived, on the same clock.
    pub ready_ns: u64,
}

impl Server {
    /// Starts `command` on the server's core and waits until it is ready. Its standard error goes to `log`.
    pub fn start(mut command: Command, cores: &cores::Cores, log: &Path) -> Result<Self> {
        let errors = File::create(log).with_context(|| format!("cannot create `{}`", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let program = command.get_program().to_string_lossy().into_owned();
        let started_ns = clock::now_ns();
        let mut child = cores
            .on_server_core(|| command.spawn())
            .with_context(|| format!("cannot start `{program}`; build it first, or name another with `--server`"))?;
        let lines = child.stdout.take().map(watch_output).context("the server's output was not captured")?;
        let ready = lines.recv_timeout(READY_WITHIN);
        let ready_ns = clock::now_ns();
        match ready {
            Ok((api, admin)) => Ok(Self { child, api, admin, started_ns, ready_ns }),
            Err(_) => {
                let _ = child.kill();
                let status = child.wait()?;
                bail!("`{program}` printed no ready line ({status}); its log ends with:\n{}", tail(log));
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // Asked politely first: a compile cache that is being written should be whole at the next start.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let give_up_ns = clock::now_ns() + STOP_WITHIN_MS * 1_000_000;
        while self.child.try_wait()?.is_none() {
            if clock::now_ns() > give_up_ns {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is already gone needs no stopping.
        let _ = self.stop();
    }
}

/// Reads the output on a thread of its own, so that a talkative server never blocks on a full pipe.
fn watch_output(stdout: ChildStdout) -> mpsc::Receiver<(SocketAddr, SocketAddr)> {
    let (found, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut found = Some(found);
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { return };
            if let Some(ready) = ready_line(&line)
                && let Some(found) = found.take()
            {
                // Nobody listens any more if the wait was given up.
                let _ = found.send(ready);
            }
        }
    });
    lines
}

/// Reads `ready api=http://HOST:PORT admin=http://HOST:PORT`; other words may follow.
fn ready_line(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let words = line.strip_prefix("ready ")?;
    let address = |key: &str| {
        let word = words.split_whitespace().find_map(|word| word.strip_prefix(key))?;
        word.strip_prefix("http://")?.trim_end_matches('/').parse().ok()
    };
    Some((address("api=")?, address("admin=")?))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_names_two_addresses() {
        let line = "ready api=http://127.0.0.1:8080 admin=http://127.0.0.1:9090/ seed=4";
        let (api, admin) = ready_line(line).unwrap();
        assert_eq!((api.port(), admin.port()), (8080, 9090));
    }

    #[test]
    fn another_line_is_no_ready_line() {
        for line in ["", "ready", "ready api=http://127.0.0.1:80", "ready api=127.0.0.1:80 admin=127.0.0.1:81", "already api=x"] {
            assert_eq!(ready_line(line), None, "{line}");
        }
    }
}
