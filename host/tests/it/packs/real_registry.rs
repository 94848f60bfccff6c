//! Debian's `docker-registry` (distribution 2.8), started for one test. `host/tests/oci-tools` shares this file.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The part of a configuration that wants the user `alice` with the password `hunter2`.
pub const WITH_PASSWORDS: &str = "auth: { htpasswd: { realm: basic-realm, path: FOLDER/htpasswd } }\n";

/// A real registry on a port of its own, with its files in a folder that goes when it is dropped.
pub struct RealRegistry {
    pub address: SocketAddr,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl RealRegistry {
    /// Starts it; nothing where it is not installed, which is a failure where everything must be.
    #[allow(clippy::print_stderr, reason = "what a run leaves out must be seen")]
    pub fn start(auth: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config.yml");
        let root = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{ formatter: text }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: '127.0.0.1:0' }}\n{}",
            root.display(),
            auth.replace("FOLDER", &folder.path().display().to_string()),
        );
        std::fs::write(&config, text).expect("written");
        // `htpasswd -nbBC5 alice hunter2`
        let user = "alice:$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n";
        std::fs::write(folder.path().join("htpasswd"), user).expect("written");
        let started =
            Command::new("docker-registry").arg("serve").arg(&config).stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
        let Ok(mut process) = started else {
            let must = ["CI", "SIMWRIGHT_FULL"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!must, "`docker-registry` is not installed: `apt-get install docker-registry`");
            eprintln!("skipped: `docker-registry` is not installed");
            return None;
        };
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("listening on ")?.1;
            rest.split(['"', ' ', ',']).next()?.parse().ok()
        });
        // Somebody must read on, or it waits for that.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Some(Self { address: address.expect("an address in its log"), process, _folder: folder })
    }

    /// One that asks nobody who they are.
    pub fn open() -> Option<Self> {
        Self::start("")
    }

    /// A place in it.
    pub fn place(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }
}
