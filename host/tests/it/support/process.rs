//! The server in a process of its own, as a person starts it: for what can only be seen from outside, such as its memory.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A server in a process of its own. Dropping it ends it.
pub struct Server {
    pub child: Child,
    pub api: SocketAddr,
    pub admin: SocketAddr,
}

impl Server {
    /// Starts a server with `scenario` and two workers.
    pub fn start(scenario: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simwright"));
        command.arg("serve").arg(scenario);
        Self::start_by(command)
    }

    /// The same by `command`, which lacks only what every test wants.
    pub fn start_by(mut command: Command) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "2"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let ready =
            stdout.lines().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("ready api=http://")?.to_owned()));
        let ready = ready.expect("it is ready");
        let (api, admin) = ready.split_once(" admin=http://").expect("two addresses");
        Self { child, api: api.parse().expect("an address"), admin: admin.parse().expect("an address") }
    }

    /// A line of the process's status, in KiB.
    pub fn kib(&self, name: &str) -> u64 {
        kib(self.child.id(), name).expect("it runs")
    }

    /// The processes that it has started and that run.
    pub fn children(&self) -> Vec<u32> {
        let pid = self.child.id();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
        let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, which the test has said then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of the status of process `pid`, in KiB, if it runs.
pub fn kib(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Does process `pid` run? One that has ended and that nobody has asked about yet runs no more.
pub fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A toolchain that never comes to its end.
pub struct WaitingTool(PathBuf);

/// A `cargo` in `folder` that never comes to its end, and the `PATH` on which it is found first.
pub fn waiting_cargo(folder: &Path) -> (String, WaitingTool) {
    let (bin, pid) = (folder.join("bin"), folder.join("pid"));
    std::fs::create_dir(&bin).expect("made");
    let script = format!("#!/bin/sh\necho $$ > '{0}.new'\nmv '{0}.new' '{0}'\nexec sleep 1000\n", pid.display());
    std::fs::write(bin.join("cargo"), script).expect("written");
    std::fs::set_permissions(bin.join("cargo"), Permissions::from_mode(0o755)).expect("set");
    (format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default()), WaitingTool(pid))
}

impl WaitingTool {
    /// The number of its process, once it runs.
    pub fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(&self.0).ok()?.trim().parse().ok()
    }

    /// Does it still run?
    pub fn runs(&self) -> bool {
        self.pid().is_some_and(runs)
    }
}

/// What Ctrl-C does to `child`.
pub fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).expect("it runs");
}
