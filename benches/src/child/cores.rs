//! Which core serves and which makes load.
//!
//! A child inherits the affinity of the thread that starts it, so that thread moves to the server's core for the moment of the
//! start and back again: no wrapper program is needed.

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    pinned: Option<(usize, usize)>,
}

impl Cores {
    /// Takes the first two cores that this process may use and moves the calling thread to the second. With one core, or if
    /// `pin` is false, nothing is pinned.
    pub fn pick(pin: bool) -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot read which cores may be used")?;
        let mut free = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let pinned = match (pin, free.next(), free.next()) {
            (true, Some(server), Some(load)) => Some((server, load)),
            _ => None,
        };
        if let Some((_, load)) = pinned {
            move_to(load)?;
        }
        Ok(Self { pinned })
    }

    /// Runs `start`, which spawns a process, on the server's core.
    pub fn on_server_core<T>(&self, start: impl FnOnce() -> std::io::Result<T>) -> Result<T> {
        let Some((server, load)) = self.pinned else { return Ok(start()?) };
        move_to(server)?;
        let started = start();
        move_to(load)?;
        Ok(started?)
    }

    /// Have server and load generator a core each?
    pub fn apart(&self) -> bool {
        self.pinned.is_some()
    }
}

fn move_to(core: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).with_context(|| format!("cannot move to core {core}; try `--no-pin`"))
}

/// Allows as many open sockets as the system lets this process have; children inherit it.
pub fn raise_open_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the number of open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpinned_run_starts_in_place() {
        let cores = Cores::pick(false).unwrap();
        assert!(!cores.apart());
        assert_eq!(cores.on_server_core(|| Ok(7)).unwrap(), 7);
    }

    #[test]
    fn a_failed_start_is_passed_on() {
        let cores = Cores::pick(false).unwrap();
        assert!(cores.on_server_core(|| Err::<(), _>(std::io::Error::other("no"))).is_err());
    }
}
