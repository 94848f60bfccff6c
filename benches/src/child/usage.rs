//! What a run cost: CPU time of the server, of the load generator (this process) and of everybody else on the machine, and the
//! server's memory.
//!
//! All of it is read from `/proc`, where times have a grain of 10 ms: a run of a few seconds is known to better than one percent.

use anyhow::{Context, Result};

use crate::clock;

/// Linux counts these times in hundredths of a second on every architecture that Rust's standard library supports for servers.
const TICK_NS: u64 = 10_000_000;

/// CPU times at one moment, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// When it was read, on [`clock::now_ns`].
    pub at_ns: u64,
    /// The server's.
    pub server_ns: u64,
    /// The load generator's.
    pub load_ns: u64,
    /// All work on all cores, including what a host of this virtual machine took away.
    pub machine_ns: u64,
}

impl Usage {
    /// Reads the times now, with the server's process id.
    pub fn read(server_pid: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{server_pid}/stat")).context("the server is gone")?;
        let machine = std::fs::read_to_string("/proc/stat").context("cannot read `/proc/stat`")?;
        Ok(Self {
            at_ns: clock::now_ns(),
            server_ns: process_ticks(&stat).context("the server's CPU time is unreadable")? * TICK_NS,
            load_ns: clock::process_cpu_ns(),
            machine_ns: busy_ticks(&machine).context("the machine's CPU time is unreadable")? * TICK_NS,
        })
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            at_ns: self.at_ns.saturating_sub(earlier.at_ns),
            server_ns: self.server_ns.saturating_sub(earlier.server_ns),
            load_ns: self.load_ns.saturating_sub(earlier.load_ns),
            machine_ns: self.machine_ns.saturating_sub(earlier.machine_ns),
        }
    }

    /// Share of one core that the server used, of a difference.
    pub fn server_share(&self) -> f64 {
        self.server_ns as f64 / self.at_ns.max(1) as f64
    }

    /// Takes time out in which the load generator only waited, though on the CPU.
    pub fn forget_load(&mut self, ns: u64) {
        self.load_ns = self.load_ns.saturating_sub(ns);
        self.machine_ns = self.machine_ns.saturating_sub(ns);
    }

    /// Share of one core that the load generator used, of a difference.
    pub fn load_share(&self) -> f64 {
        self.load_ns as f64 / self.at_ns.max(1) as f64
    }

    /// Share of one core that others used, of a difference.
    pub fn others_share(&self) -> f64 {
        self.machine_ns.saturating_sub(self.server_ns + self.load_ns) as f64 / self.at_ns.max(1) as f64
    }
}

/// Resident memory of a process, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
    resident_of(&status).context("the server's resident memory is unreadable")
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// User and system ticks. The program's name may hold blanks and brackets, so counting starts after its last bracket.
fn process_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Ticks of all cores that were neither idle nor waiting for a disk.
fn busy_ticks(stat: &str) -> Option<u64> {
    let ticks: Option<Vec<u64>> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8).map(|field| field.parse().ok()).collect();
    let ticks = ticks?;
    Some(ticks.iter().sum::<u64>() - ticks.get(3)? - ticks.get(4)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "12 (a) b (c)) S 1 1 1 0 -1 4194304 100 0 0 0 70 30 0 0 20 0 4 0 900 1000 200";
        assert_eq!(process_ticks(stat), Some(100));
    }

    #[test]
    fn idle_time_is_not_busy() {
        assert_eq!(busy_ticks("cpu  10 1 20 900 50 2 3 4 0 0\ncpu0 1 1 1 1\n"), Some(40));
        assert_eq!(busy_ticks("intr 1\n"), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
    }

    #[test]
    fn what_others_used_is_the_rest() {
        let used = Usage { at_ns: 1_000, server_ns: 900, load_ns: 500, machine_ns: 1_500 };
        assert_eq!((used.server_share(), used.load_share(), used.others_share()), (0.9, 0.5, 0.1));
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = std::process::id();
        assert!(Usage::read(pid).unwrap().machine_ns > 0);
        assert!(resident_bytes(pid).unwrap() > 0);
    }
}
